"""One job: its state, its progress, and who hears of it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from srn_engine.previews import View
from srn_engine.progress import Progress
from srn_engine.server.params import JobParams
from srn_engine.server.protocol import ArrayFrame


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Outcome:
    """What a job has made: the protocol's `result`, and arrays by name where it made any."""

    result: Mapping[str, object]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


class Desk(Protocol):
    """What a job's work tells while it goes on, and where it hears of its clients: a `Report` and `Previews` in one."""

    def __call__(self, progress: Progress) -> None: ...

    def wanted(self) -> View | None: ...

    def show(self, step: int, seconds: float, arrays: Mapping[str, npt.NDArray[Any]]) -> None: ...


Work = Callable[[JobParams, Desk], Outcome]
"""Does a job in a worker thread; raises UserError for what the user can put right."""


JobState = dict[str, object]
"""A `job` object of the protocol, or the `result` inside it."""

Listener = Callable[[str, JobState, Sequence[ArrayFrame]], None]
"""Told of a notification's method and params and, where it has them, its arrays as frames; called from any thread, must
not block."""


@dataclass(eq=False)
class Job:
    """One job; its fields change only under the queue's lock.

    given: its folders as the client named them, for what outlives the connection. view: what it is to show of itself.
    """

    number: int
    kind: str
    params: JobParams
    given: Mapping[str, object]
    listeners: list[Listener]
    view: View | None
    state: State = State.QUEUED
    progress: Progress = field(default_factory=lambda: Progress(0.0, "waiting"))
    result: JobState | None = None
    error: str | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    notified: float = 0.0  # time.monotonic() of the last notification

    @property
    def ended(self) -> bool:
        return self.state not in (State.QUEUED, State.RUNNING)

    def state_json(self) -> JobState:
        """The protocol's `job` object."""
        state: JobState = {
            "job": self.number,
            "kind": self.kind,
            "state": self.state.value,
            "progress": min(1.0, max(0.0, self.progress.fraction)),
            "eta": self.progress.eta,
            "message": self.progress.message,
            "metrics": dict(self.progress.metrics),
            **self.given,
        }
        if self.result is not None:
            state["result"] = self.result
        if self.error is not None:
            state["error"] = self.error
        return state

    def tell(self, method: str, params: JobState, frames: Sequence[ArrayFrame] = ()) -> None:
        for listener in self.listeners:
            listener(method, params, frames)
