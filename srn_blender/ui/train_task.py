"""A training under way: what the engine tells of it, the view that it is watched through, and how it is halted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..engine.engine import READY, engine
from ..engine.errand import Errand, JobRequest
from ..engine.fetching import HostRun
from ..engine.jobs import JobCallbacks
from ..errors import UserError
from ..results import preview
from ..results.runs import RunSummary
from ..results.runs_history import History
from . import tasks
from .image_editors import draw_again, give, is_shown
from .properties import settings_of
from .runs_list import run_in_mind
from .train_icons import PREVIEW, set_icon

CAMERA_SECONDS = 0.5  # between two looks at where the preview's camera is


@dataclass(frozen=True)
class Resumed:
    """A training that goes on. run: what its folder holds, None where nothing is there yet. problem: why it cannot, if
    the engine has it not under way."""

    run: RunSummary | None
    problem: UserError | None


class TrainTask(tasks.JobTask):
    """A training of the run in a folder; one that the engine has under way already is followed."""

    def __init__(
        self,
        job: tasks.Job,
        open_engine: Callable[[], None],
        target: preview.Target,
        history: History,
        resumed: Resumed | None = None,
    ) -> None:
        """target: what the preview shows. history: how it was trained so far. resumed: where it goes on."""
        super().__init__("train", job, open_engine)
        self.run: Path = job.request.writes["run"]
        self.history = history
        self.number: int | None = None  # of the job
        self.preview_problem = ""
        self._target = target
        self._resumed = resumed
        self._jobs: list[Mapping[str, Any]] | None = None  # what the engine has under way
        self._asked = False
        self._wanted: object = None  # what was last asked for as a preview
        self._looked = 0.0
        self._unshown: np.ndarray[Any, Any] | None = None  # a preview that the image does not hold yet

    def step(self) -> None:
        if self._begun is None and engine().state == READY and self._jobs is None:
            self._ask_for_jobs()
            engine().poll()
            return
        super().step()
        self.tend()

    def begin(self) -> Errand:
        """Starts the training, or follows it. UserError where this engine is not the one that could go on with it."""
        callbacks = JobCallbacks(
            progress=self._on_progress,
            done=self._on_done,
            failed=self.fail,
            cancelled=self._on_cancelled,
            preview=self._on_preview,
        )
        number = training_of(self._jobs or [], self.run)
        if number is not None and self._resumed is None:
            raise UserError(f"The engine still trains '{self.run.name}': press Continue to follow it.")
        if number is not None:
            return Errand(engine(), JobRequest("follow", {"job": number}, writes={"run": self.run}), callbacks)
        if self._resumed is not None:
            _check(self._resumed)
        return Errand(engine(), self._job.request, callbacks)

    def halt(self, words: Callable[[Mapping[str, Any]], str]) -> None:
        """Cancels it. words: its end in a sentence, from the job's result."""
        self._job = replace(self._job, cancelled=words)
        self.cancel()

    def tend(self) -> None:
        """Keeps the preview's camera where it is in the scene; to be called often."""
        now = time.monotonic()
        if self.number is None or self.state != tasks.RUNNING or now - self._looked < CAMERA_SECONDS:
            return
        self._looked = now
        wanted: dict[str, Any] = {"camera": None}
        try:
            wanted = self._view() or wanted
            self.preview_problem = ""
        except UserError as error:
            self.preview_problem = str(error)
        if wanted != self._wanted and engine().state == READY:
            self._wanted = wanted
            engine().request("preview", {"job": self.number, **wanted}, lambda result: None, self._no_preview)

    def is_in_mind(self) -> bool:
        """Whether the scene in the window is about this run."""
        return run_in_mind(bpy.context.scene) == self.run

    def _view(self) -> dict[str, Any] | None:
        scene: Any = bpy.context.scene
        if not self.is_in_mind() or not settings_of(scene).preview:
            return None
        camera = settings_of(scene).preview_camera or scene.camera
        if camera is None or camera.name not in scene.objects:
            raise UserError("Add a camera to the scene to watch the training through.")
        return preview.wanted(scene, camera, self._target)

    def _ask_for_jobs(self) -> None:
        if not self._asked:
            self._asked = True
            engine().request("jobs", {}, self._on_jobs, self.fail)

    def _on_jobs(self, result: Mapping[str, Any]) -> None:
        self._jobs = list(result["jobs"])

    def _no_preview(self, sentence: str) -> None:
        if self.state == tasks.RUNNING:
            self.preview_problem = sentence

    def _on_progress(self, state: Mapping[str, Any]) -> None:
        super()._on_progress(state)
        if "job" in state:
            self.number = int(state["job"])
            self.history.tell(state["metrics"])

    def _on_done(self, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._note(result)
        super()._on_done(result, arrays)

    def _on_cancelled(self, result: Mapping[str, Any]) -> None:
        self._note(result)
        self.end(tasks.CANCELLED, self._job.cancelled(result))

    def _note(self, result: Mapping[str, Any]) -> None:
        """Takes the last step and what was measured after it, which no notification tells."""
        self.history.tell({"step": result.get("steps"), "psnr": result.get("psnr")})

    def _on_preview(self, step: int, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        if not self.is_in_mind():
            return
        set_icon(PREVIEW, np.clip(arrays["colour"], 0.0, 1.0))
        image = bpy.data.images.get(preview.NAME)
        # Each change of an image draws the 3D views again, which may be slow: not where nobody sees it.
        if image is None or bpy.app.background or is_shown(image):
            shown = preview.show(arrays["colour"])
            if image is None:
                give(shown)
            draw_again(shown)
            self._unshown = None
        else:
            self._unshown = arrays["colour"]

    def end(self, state: str, message: str) -> None:
        super().end(state, message)
        if self._unshown is not None and self.is_in_mind():
            preview.show(self._unshown)
            self._unshown = None


def latest_training() -> TrainTask | None:
    """The training that runs, or the last one that did."""
    task = tasks.Task.latest.get("train")
    return task if isinstance(task, TrainTask) else None


def training_of(jobs: Sequence[Mapping[str, Any]], run: Path) -> int | None:
    """The number of the job, among an engine's, that trains the run in a folder here."""
    host = HostRun.read(run)
    names = {str(run), host.name if host is not None else ""}
    under_way = (job for job in jobs if job["kind"] == "train" and job["state"] in ("queued", "running"))
    return next((int(job["job"]) for job in under_way if job.get("run") in names), None)


def _check(resumed: Resumed) -> None:
    """UserError where a training cannot go on, or not on the engine that is ready."""
    if resumed.problem is not None or resumed.run is None:
        raise resumed.problem or UserError("Train first: there is no such run.")
    run = resumed.run
    if engine().has_storage and run.resumable:
        raise UserError(f"'{run.name}' was trained on this computer: choose the engine here to go on with it.")
    if not engine().has_storage and not run.resumable:
        raise UserError(f"'{run.name}' was trained on another computer: connect to the engine there to go on with it.")
