"""LPIPS where its parts are at hand, and nothing where one is missing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.train.perceptual import perceptual

CPU = torch.device("cpu")


def test_without_weights_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    assert perceptual(CPU) is None
    assert not list(tmp_path.rglob("*.pth")), "nothing is downloaded"


def test_it_grows_with_the_difference():
    """Where the package and the weights are here."""
    perceived = perceptual(CPU)
    if perceived is None:
        pytest.skip("needs the package lpips and AlexNet's weights in PyTorch's cache")
    picture = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    near, far = perceived(np.clip(picture + 0.02, 0, 1), picture), perceived(1 - picture, picture)
    assert perceived(picture, picture) == pytest.approx(0, abs=1e-6)
    assert near is not None and far is not None and 0 < near < far
    assert perceived(picture[:20], picture[:20]) is None, "too small to look at"
