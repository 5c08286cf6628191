"""What the engine does for each kind of job."""

import time
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from srn_engine.progress import Report
from srn_engine.server.jobs import Outcome, Work
from srn_engine.server.params import Evaluate, JobParams, Render, Train

MAX_ROWS = 100  # instances or views whose metrics are told one by one: the last 16 results must fit into one frame

# Training and rendering pull in compilers and image libraries: they are imported when the first job needs them.
if TYPE_CHECKING:
    from srn_engine.train.run import Run


def engine_work(device: torch.device) -> Mapping[str, Work]:
    """The work of each kind of job on `device`."""
    cache = _RunCache(device)

    def train(params: JobParams, report: Report) -> Outcome:
        assert isinstance(params, Train)
        return _train(params, device, report)

    def render(params: JobParams, report: Report) -> Outcome:
        assert isinstance(params, Render)
        return _render(params, cache, report)

    def evaluate(params: JobParams, report: Report) -> Outcome:
        assert isinstance(params, Evaluate)
        return _evaluate(params, device, report)

    return {"train": train, "render": render, "evaluate": evaluate}


def presets() -> list[str]:
    from srn_engine.model.presets import PRESETS

    return list(PRESETS)


class _RunCache:
    """Keeps the last run loaded, until another is asked for or its checkpoint changes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._key: tuple[Path, int] | None = None
        self._run: Run | None = None

    def load(self, folder: Path) -> "Run":
        from srn_engine.train.run import Run

        checkpoint = folder / "checkpoint.safetensors"
        key = (folder, checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0)
        if self._run is None or key != self._key:
            self._run, self._key = None, None  # before loading: two runs may not fit into memory
            self._run = Run.load(folder, self._device)
            self._key = key
        return self._run


def _train(params: Train, device: torch.device, report: Report) -> Outcome:
    from srn_engine.train.options import TrainOptions
    from srn_engine.train.trainer import train

    names = ("preset", "seconds", "steps", "seed")
    given = {name: value for name in names if (value := getattr(params, name)) is not None}
    return Outcome(train(params.dataset, params.run, TrainOptions(**given), device, report, params.resume))


def _render(params: Render, cache: _RunCache, report: Report) -> Outcome:
    from srn_engine.cameras import Camera

    camera = Camera.from_json(dict(params.camera))
    run = cache.load(params.run)
    start = time.perf_counter()
    arrays = run.render(params.instance, camera, params.passes, report)
    return Outcome({"seconds": time.perf_counter() - start}, {name: arrays[name] for name in params.passes})


def _evaluate(params: Evaluate, device: torch.device, report: Report) -> Outcome:
    from srn_engine.train.evaluate import evaluate

    result = evaluate(params.run, params.dataset, params.split, params.report, device, report)
    return Outcome(result | {"metrics": {name: _told(rows) for name, rows in result["metrics"].items()}})


def _told(rows: Sized) -> Sized | None:
    return rows if len(rows) <= MAX_ROWS else None
