"""Work that takes a while, in steps: a modal operator takes them in a window, a loop without one.

What runs and how the last of each kind ended is kept here, outside the file, for the panel to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..capture.session import CaptureProgress
from ..engine.engine import READY, STARTING, JobHandle, engine
from ..errors import UserError

RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"


class Task:
    """One piece of work. `kind` is the panel it belongs to; `message` says how it goes or how it ended.

    latest: by kind, the task that runs or the last one that did.
    """

    latest: ClassVar[dict[str, Task]] = {}
    pause = 0.005  # seconds that a script waits between two steps

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        self.state: str = RUNNING
        self.message = message
        self.fraction = 0.0
        self.eta: float | None = None
        self.warns = False  # `message` is to be looked at, though all is done

    def step(self) -> None:
        """Does the next bit of work, or looks how far others are. Raises UserError where it fails."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Asks the task to end; it may take some more steps to do so."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Nobody will call `step` any more."""
        self.cancel()

    def end(self, state: str, message: str) -> None:
        self.state, self.message = state, message


def running(kind: str) -> bool:
    """Whether a task of this kind runs."""
    return kind in Task.latest and Task.latest[kind].state == RUNNING


def cancel_all(kind: str = "") -> int:
    """Cancels the running tasks, all or those of one kind; returns how many."""
    asked = [task for task in Task.latest.values() if task.state == RUNNING and kind in ("", task.kind)]
    for task in asked:
        task.cancel()
    return len(asked)


class CaptureTask(Task):
    """Takes one view a step."""

    pause = 0.0

    def __init__(self, views: Iterator[CaptureProgress], describe: Callable[[CaptureProgress], str]) -> None:
        super().__init__("capture", "Preparing the capture.")
        self._views: Any = views
        self._describe = describe
        self._last: CaptureProgress | None = None
        self._cancel_asked = False

    def step(self) -> None:
        if self._cancel_asked:
            self.abandon()
            return
        progress = next(self._views, None)
        if progress is None:
            self.end(DONE, self._describe(self._last) if self._last else "All views were there already.")
            self.warns = bool(self._last and self._last.check and self._last.check.warning)
            return
        self._last = progress
        self.fraction, self.eta = progress.done / max(progress.total, 1), progress.eta
        self.message = f"View {progress.done} of {progress.total}"

    def cancel(self) -> None:
        self._cancel_asked = True

    def abandon(self) -> None:
        self._views.close()  # puts the scene back as it was
        taken = f"{self._last.done} of {self._last.total} views are kept" if self._last else "no view was taken"
        self.end(CANCELLED, f"Cancelled: {taken}; Capture Views goes on from there.")


class EngineTask(Task):
    """Starts the engine, or connects to it, and waits until it is ready."""

    def __init__(self, open_engine: Callable[[], None]) -> None:
        super().__init__("engine", "The engine is starting.")
        open_engine()

    def step(self) -> None:
        engine().poll()
        if engine().state == STARTING:
            return
        if engine().state != READY:
            raise UserError(engine().message)
        self.end(DONE, engine().message)

    def cancel(self) -> None:
        engine().stop()
        self.end(CANCELLED, engine().message)


@dataclass(frozen=True)
class Job:
    """A job to ask the engine for, and what to do with its end; each returns the sentence for the panel."""

    method: str
    params: Mapping[str, Any]
    done: Callable[[Mapping[str, Any], Mapping[str, np.ndarray[Any, Any]]], str]
    cancelled: Callable[[Mapping[str, Any]], str]


class JobTask(Task):
    """Starts the engine, or connects to it, where none is ready, hands it a job and follows it."""

    def __init__(self, kind: str, job: Job, open_engine: Callable[[], None]) -> None:
        super().__init__(kind, "Asking the engine.")
        self._job = job
        self._handle: JobHandle | None = None
        if engine().state not in (READY, STARTING):
            open_engine()

    def step(self) -> None:
        engine().poll()
        if self._handle is not None or self.state != RUNNING:
            return
        if engine().state == READY:
            self._handle = self._ask()
        elif engine().state == STARTING:
            self.message = engine().message
        else:
            raise UserError(engine().message)

    def cancel(self) -> None:
        if self._handle is None:
            self.end(CANCELLED, "Cancelled before it began.")
        else:
            self.message = "Cancelling."
            self._handle.cancel()

    def abandon(self) -> None:
        """Before the engine has the job it is given up; after that it goes on, followed by the timer that polls."""
        if self._handle is None:
            self.cancel()

    def _ask(self) -> JobHandle:
        return engine().run_job(
            self._job.method,
            self._job.params,
            progress=self._on_progress,
            done=self._on_done,
            failed=lambda sentence: self.end(FAILED, sentence),
            cancelled=lambda result: self.end(CANCELLED, self._job.cancelled(result)),
        )

    def _on_done(self, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        try:
            self.end(DONE, self._job.done(result, arrays))
        except UserError as error:
            self.end(FAILED, str(error))
        except BaseException:
            self.end(FAILED, "This failed in an unexpected way: Blender's console has the details.")
            raise

    def _on_progress(self, state: Mapping[str, Any]) -> None:
        self.fraction, self.eta = float(state["progress"]), state["eta"]
        self.message = str(state["message"]) or str(state["state"]).capitalize()
