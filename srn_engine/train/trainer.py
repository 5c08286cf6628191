"""Trains one instance: rays drawn from all views, until the time or the steps are used up."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Dataset, Views, over_white
from srn_engine.data.rays import Batch, RayPool
from srn_engine.errors import UserError
from srn_engine.model.grid import FeatureGrid
from srn_engine.model.hull import carve
from srn_engine.model.presets import Preset
from srn_engine.model.scene import NeuralScene
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.train.metrics import psnr
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run, RunInfo

REPORT_EVERY = 0.25  # seconds
VALIDATE_EVERY = 10.0  # seconds, and at the end
SAVE_EVERY = 30.0  # seconds, and at the end
ADAM = {"betas": (0.9, 0.99), "eps": 1e-15}


def train(dataset: Path, run: Path, options: TrainOptions, device: torch.device, report: Report) -> dict[str, Any]:
    """Trains on a captured dataset and leaves the run in the folder `run`; returns the job's result.

    Where `report` raises Cancelled, what was learned is saved and Cancelled carries the result on. UserError where
    the dataset or the folder will not do.
    """
    preset = options.resolve()
    data = Dataset.load(dataset)
    if len(data.instances) != 1:
        raise UserError(f"The preset {options.preset} trains one instance and {dataset} holds {len(data.instances)}.")
    views = data.views("train", data.instances[0])
    if len(views) < 2:
        raise UserError(f"{dataset} has {len(views)} train views; capture more, 50 are a good start.")
    report(Progress(0.0, f"Reading {len(views)} views"))
    training = _Training(RayPool(views, device), len(data.classes), preset, options, device)
    val = _Validation.read(data.views("val", data.instances[0]))
    folder = Run.create(run, RunInfo(dataset.resolve(), options, data.instances, data.classes), training.scene)
    report(Progress(0.0, "Preparing to train"))
    training.start()
    watch = _Watch(folder, val, training, report)
    try:
        while training.step():
            watch.look()
    except Cancelled:
        raise Cancelled(watch.finish()) from None
    return watch.finish()


class _Training:
    """The state of a training: scene, optimiser, budget."""

    def __init__(
        self, rays: RayPool, classes: int, preset: Preset, options: TrainOptions, device: torch.device
    ) -> None:
        torch.manual_seed(options.seed)
        self.preset, self.options = preset, options
        self.rays = rays
        self.batches = torch.Generator().manual_seed(options.seed)
        self.steps, self.loss, self.stage, self.started = 0, math.nan, 0, math.nan
        camera = rays.intrinsics
        resolution = preset.stages[0][1]
        cells = carve(rays.poses, (camera.fl_x, camera.fl_y), (camera.cx, camera.cy), rays.alphas, resolution)
        if not cells.any():
            raise UserError(
                "No point is inside every view's silhouette; check that poses and pictures belong together."
            )
        grid = FeatureGrid(cells, preset.channels, preset.initial_density)
        self.scene = NeuralScene(preset, grid, classes).to(device)
        self.optimiser = self._new_optimiser()

    def start(self) -> None:
        """Starts the clock, once the marcher is compiled: the first march after an installation takes seconds."""
        self._loss(self.rays.draw(16, torch.Generator().manual_seed(0))).backward()  # type: ignore[no-untyped-call]
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def fraction(self) -> float:
        """The part of the budget that is used up, 0 to 1."""
        by_steps = self.steps / self.options.steps if self.options.steps else 0.0
        budget = self.options.seconds or (None if self.options.steps else self.preset.seconds)
        return min(1.0, max(by_steps, self.seconds / budget if budget else 0.0))

    def step(self) -> bool:
        """One optimiser step; False, and none taken, where the budget is used up."""
        fraction = self.fraction
        if fraction >= 1.0:
            return False
        batch = self.rays.draw(self.preset.rays, self.batches)
        loss = self._loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            group["lr"] = group["initial_lr"] * self.preset.rate_decay**fraction
        self.optimiser.step()
        self.steps += 1
        self.loss = loss.detach().item()
        if not math.isfinite(self.loss):
            raise UserError("The training diverged (its loss is no number); check the dataset's poses.")
        if self.steps % self.preset.prune_every == 0:
            self._tidy(fraction)
        return True

    def _loss(self, batch: Batch) -> torch.Tensor:
        rendered = self.scene(batch.rays, self.batches)
        loss = F.mse_loss(rendered.over(1.0), batch.colour)
        loss = loss + self.preset.alpha_weight * F.mse_loss(rendered.opacity, batch.alpha)
        head = self.scene.semantic_head
        labelled = (batch.label > 0) & (rendered.opacity.detach() > 0.3)
        if head is not None and labelled.any():
            marched = rendered.marched
            logits = head(marched.label_feature[labelled], marched.opacity[labelled])
            loss = loss + self.preset.label_weight * F.cross_entropy(logits, batch.label[labelled] - 1)
        return loss

    def _tidy(self, fraction: float) -> None:
        """Drops cells that hold nothing, and moves on to the next resolution when it is due."""
        due = sum(fraction >= start for start, _ in self.preset.stages) - 1
        if due > self.stage:
            self.stage = due
            self.scene.phi = self.scene.phi.refined(self.preset.stages[due][1])
            self.optimiser = self._new_optimiser()
        else:
            self.scene.phi.prune(self.preset.empty_density)

    def _new_optimiser(self) -> torch.optim.Optimizer:
        scene, preset = self.scene, self.preset
        rates = [
            ([scene.phi.density], preset.density_rate),
            ([scene.phi.features], preset.feature_rate),
            (list(scene.pixel_generator.parameters()), preset.network_rate),
        ]
        if scene.semantic_head is not None:
            rates.append((list(scene.semantic_head.parameters()), preset.label_rate))
        groups = [{"params": params, "lr": rate, "initial_lr": rate} for params, rate in rates]
        return torch.optim.Adam(groups, fused=True, **ADAM)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Validation:
    """The views that a training is watched with; read before it begins, so that a broken one does not end it."""

    cameras: tuple[Camera, ...]
    truth: npt.NDArray[np.float32]

    @classmethod
    def read(cls, views: Views) -> "_Validation":
        empty = np.empty((0, 0, 0, 3), np.float32)
        return cls(views.cameras, over_white(views.rgba()) if len(views) else empty)


@dataclass
class _Watch:
    """Looks after a training: reports, validates, saves."""

    run: Run
    val: _Validation
    training: _Training
    report: Report
    reported: float = -math.inf
    validated: float = 0.0
    saved: float = 0.0
    psnr: float | None = None

    def look(self) -> None:
        """Does what is due."""
        now = self.training.seconds
        if now - self.validated > VALIDATE_EVERY:
            self._validate()
        if now - self.saved > SAVE_EVERY:
            self.run.save(self.training.scene)
            self.saved = self.training.seconds
        if now - self.reported > REPORT_EVERY:
            self.reported = now
            self._tell()

    def finish(self) -> dict[str, Any]:
        """Saves, validates, and returns the job's result."""
        seconds = self.training.seconds
        self.run.save(self.training.scene)
        self._validate()
        return {"run": str(self.run.folder), "steps": self.training.steps, "seconds": seconds, "psnr": self.psnr}

    def _validate(self) -> None:
        if self.val.cameras:
            pairs = zip(self.val.cameras, self.val.truth, strict=True)
            scores = [psnr(self.run.colour(camera), true) for camera, true in pairs]
            self.psnr = sum(scores) / len(scores)
        self.validated = self.training.seconds
        self.run.log(self._metrics() | {"seconds": round(self.training.seconds, 3)})

    def _metrics(self) -> dict[str, float]:
        metrics = {"step": float(self.training.steps), "loss": self.training.loss}
        return metrics if self.psnr is None else metrics | {"psnr": self.psnr}

    def _tell(self) -> None:
        fraction, seconds = self.training.fraction, self.training.seconds
        quality = "" if self.psnr is None else f", PSNR {self.psnr:.1f} dB"
        eta = seconds / fraction - seconds if fraction > 0.01 else None
        self.report(Progress(fraction, f"Step {self.training.steps}{quality}", eta, self._metrics()))
