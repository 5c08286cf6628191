"""Work that takes a while, in steps: a modal operator takes them in a window, a loop without one.

What runs and how the last of each kind ended is kept here, outside the file, for the panel to show.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..engine.engine import READY, STARTING, engine
from ..engine.errand import Errand, JobRequest
from ..engine.fetching import fetch_run
from ..engine.jobs import JobCallbacks
from ..engine.transfer import Transfer, TransferCallbacks, TransferProgress
from ..errors import UserError

RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"
UNEXPECTED = "This failed in an unexpected way: Blender's console has the details."


class Task(ABC):
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
        self.notices: Sequence[str] = ()  # what to know before it starts

    @abstractmethod
    def step(self) -> None:
        """Does the next bit of work, or looks how far others are. Raises UserError where it fails."""

    @abstractmethod
    def cancel(self) -> None:
        """Asks the task to end; it may take some more steps to do so."""

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
    """A job to ask the engine for, and what to do with its end; each returns the sentence for the panel.

    `done` may do so in short steps, as a generator that returns it.
    """

    request: JobRequest
    done: Callable[[Mapping[str, Any], Mapping[str, np.ndarray[Any, Any]]], str | Generator[None, None, str]]
    cancelled: Callable[[Mapping[str, Any]], str]


class EngineWork(Task):
    """Starts the engine, or connects to it, where none is ready, then hands it some work and follows that."""

    def __init__(self, kind: str, open_engine: Callable[[], None]) -> None:
        super().__init__(kind, "Asking the engine.")
        self._begun: Errand | Transfer | None = None
        if engine().state not in (READY, STARTING):
            open_engine()

    @abstractmethod
    def begin(self) -> Errand | Transfer:
        """Hands the work to the engine, which is ready; its callbacks end the task. Raises UserError."""

    def step(self) -> None:
        engine().poll()
        if self._begun is not None or self.state != RUNNING:
            return
        if engine().state == READY:
            self._begun = self.begin()
        elif engine().state == STARTING:
            self.message = engine().message
        else:
            raise UserError(engine().message)

    def cancel(self) -> None:
        if self._begun is None:
            self.end(CANCELLED, "Cancelled before it began.")
        else:
            self.message = "Cancelling."
            self._begun.cancel()

    def abandon(self) -> None:
        """Before the engine has the work it is given up; after that it goes on, followed by the timer that polls."""
        if self._begun is None:
            self.cancel()

    def fail(self, sentence: str) -> None:
        self.end(FAILED, sentence)


class JobTask(EngineWork):
    """A job, with its folders sent before and fetched after where the engine is on another computer."""

    def __init__(self, kind: str, job: Job, open_engine: Callable[[], None]) -> None:
        super().__init__(kind, open_engine)
        self._job = job
        self._ending: Generator[None, None, str] | None = None
        self._left = False  # nobody will call `step` any more

    def step(self) -> None:
        if self._ending is None:
            super().step()
            return
        try:
            next(self._ending)
        except StopIteration as ended:
            self.end(DONE, str(ended.value))

    def abandon(self) -> None:
        self._left = True
        if self._ending is None:
            super().abandon()
            return
        self._ending.close()
        self.end(CANCELLED, "Ended before its result was shown.")

    def begin(self) -> Errand:
        callbacks = JobCallbacks(
            progress=self._on_progress,
            done=self._on_done,
            failed=self.fail,
            cancelled=lambda result: self.end(CANCELLED, self._job.cancelled(result)),
        )
        return Errand(engine(), self._job.request, callbacks)

    def _on_done(self, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        try:
            ended = self._job.done(result, arrays)
            if isinstance(ended, str):
                self.end(DONE, ended)
                return
            self._ending = ended
            while self._left and self.state == RUNNING:
                self.step()
        except UserError as error:
            self.end(FAILED, str(error))
        except BaseException:  # whatever it is, and it goes on: the panel must not wait for ever
            self.end(FAILED, UNEXPECTED)
            raise

    def _on_progress(self, state: Mapping[str, Any]) -> None:
        self.fraction, self.eta = float(state["progress"]), state["eta"]
        self.message = str(state["message"]) or str(state["state"]).capitalize()


class FetchTask(EngineWork):
    """Fetches the run that was trained on another computer for a folder."""

    def __init__(self, kind: str, folder: Path, open_engine: Callable[[], None]) -> None:
        super().__init__(kind, open_engine)
        self._folder = folder

    def begin(self) -> Transfer:
        callbacks = TransferCallbacks(
            progress=self._on_progress,
            done=lambda folder: self.end(DONE, "The run is fetched. Next: Render Neural View."),
            failed=self.fail,
            cancelled=lambda: self.end(CANCELLED, "Cancelled: Fetch Run goes on from there."),
        )
        return engine().start_transfer(functools.partial(fetch_run, folder=self._folder), callbacks)

    def _on_progress(self, news: TransferProgress) -> None:
        self.fraction, self.eta, self.message = news.fraction, news.eta, news.message
