"""The jobs of an engine: pieces of work that wait, run on worker threads, and tell how they get on."""

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from srn_engine.errors import UserError
from srn_engine.previews import View
from srn_engine.progress import Cancelled, Progress
from srn_engine.server import protocol
from srn_engine.server.job import Job, JobState, Listener, State, Work
from srn_engine.server.params import JobParams, Train
from srn_engine.server.protocol import ArrayFrame

PROGRESS_INTERVAL = 0.1  # seconds between two notifications of a running job
MAX_WAITING = 100  # jobs
MAX_ERROR = 10_000  # characters: a sentence always fits into a frame
ENDED_KEPT = 12  # jobs whose result `states` still tells
LANES = {  # by kind; each lane is a worker of its own and does one job after the other
    "render": "renders",
    "train": "trainings",
    "fit": "trainings",
    "propose_views": "trainings",
    "evaluate": "evaluations",
    "mesh": "evaluations",
}
FLEETING = frozenset({"render", "mesh", "propose_views"})  # kinds of which nothing is left but what the client is told
GIVEN = ("dataset", "run")  # folders of a training that its state names

log = logging.getLogger(__name__)

_Lane = queue.SimpleQueue[Job | None]


class JobQueue:
    """Runs jobs, one at a time in each of LANES."""

    def __init__(self, work: Mapping[str, Work]) -> None:
        self._work = work
        self._lock = threading.RLock()
        self._jobs: dict[int, Job] = {}
        self._count = 0
        self._lanes: dict[str, _Lane] = {name: queue.SimpleQueue() for name in dict.fromkeys(LANES.values())}
        # Daemons, so that work which does not heed its cancel flag cannot keep the engine alive.
        self._workers = [
            threading.Thread(target=self._run_lane, args=(lane,), name=name, daemon=True)
            for name, lane in self._lanes.items()
        ]
        for worker in self._workers:
            worker.start()

    def submit(
        self, kind: str, params: JobParams, listener: Listener, given: Mapping[str, object] | None = None
    ) -> Job:
        """Queues a job; UserError where too many wait already. given: its params as the client wrote them."""
        with self._lock:
            if sum(job.state == State.QUEUED for job in self._jobs.values()) >= MAX_WAITING:
                raise UserError(f"{MAX_WAITING} jobs are waiting already: let some end, or cancel them.")
            self._count += 1
            training = isinstance(params, Train)
            told = {name: given[name] for name in GIVEN} if given and training else {}
            view = params.preview if isinstance(params, Train) else None
            job = Job(self._count, kind, params, told, [listener], view)
            self._jobs[job.number] = job
            self._notify(job)
            self._lanes[LANES[kind]].put(job)
            return job

    def follow(self, number: int, listener: Listener) -> JobState:
        """A job's state, of which `listener` hears from now on; UserError where there is no such job any more."""
        with self._lock:
            job = self._jobs.get(number)
            if job is None:
                raise UserError(f"The engine has no job {number} any more: look at `jobs`.")
            if listener not in job.listeners:
                job.listeners.append(listener)
            return job.state_json()

    def preview(self, number: int, view: View | None) -> bool:
        """Has a training show a view from now on, or none; whether it will."""
        with self._lock:
            job = self._jobs.get(number)
            if job is None or job.ended or job.kind != "train":
                return False
            job.view = view
            return view is not None

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
        """Tells `listener` no more, and cancels what would be of use to nobody else; a training goes on."""
        with self._lock:
            for job in list(self._jobs.values()):
                if listener in job.listeners:
                    job.listeners.remove(listener)
                    if not job.listeners and job.kind in FLEETING:
                        self.cancel(job.number)

    def states(self) -> list[JobState]:
        """The jobs that wait or run and the last that ended; FLEETING ones are forgotten at their end."""
        with self._lock:
            return [job.state_json() for job in self._jobs.values()]

    def close(self, timeout: float) -> bool:
        """Cancels everything and waits up to `timeout` seconds for the workers; whether they ended."""
        for number in list(self._jobs):
            self.cancel(number)
        for lane in self._lanes.values():
            lane.put(None)
        deadline = time.monotonic() + timeout
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers)

    def _run_lane(self, lane: _Lane) -> None:
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

    def _do(self, job: Job) -> tuple[State, JobState, Sequence[ArrayFrame]]:
        """Does the work, and encodes what it made here, where an error is the job's and no lock is held."""
        try:
            outcome = self._work[job.kind](job.params, _Desk(self, job))
        except Cancelled as stop:
            return State.CANCELLED, protocol.job_result(stop.result), []
        arrays = [protocol.encode_array(array) for array in outcome.arrays.values()]
        names = {"arrays": list(outcome.arrays)} if arrays else {}
        return State.DONE, protocol.job_result({**outcome.result, **names}), arrays

    def report(self, job: Job, progress: Progress) -> None:
        """Takes the progress that a job's work tells; Cancelled where it is to stop."""
        if job.cancelled.is_set():
            raise Cancelled
        metrics = {name: value if isinstance(value, int) else float(value) for name, value in progress.metrics.items()}
        with self._lock:
            job.progress = replace(progress, metrics=metrics)
            if time.monotonic() - job.notified >= PROGRESS_INTERVAL:
                self._notify(job)

    def show(self, job: Job, about: JobState, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Sends a preview to all who follow a training."""
        frames = [protocol.encode_array(array) for array in arrays.values()]
        with self._lock:
            job.tell("preview", {"job": job.number} | about | {"arrays": list(arrays)}, frames)

    def _end(
        self,
        job: Job,
        state: State,
        result: JobState | None = None,
        arrays: Sequence[ArrayFrame] = (),
        error: str | None = None,
    ) -> None:
        with self._lock:
            job.state, job.result, job.error = state, result, error
            fraction = 1.0 if state == State.DONE else job.progress.fraction
            job.progress = replace(job.progress, fraction=fraction, eta=None)
            self._notify(job, arrays)
            self._forget()

    def _forget(self) -> None:
        """Forgets what is FLEETING and has ended, since its arrays are gone, and all but the last other such jobs."""
        ended = [job for job in self._jobs.values() if job.ended]
        others = [job for job in ended if job.kind not in FLEETING]
        for job in set(ended) - set(others[-ENDED_KEPT:]):
            del self._jobs[job.number]

    def _notify(self, job: Job, arrays: Sequence[ArrayFrame] = ()) -> None:
        job.notified = time.monotonic()
        job.tell("job", job.state_json(), arrays)


class _Desk:
    """`job.Desk` of one job in a queue."""

    def __init__(self, jobs: JobQueue, job: Job) -> None:
        self._jobs = jobs
        self._job = job

    def __call__(self, progress: Progress) -> None:
        self._jobs.report(self._job, progress)

    def wanted(self) -> View | None:
        return self._job.view if self._job.listeners else None

    def show(self, step: int, seconds: float, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._jobs.show(self._job, {"step": step, "seconds": seconds}, arrays)
