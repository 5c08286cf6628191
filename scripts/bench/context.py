"""What the rows of the table share: the datasets, the device, and the runs that several of them look at."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from bench.figures import Figure

from srn_engine.errors import UserError
from srn_engine.progress import silent
from srn_engine.train.evaluate import evaluate
from srn_engine.train.fit import FitOptions, fit
from srn_engine.train.options import TrainOptions
from srn_engine.train.trainer import train

DONE = "bench.json"  # in a run's folder: it is whole, and what its making took


@dataclass(frozen=True)
class Trained:
    """A run, its steps, the seconds that they took, and those that passed until it was ready, reading included."""

    folder: Path
    steps: int
    seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class Fitted:
    """A run of new instances, and the seconds that the fit of each took."""

    folder: Path
    seconds_each: float


@dataclass
class Bench:
    """data: the folder of the datasets. work: a folder for what the rows make: a run that stands whole in it is not
    made again. hurry: how many times shorter everything trains. class_seconds, network_seconds: what a preset and the
    network of 2016 have to learn a class in."""

    data: Path
    work: Path
    device: torch.device
    hurry: float = 1.0
    class_seconds: float = 1200.0
    network_seconds: float = 240.0

    def dataset(self, name: str) -> Path:
        """The folder of a dataset; UserError where it was not captured."""
        folder = self.data / name
        if not (folder / "dataset.json").is_file():
            raise UserError(f"{folder} holds no dataset; run `python scripts/bench`, which captures it.")
        return folder

    def unlabelled(self, name: str) -> Path:
        """A copy of a dataset with pictures and poses alone, so that nothing learns labels that it is to guess."""
        source, folder = self.dataset(name), self.work / f"{name}-unlabelled"
        if not (folder / "dataset.json").is_file():
            manifest = json.loads((source / "dataset.json").read_text("utf-8"))
            left_out = shutil.ignore_patterns("dataset.json", "depth", "normal", "semantic")
            shutil.copytree(source, folder, ignore=left_out, dirs_exist_ok=True)
            manifest |= {"passes": ["rgb", "rgba"], "classes": manifest["classes"][:1]}
            (folder / "dataset.json").write_text(json.dumps(manifest), "utf-8")
        return folder

    def seconds(self, budget: float) -> float:
        """A training's budget, shortened where there is a hurry."""
        return budget / self.hurry

    def count(self, whole: int) -> int:
        """So many instances, or fewer where there is a hurry."""
        return max(2, round(whole / self.hurry))

    def trained(self, dataset: Path, preset: str, budget: float) -> Trained:
        """A run of `preset` on a dataset after `budget` seconds; trained once, for whoever asks."""

        def make(folder: Path) -> dict[str, Any]:
            start = time.perf_counter()
            result = train(dataset, folder, TrainOptions(preset, self.seconds(budget)), self.device, silent)
            wall = time.perf_counter() - start
            return asdict(Trained(folder, result["steps"], result["seconds"], wall))

        return Trained(**self._once(f"{dataset.name}-{preset}-{budget:g}", make))

    def fitted(self, run: Trained, dataset: Path, views: Sequence[int]) -> Fitted:
        """A run of the instances of another dataset, fitted to the train views of these numbers; fitted once."""

        def make(folder: Path) -> dict[str, Any]:
            result = fit(run.folder, dataset, folder, FitOptions(views=tuple(views)), self.device, silent)
            return asdict(Fitted(folder, result["seconds"] / len(result["instances"])))

        return Fitted(**self._once(f"{run.folder.name}-fit-{'-'.join(map(str, views))}", make))

    def evaluated(self, run: Trained, dataset: Path) -> dict[str, Any]:
        """The result of the engine's `evaluate` on the test views of a dataset."""
        return evaluate(run.folder, dataset, "test", None, self.device, silent)

    def _once(self, name: str, make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """What `make` said of the run that it made in the folder of that name, now or before."""
        done = self.work / name / DONE
        if not done.is_file():
            text = json.dumps(make(done.parent) | {"folder": None}, indent=1)
            done.write_text(text + "\n", encoding="utf-8")
        said: dict[str, Any] = json.loads(done.read_text("utf-8"))
        return said | {"folder": done.parent}


@dataclass(frozen=True)
class Row:
    """One or a few lines of the table. gpu: whether it is measured on a GPU alone; asked: only where it is named."""

    name: str
    measure: Callable[[Bench], list[Figure]]
    gpu: bool = False
    asked: bool = False
