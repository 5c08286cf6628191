"""Trains on a dataset until the time or the steps are used up, and looks after the run meanwhile."""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Dataset, over_white
from srn_engine.data.images import Bytes
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.memory import advice, is_shortage
from srn_engine.previews import Previews
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.train.learner import Learner
from srn_engine.train.learners import begun, resumed
from srn_engine.train.metrics import psnr
from srn_engine.train.options import TrainOptions
from srn_engine.train.previewer import Previewer
from srn_engine.train.run import Run, RunInfo, Trained, picture_over_white

REPORT_EVERY = 0.25  # seconds
VALIDATE_EVERY = 10.0  # seconds, and at the end
SAVE_EVERY = 30.0  # seconds, and at the end, where nothing else is asked for
WATCHED = 8  # instances whose val views a training of many is watched with, one view of each
WATCHED_VIEWS = 20  # val views that a training of one instance is watched with


def train(
    dataset: Path, run: Path, options: TrainOptions, device: torch.device, report: Report, resume: bool = False,
    previews: Previews | None = None, save_every: float = SAVE_EVERY,
) -> dict[str, Any]:  # fmt: skip
    """Trains on a dataset and leaves the run in the folder `run`; returns the job's result.

    With `resume` the training in that folder goes on, with its own preset and seed, until the budget of `options` is
    used up, what it used before included; it then ends as if it had never stopped. Where `report` raises Cancelled,
    what was learned is saved and Cancelled carries the result on. `previews` are shown meanwhile; a checkpoint is
    saved every `save_every` seconds and at the end. UserError where the dataset or the folder will not do or memory
    runs out; what was saved by then is kept.
    """
    data = open_dataset(dataset)
    try:
        return _train(data, run, options, device, report, resume, previews, save_every)
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        raise UserError(advice(data, device)) from error


def _train(
    data: Dataset, run: Path, options: TrainOptions, device: torch.device, report: Report, resume: bool,
    previews: Previews | None, save_every: float,
) -> dict[str, Any]:  # fmt: skip
    val = _Validation.read(data, report)
    if resume:
        folder = Run.load(run, device, to_train=True)
        if not folder.trained.state:
            raise UserError(f"{run} was fitted or converted and keeps no training that could go on; train a new run.")
        folder.info = replace(folder.info, options=folder.info.options.continued(options))
        learner = resumed(folder, data, device, report)
    else:
        learner, preset = begun(data, options, device, report, run)
        info = RunInfo(data.root.resolve(), options, preset, data.having("train"), data.classes)
        try:
            folder = Run.create(run, info, learner.scene)
        except UserError:
            learner.close()
            raise
    watch = _Watch(folder, val, learner, report, previews, save_every)
    try:
        report(Progress(0.0, "Preparing to train"))
        learner.warm_up()
        watch.begin()
        while (fraction := watch.fraction) < 1.0:
            learner.step(fraction)
            watch.look()
        return watch.finish()
    except Cancelled:
        raise Cancelled(watch.finish()) from None
    finally:
        learner.close()


@dataclass(frozen=True)
class _Validation:
    """The views that a training is watched with; read before it begins, so that a broken one does not end it."""

    views: tuple[tuple[str, Camera, Bytes], ...]

    @classmethod
    def read(cls, data: Dataset, report: Report) -> "_Validation":
        """At most WATCHED_VIEWS val views of a single instance, evenly spread; where there are many, one view of each
        of at most WATCHED instances, spread over them."""
        seen = {instance.id for instance in data.having("val")}
        known = [instance for instance in data.having("train") if instance.id in seen]
        chosen = known[:: math.ceil(len(known) / WATCHED) or 1]
        views = []
        for instance in chosen:
            val = data.views("val", instance.id)
            step = math.ceil(len(val) / (WATCHED_VIEWS if len(chosen) == 1 else 1))
            for number in range(0, len(val), max(1, step)):
                report(Progress(0.0, "Reading the views to watch the training with"))
                views.append((instance.id, val.cameras[number], val.rgba(number)))
        return cls(tuple(views))


class _Watch:
    """Looks after a training: its clock, reports, validation, saving."""

    def __init__(
        self, run: Run, val: _Validation, learner: Learner, report: Report, previews: Previews | None, save_every: float
    ) -> None:
        self.run, self.val, self.learner, self.report = run, val, learner, report
        self.save_every = save_every
        self.previewer = None if previews is None else Previewer(previews, run, self._tell)
        self.psnr: float | None = None
        self.begin()

    def begin(self) -> None:
        """Starts the clock, from where an earlier part of the training left it."""
        self.started = time.perf_counter() - self.run.trained.seconds
        self.reported, self.validated, self.saved = -math.inf, self.seconds, self.seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def fraction(self) -> float:
        """The part of the budget that is used up, 0 to 1."""
        options = self.run.info.options
        by_steps = self.learner.steps / options.steps if options.steps else 0.0
        budget = options.seconds or (None if options.steps else self.run.info.preset.seconds)
        return min(1.0, max(by_steps, self.seconds / budget if budget else 0.0))

    def look(self) -> None:
        """Does what is due."""
        now = self.seconds
        if now - self.validated > VALIDATE_EVERY:
            self._validate()
        if now - self.saved > self.save_every:
            self._save(now)
        if self.previewer is not None:
            self.previewer.look(self.learner.steps, now)
        if now - self.reported > REPORT_EVERY:
            self.reported = now
            self._tell()

    def finish(self) -> dict[str, Any]:
        """Saves, validates, and returns the job's result."""
        seconds = self.seconds
        self._save(seconds)
        self._validate()
        return {"run": str(self.run.folder), "steps": self.learner.steps, "seconds": seconds, "psnr": self.psnr}

    def _save(self, now: float) -> None:
        self.run.save(self.learner.scene, Trained(self.learner.steps, now, self.learner.state()))
        self.saved = self.seconds

    def _validate(self) -> None:
        if self.val.views:
            scores = []
            for instance, camera, truth in self.val.views:
                seen = self.run.render(instance, camera, ("colour",))["colour"]
                scores.append(psnr(picture_over_white(seen), over_white(truth)))
            self.psnr = sum(scores) / len(scores)
        self.validated = self.seconds
        self.run.log(self._metrics() | {"seconds": round(self.seconds, 3)})

    def _metrics(self) -> dict[str, float]:
        metrics = {"step": float(self.learner.steps), "loss": self.learner.loss}
        return metrics if self.psnr is None else metrics | {"psnr": self.psnr}

    def _tell(self) -> None:
        fraction, seconds = self.fraction, self.seconds
        quality = "" if self.psnr is None else f", PSNR {self.psnr:.1f} dB"
        eta = seconds / fraction - seconds if fraction > 0.01 else None
        trouble = f"no preview: {self.previewer.trouble}" if self.previewer and self.previewer.trouble else ""
        told = filter(None, (f"Step {self.learner.steps}{quality}", self.learner.learning(fraction), trouble))
        self.report(Progress(fraction, "; ".join(told), eta, self._metrics()))
