"""What several modules need and what takes long to make: three balls under latent codes, and a fourth."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from srn_engine.model.paper.preset import PaperPreset
from srn_engine.model.presets import Choice, FastManyPreset, FastPreset
from srn_engine.progress import silent
from srn_engine.tests.scenes import write_ball
from srn_engine.train import options
from srn_engine.train.options import TrainOptions
from srn_engine.train.trainer import train

# Most of its steps are on codes: one that learns to guess takes five times as long.
FAST = FastManyPreset(side=16, encoder_widths=(16, 24), rays=1024, guess_rays=512, guess_after=0.8, label_rate=6e-2)
PAPER = PaperPreset(
    conditioning="hypernetwork", code=16, hidden=32, instances=3, rays=256, network_rate=2e-3, code_rate=1e-2
)
RADII = {"small": 0.5, "medium": 0.65, "large": 0.8}


@contextmanager
def _tiny_presets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "PRESETS", {"fast": Choice(FastPreset(), FAST), "paper": Choice(PAPER, PAPER)})
        yield


@pytest.fixture(scope="module")
def tiny_presets() -> Iterator[None]:
    """The presets of many instances, but of sizes that train in seconds."""
    with _tiny_presets():
        yield


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "balls", train=12, test=2, balls=RADII)


@pytest.fixture(scope="session")
def new_ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "new", train=4, test=2, balls={"new": 0.72})


@pytest.fixture(scope="session")
def trained_balls(balls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody may change."""
    run = tmp_path_factory.mktemp("runs") / "balls"
    with _tiny_presets():
        train(balls, run, TrainOptions(steps=450), torch.device("cpu"), silent)
    return run
