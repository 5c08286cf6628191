"""Jobs: pieces of engine work with a state, progress, cancel and a result, on worker threads."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.server import protocol
from srn_engine.server.params import JobParams

PROGRESS_INTERVAL = 0.1  # seconds between two notifications of a running job
MAX_WAITING = 100  # jobs
MAX_ERROR = 10_000  # characters: a sentence always fits into a frame
ENDED_KEPT = 16  # jobs whose result `states` still tells

log = logging.getLogger(__name__)


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


Work = Callable[[JobParams, Report], Outcome]
"""Does a job in a worker thread; raises UserError for what the user can put right."""


JobState = dict[str, object]
"""A `job` object of the protocol, or the `result` inside it."""

Listener = Callable[[JobState, Sequence[bytes]], None]
"""Told of a job's state and, once it is done, of its arrays as frames; called from any thread, must not block."""


@dataclass(eq=False)
class Job:
    """One job; its fields change only under the queue's lock."""

    number: int
    kind: str
    params: JobParams
    listener: Listener
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
        }
        if self.result is not None:
            state["result"] = self.result
        if self.error is not None:
            state["error"] = self.error
        return state


class JobQueue:
    """Runs jobs: renders on a worker of their own, all other kinds one at a time in order."""

    def __init__(self, work: Mapping[str, Work]) -> None:
        self._work = work
        self._lock = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._count = 0
        self._renders: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._others: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # Daemons, so that work which does not heed its cancel flag cannot keep the engine alive.
        self._workers = [
            threading.Thread(target=self._run_lane, args=(lane,), name=name, daemon=True)
            for lane, name in ((self._renders, "renders"), (self._others, "trainings"))
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, kind: str, params: JobParams, listener: Listener) -> Job:
        """Queues a job; UserError where too many wait already."""
        with self._lock:
            if sum(job.state == State.QUEUED for job in self._jobs.values()) >= MAX_WAITING:
                raise UserError(f"{MAX_WAITING} jobs are waiting already: let some end, or cancel them.")
            self._count += 1
            job = Job(self._count, kind, params, listener)
            self._jobs[job.number] = job
            self._notify(job)
            (self._renders if kind == "render" else self._others).put(job)
            return job

    def cancel(self, number: int) -> bool:
        """Cancels a job; False where it has ended, or never was."""
        with self._lock:
            job = self._jobs.get(number)
            if job is None or job.ended:
                return False
            job.cancelled.set()
            if job.state == State.QUEUED:
                self._end(job, State.CANCELLED, result={})
            return True

    def drop(self, listener: Listener) -> None:
        """Cancels the renders that nobody waits for any more; a training goes on."""
        with self._lock:
            for job in list(self._jobs.values()):
                if job.listener == listener and job.kind == "render":
                    self.cancel(job.number)

    def states(self) -> list[JobState]:
        """The jobs that wait or run and the last that ended; ended renders are forgotten with their arrays."""
        with self._lock:
            return [job.state_json() for job in self._jobs.values()]

    def close(self, timeout: float) -> bool:
        """Cancels everything and waits up to `timeout` seconds for the workers; whether they ended."""
        for number in list(self._jobs):
            self.cancel(number)
        self._renders.put(None)
        self._others.put(None)
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers)

    def _run_lane(self, lane: "queue.SimpleQueue[Job | None]") -> None:
        while (job := lane.get()) is not None:
            with self._lock:
                if job.ended:  # cancelled while it waited
                    continue
                job.state = State.RUNNING
                job.progress = Progress(0.0, "starting")
                self._notify(job)
            self._run(job)

    def _run(self, job: Job) -> None:
        try:
            state, result, arrays = self._do(job)
        except UserError as error:
            self._end(job, State.FAILED, error=str(error)[:MAX_ERROR])
        except Exception as error:  # whatever a job meets, its client hears of it and the engine goes on
            log.exception("Job %d (%s) failed", job.number, job.kind)
            what = f"{type(error).__name__}: {error}"[:MAX_ERROR]
            self._end(job, State.FAILED, error=f"The engine met an unexpected error ({what}); its log has the details.")
        else:
            self._end(job, state, result, arrays)

    def _do(self, job: Job) -> tuple[State, JobState, Sequence[bytes]]:
        """Does the work, and encodes what it made here, where an error is the job's and no lock is held."""
        try:
            outcome = self._work[job.kind](job.params, lambda progress: self._report(job, progress))
        except Cancelled as stop:
            return State.CANCELLED, protocol.job_result(stop.result), []
        arrays = [protocol.encode_array(array) for array in outcome.arrays.values()]
        names = {"arrays": list(outcome.arrays)} if arrays else {}
        return State.DONE, protocol.job_result({**outcome.result, **names}), arrays

    def _report(self, job: Job, progress: Progress) -> None:
        if job.cancelled.is_set():
            raise Cancelled
        metrics = {name: value if isinstance(value, int) else float(value) for name, value in progress.metrics.items()}
        with self._lock:
            job.progress = replace(progress, metrics=metrics)
            if time.monotonic() - job.notified >= PROGRESS_INTERVAL:
                self._notify(job)

    def _end(
        self,
        job: Job,
        state: State,
        result: JobState | None = None,
        arrays: Sequence[bytes] = (),
        error: str | None = None,
    ) -> None:
        with self._lock:
            job.state, job.result, job.error = state, result, error
            fraction = 1.0 if state == State.DONE else job.progress.fraction
            job.progress = replace(job.progress, fraction=fraction, eta=None)
            self._notify(job, arrays)
            self._forget()

    def _forget(self) -> None:
        """Forgets ended renders, since their arrays are gone, and all but the last other jobs that ended."""
        ended = [job for job in self._jobs.values() if job.ended]
        others = [job for job in ended if job.kind != "render"]
        for job in set(ended) - set(others[-ENDED_KEPT:]):
            del self._jobs[job.number]

    def _notify(self, job: Job, arrays: Sequence[bytes] = ()) -> None:
        job.notified = time.monotonic()
        job.listener(job.state_json(), arrays)
