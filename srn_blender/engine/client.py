"""The thread that talks to an engine: starts or reaches it, sends requests, and puts what comes into a queue."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from websockets.exceptions import ConnectionClosed

from ..errors import UserError
from . import messages
from .connection import greet, open_connection
from .messages import Answer, BadMessage, JobChange, Previewed
from .process import Address
from .websocket import WebSocket


@dataclass(frozen=True)
class Ready:
    """The engine answered `hello` with `info`."""

    info: messages.Json


@dataclass(frozen=True)
class Lost:
    """There is no engine, or no more, as `sentence` says; no event comes after this."""

    sentence: str


Event = Ready | Answer | JobChange | Previewed | Lost


class Host(Protocol):
    """Where an engine runs: a process of ours (`process.EngineProcess`) or somebody else's (`OtherHost`)."""

    async def start(self) -> Address:
        """Makes the engine listen; UserError where it does not."""

    async def end(self) -> None: ...

    async def why_lost(self) -> str:
        """Why the connection to it was lost, in a sentence."""


class OtherHost:
    """An engine that somebody else started, and that goes on without us."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def start(self) -> Address:
        return self._address

    async def end(self) -> None:
        pass

    async def why_lost(self) -> str:
        where = f"{self._address.host}:{self._address.port}"
        return f"The connection to the engine at {where} was lost: see that it runs there, then connect again."


class Client:
    """Talks to one engine, once; every method but the constructor returns at once and may be called from any thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._previews: dict[int, Previewed] = {}  # by job, those not handed on yet: of each only the newest
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._live())
        # A daemon, so that it cannot keep Blender from quitting; the engine ends when its standard input closes.
        self._thread = threading.Thread(target=self._run, name="srn engine", daemon=True)
        self._thread.start()

    def send(self, frame: str) -> None:
        self._call(self._outbox.put_nowait, frame)

    def stop(self) -> None:
        """Closes the connection and ends the engine if it is ours."""
        self._call(self._task.cancel)

    def join(self, timeout: float) -> None:
        """Waits for the end after `stop`; the one method that blocks."""
        self._thread.join(timeout)

    def next_event(self) -> Event | None:
        """The next thing that happened; None while there is none."""
        alive = self._thread.is_alive()  # asked first: what a thread said before it ended is in the queue by now
        try:
            event = self._inbox.get_nowait()
            if not isinstance(event, Previewed):
                return event
            with self._lock:
                return self._previews.pop(event.job)
        except queue.Empty:
            if alive:
                return None
            return Lost("The connection to the engine broke off (Blender's console has the details): start it again.")

    def _call(self, function: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and `next_event` says so
            self._loop.call_soon_threadsafe(function, *args)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass  # by `stop`
        finally:
            self._loop.close()

    async def _live(self) -> None:
        try:
            await self._talk(await self._host.start())
        except UserError as error:
            self._inbox.put(Lost(str(error)))
        except BadMessage as error:
            sentence = f"The engine broke the protocol ({error}): bring the add-on and the engine to the same version."
            self._inbox.put(Lost(sentence))
        except ConnectionClosed:
            self._inbox.put(Lost(await self._host.why_lost()))
        finally:
            await self._host.end()

    async def _talk(self, address: Address) -> None:
        async with await open_connection(address) as websocket:
            self._inbox.put(Ready(await greet(websocket)))
            writer = asyncio.create_task(self._write(websocket))
            try:
                while True:
                    self._take(await _receive(websocket))
            finally:
                writer.cancel()

    def _take(self, news: Answer | JobChange | Previewed) -> None:
        """Puts what came into the queue. A preview replaces the one that still waits there: while Blender is busy they
        would fill the memory."""
        if not isinstance(news, Previewed):
            self._inbox.put(news)
            return
        with self._lock:
            waits = news.job in self._previews
            self._previews[news.job] = news
        if not waits:
            self._inbox.put(news)

    async def _write(self, websocket: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):  # the reader meets it too
            while True:
                await websocket.send(await self._outbox.get())


async def _receive(websocket: WebSocket) -> Answer | JobChange | Previewed:
    message = messages.decode(await websocket.receive())
    if isinstance(message, Answer):
        return message
    arrays = {name: messages.decode_array(name, await websocket.receive()) for name in message.array_names}
    return replace(message, arrays=arrays)
