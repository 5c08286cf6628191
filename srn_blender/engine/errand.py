"""A job and its folders: where the engine does not see this computer's disk, they are sent there and fetched back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import UserError
from .contents import Hashes
from .engine import Engine
from .fetching import HostRun, fetch_run
from .jobs import JobCallbacks, JobHandle
from .messages import Json
from .sending import send_folder
from .transfer import Transfer, TransferCallbacks, TransferProgress, Work

_hashes = Hashes()


@dataclass(frozen=True)
class FolderRead:
    """A folder that a job reads; where it is sent, `only` these of its own files, or all where there are none."""

    path: Path
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRequest:
    """What to ask for: a method and its params, the folders among them apart, by the params' names.

    writes: the folders that the job writes. Of `follow`, those of the job that is followed, to be fetched at its end.
    """

    method: str
    params: Mapping[str, object]
    reads: Mapping[str, FolderRead] = field(default_factory=dict)
    writes: Mapping[str, Path] = field(default_factory=dict)


class Errand:
    """Runs a job on any engine that is ready; exactly one of `done`, `failed` and `cancelled` of `callbacks` follows.

    Raises UserError where no engine is ready.
    """

    def __init__(self, engine: Engine, job: JobRequest, callbacks: JobCallbacks) -> None:
        self._engine = engine
        self._job = job
        self._callbacks = callbacks
        self._cancel_asked = False
        self._params = dict(job.params)
        self._to_send = dict(job.reads) if engine.has_storage else {}
        if not engine.has_storage:
            self._params |= {name: str(folder.path) for name, folder in job.reads.items()}
        self._current: JobHandle | Transfer = self._next()

    def cancel(self) -> None:
        """Stops what runs; what was sent stays there, and what a training has learned is fetched all the same."""
        self._cancel_asked = True
        self._current.cancel()

    def _next(self) -> JobHandle | Transfer:
        if not self._to_send:
            return self._run_job()
        name = next(iter(self._to_send))
        folder = self._to_send.pop(name)
        work = functools.partial(send_folder, folder=folder.path, only=folder.only, hashes=_hashes)

        def sent(there: str) -> None:
            self._params[name] = there
            if self._cancel_asked:  # a moment too late for the transfer to hear of it
                self._callbacks.cancelled({})
            else:
                self._go_on(self._next)

        return self._transfer(work, sent, self._callbacks.failed, lambda: self._callbacks.cancelled({}))

    def _run_job(self) -> JobHandle:
        callbacks, there = self._callbacks, self._engine.has_storage
        if there and self._job.writes:
            callbacks = replace(callbacks, done=self._made, failed=self._not_made, cancelled=self._cut)
        if self._job.method != "follow":
            for name, folder in self._job.writes.items():
                self._params[name] = HostRun.begin(folder).name if there else str(folder)
                if not there:
                    HostRun.begin_here(folder)
        return self._engine.run_job(
            self._job.method,
            self._params,
            progress=callbacks.progress,
            done=callbacks.done,
            failed=callbacks.failed,
            cancelled=callbacks.cancelled,
            preview=callbacks.preview,
        )

    def _made(self, result: Json, arrays: Mapping[str, np.ndarray]) -> None:
        self._fetch(list(self._job.writes.values()), lambda: self._callbacks.done(result, arrays))

    def _not_made(self, sentence: str) -> None:
        lost = not self._engine.has_storage  # nothing is told of an engine that is no longer there
        goes_on = "The training goes on there: press Fetch Run later."
        if self._job.method not in ("train", "follow"):
            goes_on = "Ask for it again once it is connected."
        self._callbacks.failed(f"{sentence} {goes_on}" if lost else sentence)

    def _cut(self, result: Json) -> None:
        if "run" in result:
            self._fetch(list(self._job.writes.values()), lambda: self._callbacks.cancelled(result))
        else:
            self._callbacks.cancelled(result)

    def _fetch(self, folders: Sequence[Path], fetched: Callable[[], None]) -> None:
        """Fetches one folder after the other."""
        if not folders:
            fetched()
            return
        first, *rest = folders
        work = functools.partial(fetch_run, folder=first)
        later = "The run is kept on the other computer: press Fetch Run."
        if self._job.method not in ("train", "follow"):
            later = "Ask for it again."
        self._go_on(
            lambda: self._transfer(
                work,
                lambda folder: self._fetch(rest, fetched),
                lambda sentence: self._callbacks.failed(f"{sentence} {later}"),
                lambda: self._callbacks.failed(f"Fetching was cancelled. {later}"),
            )
        )

    def _go_on(self, begin: Callable[[], JobHandle | Transfer]) -> None:
        try:
            self._current = begin()
        except UserError as error:  # the engine was lost meanwhile, or the folder cannot be written
            self._callbacks.failed(str(error))

    def _transfer(
        self, work: Work, done: Callable[[str], None], failed: Callable[[str], None], cancelled: Callable[[], None]
    ) -> Transfer:
        return self._engine.start_transfer(work, TransferCallbacks(self._tell, done, failed, cancelled))

    def _tell(self, news: TransferProgress) -> None:
        self._callbacks.progress({"message": news.message, "progress": news.fraction, "eta": news.eta})
