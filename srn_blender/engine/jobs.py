"""A job of ours, as its owner sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .messages import Json

ENDED = ("done", "failed", "cancelled")


class JobHandle:
    """A job of ours. `state` is the protocol's, and "asked" until the engine has taken it.

    `progress` is the last `job` notification; `result` and `arrays` are there once it is done, `result` (what was
    kept) once it is cancelled, `error` (a sentence) once it has failed.
    """

    def __init__(self, method: str, cancel: Callable[[int], None]) -> None:
        """cancel: asks the engine to stop the job with a number."""
        self.method = method
        self.state = "asked"
        self.number: int | None = None
        self.progress: Json = {}
        self.result: Json = {}
        self.arrays: Mapping[str, np.ndarray] = {}
        self.error = ""
        self._cancel = cancel
        self._cancel_asked = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def cancel(self) -> None:
        """Asks the engine to stop the job; how it ended comes as for any job."""
        self._cancel_asked = True
        if self.number is not None and not self.ended:
            self._cancel(self.number)

    def taken(self, number: int) -> None:
        """Called by the engine once the job has its number."""
        self.number = number
        if self._cancel_asked:
            self.cancel()


def ignore(*news: object) -> None:
    """A callback that does nothing."""


@dataclass(frozen=True)
class JobCallbacks:
    """What a job's owner is told: `progress` (a `job` notification) often, and `preview` (the step, arrays by name)
    where the job shows itself; then exactly one of `done` (result, arrays by name), `failed` (a sentence) and
    `cancelled` (a result that says what was kept, maybe {})."""

    progress: Callable[[Json], None]
    done: Callable[[Json, Mapping[str, np.ndarray]], None]
    failed: Callable[[str], None]
    cancelled: Callable[[Json], None]
    preview: Callable[[int, Mapping[str, np.ndarray]], None] = ignore
