"""A transfer between this computer and an engine on another: a thread and a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed

from ..errors import UserError
from . import messages
from .connection import greet, open_connection
from .messages import Answer, BadMessage
from .process import Address
from .websocket import WebSocket

ANSWER_SECONDS = 120.0  # for the engine's disk; a machine that is gone is found by keepalive
WINDOW = 32  # requests under way at once, so that a distant engine is not waited for file by file
TOLD_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class TransferProgress:
    """fraction: 0 to 1 of what `message` speaks of; eta: seconds, None while unknown."""

    message: str
    fraction: float
    eta: float | None


@dataclass(frozen=True)
class TransferEnd:
    """How it ended: `result` where it is done, `error`, a sentence, where it failed; both None where cancelled."""

    result: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class TransferCallbacks:
    """What a transfer's owner is told: `progress` often, then exactly one of the others."""

    progress: Callable[[TransferProgress], None]
    done: Callable[[str], None]
    failed: Callable[[str], None]
    cancelled: Callable[[], None]

    def tell(self, news: TransferProgress | TransferEnd, call: Callable[..., None]) -> None:
        """Has `call` make the callback that `news` asks for."""
        if isinstance(news, TransferProgress):
            call(self.progress, news)
        elif news.error is not None:
            call(self.failed, news.error)
        elif news.result is not None:
            call(self.done, news.result)
        else:
            call(self.cancelled)


class Line:
    """The connection of a transfer. Requests may go out before earlier ones are answered; answers come in order."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._count = 0

    async def ask(self, method: str, params: Mapping[str, object]) -> messages.Json:
        """A request's result, where none is under way. Raises UserError with the engine's sentence."""
        await self.post(method, params)
        return (await self.answer())[0]

    async def post(self, method: str, params: Mapping[str, object], piece: bytes | None = None) -> None:
        self._count += 1
        if piece is None:
            await self._websocket.send(messages.encode_request(self._count, method, params))
        else:
            await self._websocket.send(messages.encode_piece(self._count, method, params, piece))

    async def answer(self) -> tuple[messages.Json, bytes]:
        """The result of the first request that is not answered yet, and the piece that came with it."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = messages.decode(await self._websocket.receive())
        except TimeoutError:
            raise UserError("The engine does not answer any more: see how it is there, then try again.") from None
        if not isinstance(answer, Answer):
            raise BadMessage("a job's state came that nobody asked for")
        if answer.error is not None:
            raise UserError(answer.error)
        if not isinstance(answer.result, dict):
            raise BadMessage("a result is missing")
        return answer.result, answer.piece


class Teller:
    """What a transfer tells of itself, and how it hears that it is to stop."""

    def __init__(self, put: Callable[[TransferProgress], None]) -> None:
        self._put = put
        self._stopped = threading.Event()
        self.begin("Connecting.", 0)

    def begin(self, what: str, total: int) -> None:
        """Begins a part of the work: `total` bytes, for which `what` may say {done} and {total} in MB."""
        self._what, self._total, self._done = what, total, 0
        self._began, self._told = time.monotonic(), 0.0

    def advance(self, count: int) -> None:
        """So many bytes more are done. Raises CancelledError once the transfer is to stop."""
        if self._stopped.is_set():
            raise asyncio.CancelledError
        self._done += count
        now = time.monotonic()
        if now - self._told < TOLD_EVERY:
            return
        self._told, passed = now, now - self._began
        eta = passed * (self._total - self._done) / self._done if self._done and passed > 1.0 else None
        message = self._what.format(done=_megabytes(self._done), total=_megabytes(self._total))
        self._put(TransferProgress(message, self._done / max(self._total, 1), eta))

    def stop(self) -> None:
        self._stopped.set()


Work = Callable[[Line, Teller], Awaitable[str]]
"""What a transfer does; UserError where it cannot."""


class Transfer:
    """Runs `work`, once. `next_news` gives what it tells, its end last; nothing here blocks but `join`."""

    def __init__(self, address: Address, work: Work) -> None:
        self._address = address
        self._work = work
        self._news: queue.SimpleQueue[TransferProgress | TransferEnd] = queue.SimpleQueue()
        self._teller = Teller(self._news.put)
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._live())
        # A daemon, so that it cannot keep Blender from quitting; what has come is kept, and can be gone on with.
        self._thread = threading.Thread(target=self._run, name="srn transfer", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        self._teller.stop()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._task.cancel)

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def next_news(self) -> TransferProgress | TransferEnd | None:
        try:
            return self._news.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        end = TransferEnd(error="The transfer broke off: Blender's console has the details.")
        try:
            end = TransferEnd(result=self._loop.run_until_complete(self._task))
        except asyncio.CancelledError:
            end = TransferEnd()
        except UserError as error:
            end = TransferEnd(error=str(error))
        except BadMessage as error:
            end = TransferEnd(
                error=f"The engine broke the protocol ({error}): bring the add-on and the engine to the same version."
            )
        except ConnectionClosed:
            where = f"{self._address.host}:{self._address.port}"
            end = TransferEnd(error=f"The connection to {where} broke off: try again, and it goes on from there.")
        except OSError as error:
            end = TransferEnd(error=_refusal(error))
        finally:
            self._loop.close()
            self._news.put(end)

    async def _live(self) -> str:
        async with await open_connection(self._address) as websocket:
            await greet(websocket)
            return await self._work(Line(websocket), self._teller)


def _refusal(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"This computer's disk refuses ({where}{error.strerror}): look after it, then try again."


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}" if count < 10e6 else f"{count / 1e6:.0f}"
