"""The one engine of this Blender: its state, its requests and jobs. Everything here runs on the main thread.

`poll` does what the thread's news ask for; a timer calls it in a window, `wait` and `wait_ready` in a script.
"""

import atexit
import functools
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .client import Client, Event, Host, Lost, OtherHost, Ready
from .jobs import JobCallbacks, JobHandle, ignore
from .messages import Answer, JobChange, Json, Previewed, encode_request
from .process import Address, EngineProcess, check_interpreter
from .transfer import Transfer, TransferCallbacks, TransferEnd, Work

STOPPED, STARTING, READY, FAILED = "stopped", "starting", "ready", "failed"


@dataclass(frozen=True)
class _Request:
    done: Callable[[Json], None]
    failed: Callable[[str], None]


class Engine:
    """`state` is "stopped", "starting", "ready" or "failed"; `message` says it in a sentence, for a panel.

    `info` is the result of `hello`, {} while there is none.
    Every request, job and transfer gets exactly one of its callbacks, from `poll`, `stop` or `close`, whatever happens
    to the engine.
    """

    def __init__(self) -> None:
        self.state = STOPPED
        self.message = "The engine is not running."
        self.info: Json = {}
        self._client: Client | None = None
        self._count = 0
        self._requests: dict[int, _Request] = {}
        self._jobs: dict[JobHandle, JobCallbacks] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._address: Address | None = None  # of an engine that we did not start
        self._transfers: dict[Transfer, TransferCallbacks] = {}

    def start(self, interpreter: str | Path) -> None:
        """Starts an engine with a Python interpreter; returns at once, `state` tells how it goes.

        UserError where the interpreter is no file.
        """
        self._open(EngineProcess(check_interpreter(str(interpreter))), "The engine is starting.")

    def connect(self, host: str, port: int, token: str) -> None:
        """Connects to an engine that runs already, here or on another machine; returns at once, as `start` does."""
        address = Address(host, port, token)
        self._open(OtherHost(address), f"Connecting to the engine at {host}:{port}.", address)

    def stop(self) -> None:
        """Ends our engine, or leaves another's; a training that runs saves what it has learned."""
        for transfer in self._transfers:
            transfer.cancel()
        if self._client is not None:
            self._client.stop()
        self._leave(STOPPED, "The engine is not running.", "The engine was stopped before this ended.")
        self._run_calls()

    def close(self, timeout: float = 2.0) -> None:
        """Stops, and waits a moment for the end of the engine's process."""
        client, transfers = self._client, list(self._transfers)
        self.stop()
        for transfer in transfers:
            transfer.join(timeout)
        self._poll_transfers()
        if client is not None:
            client.join(timeout)

    def request(
        self,
        method: str,
        params: Mapping[str, object],
        done: Callable[[Json], None],
        failed: Callable[[str], None],
    ) -> None:
        """Sends a request; `done` gets its result ({} for null). UserError where no engine is ready."""
        if self._client is None or self.state != READY:
            raise UserError("The engine is not ready: start it first.")
        self._count += 1
        frame = encode_request(self._count, method, params)
        self._requests[self._count] = _Request(done, failed)
        self._client.send(frame)

    def run_job(
        self,
        method: str,
        params: Mapping[str, object],
        *,
        done: Callable[[Json, Mapping[str, np.ndarray]], None],
        failed: Callable[[str], None],
        cancelled: Callable[[Json], None],
        progress: Callable[[Json], None] = ignore,
        preview: Callable[[int, Mapping[str, np.ndarray]], None] = ignore,
    ) -> JobHandle:
        """Starts a job, or follows one that runs already (`follow`). UserError where no engine is ready.

        The callbacks are those of JobCallbacks.
        """
        handle = JobHandle(method, lambda number: self.request("cancel", {"job": number}, ignore, ignore))
        callbacks = JobCallbacks(progress, done, failed, cancelled, preview)

        def taken(result: Json) -> None:
            self._take(handle, result)

        def refused(sentence: str) -> None:
            self._fail(handle, sentence)

        self.request(method, params, taken, refused)
        self._jobs[handle] = callbacks
        return handle

    @property
    def has_storage(self) -> bool:
        """Whether the engine names folders in its own storage, and does not see the disk of this computer."""
        return self.info.get("storage") is True

    def start_transfer(self, work: Work, callbacks: TransferCallbacks) -> Transfer:
        """Starts to send or fetch on a connection of its own. UserError where no engine with a storage is ready."""
        if self._address is None or not self.has_storage:
            raise UserError("The engine keeps nothing for other computers: start it there with --storage DIR.")
        transfer = Transfer(self._address, work)
        self._transfers[transfer] = callbacks
        return transfer

    def poll(self) -> None:
        """Does what the news since the last call ask for; never blocks. What a callback raises comes out here."""
        self._run_calls()
        self._poll_transfers()
        while self._client is not None and (event := self._client.next_event()) is not None:
            self._handle(event)
            self._run_calls()

    def wait(self, handle: JobHandle, timeout: float) -> JobHandle:
        """Polls until the job has ended, its callbacks called; UserError after `timeout` seconds."""
        self._poll_until(lambda: handle.ended, timeout, f"{handle.method} did not end")
        return handle

    def wait_ready(self, timeout: float = 90.0) -> None:
        """Polls until the engine is ready; UserError where it fails, or is not after `timeout` seconds."""
        self._poll_until(lambda: self.state != STARTING, timeout, "the engine did not start")
        if self.state != READY:
            raise UserError(self.message)

    def _poll_until(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        self.poll()
        while not reached():
            if time.monotonic() > deadline:
                raise UserError(f"Waited {timeout:g} seconds and {what}: wait longer, or stop the engine.")
            time.sleep(0.005)
            self.poll()

    def _open(self, host: Host, message: str, address: Address | None = None) -> None:
        if self._client is not None:
            raise UserError("An engine is running already: stop it first.")
        self.state, self.message, self._address = STARTING, message, address
        self._client = Client(host)

    def _handle(self, event: Event) -> None:
        match event:
            case Ready(info):
                self.state, self.info = READY, info
                self.message = f"The engine is ready ({info.get('device')}, PyTorch {info.get('torch')})."
                if self._address is not None and not self.has_storage:
                    self.message += " If it is on another computer, start it there with --storage DIR."
            case Answer():
                self._answered(event)
            case JobChange():
                self._changed(event)
            case Previewed():
                for handle in self._with_number(event.job):
                    self._call(self._jobs[handle].preview, event.step, event.arrays)
            case Lost(sentence):
                self._leave(FAILED, sentence, sentence)

    def _answered(self, answer: Answer) -> None:
        request = self._requests.pop(answer.id, None) if answer.id is not None else None
        if request is None:
            self.message = f"The engine answered what was not asked: {answer.error or answer.result}"
        elif answer.error is not None:
            self._call(request.failed, answer.error)
        else:
            self._call(request.done, answer.result if isinstance(answer.result, dict) else {})

    def _take(self, handle: JobHandle, result: Json) -> None:
        """Takes the answer to a job's request: its number, and of a job that is followed all its state."""
        number = result.get("job")
        if handle not in self._jobs:
            return  # the connection was lost meanwhile
        if type(number) is not int:
            self._fail(
                handle, "The engine gave the job no number: bring the add-on and the engine to the same version."
            )
            return
        handle.taken(number)
        if isinstance(result.get("state"), str):
            self._set(handle, JobChange(result))

    def _with_number(self, number: object) -> list[JobHandle]:
        """Our handles of a job; none where it is another connection's, several where it is followed twice."""
        return [handle for handle in self._jobs if handle.number == number]

    def _changed(self, change: JobChange) -> None:
        for handle in self._with_number(change.state["job"]):
            self._set(handle, change)

    def _set(self, handle: JobHandle, change: JobChange) -> None:
        handle.progress = change.state
        handle.state = str(change.state["state"])
        result = change.state.get("result")
        handle.result = result if isinstance(result, dict) else {}
        if not handle.ended:
            self._call(self._jobs[handle].progress, change.state)
        elif handle.state == "failed":
            self._fail(handle, str(change.state.get("error")))
        elif handle.state == "done":
            handle.arrays = change.arrays
            self._call(self._jobs.pop(handle).done, handle.result, handle.arrays)
        else:
            self._call(self._jobs.pop(handle).cancelled, handle.result)

    def _fail(self, handle: JobHandle, sentence: str) -> None:
        callbacks = self._jobs.pop(handle, None)
        if callbacks is not None:
            handle.state, handle.error = "failed", sentence
            self._call(callbacks.failed, sentence)

    def _leave(self, state: str, message: str, sentence: str) -> None:
        """Forgets the engine; whatever still waits for it fails with `sentence`."""
        self._client, self.state, self.message, self.info = None, state, message, {}
        requests, self._requests = self._requests, {}
        for request in requests.values():
            self._call(request.failed, sentence)
        for handle in list(self._jobs):
            self._fail(handle, sentence)

    def _poll_transfers(self) -> None:
        for transfer, callbacks in list(self._transfers.items()):
            while (news := transfer.next_news()) is not None:
                if isinstance(news, TransferEnd):
                    del self._transfers[transfer]
                callbacks.tell(news, self._call)
        self._run_calls()

    def _call(self, function: Callable[..., None], *args: object) -> None:
        self._calls.append(functools.partial(function, *args))

    def _run_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()


@functools.cache
def engine() -> Engine:
    """The one engine of this Blender."""
    the_engine = Engine()
    atexit.register(the_engine.close)
    return the_engine
