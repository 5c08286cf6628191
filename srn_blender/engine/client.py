"""The thread that talks to an engine: starts or reaches it, sends requests, and puts what comes into a queue."""

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ..errors import UserError
from . import messages
from .messages import Answer, BadMessage, JobChange
from .process import Address

HELLO = 0  # the number of the first request; the caller's own start at 1
HELLO_SECONDS = 20.0


@dataclass(frozen=True)
class Ready:
    """The engine answered `hello` with `info`."""

    info: messages.Json


@dataclass(frozen=True)
class Lost:
    """There is no engine, or no more, as `sentence` says; no event comes after this."""

    sentence: str


Event = Ready | Answer | JobChange | Lost


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
            return self._inbox.get_nowait()
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
        async with await _connect(address) as websocket:
            self._inbox.put(Ready(await _greet(websocket)))
            writer = asyncio.create_task(self._write(websocket))
            try:
                while True:
                    self._inbox.put(await _receive(websocket))
            finally:
                writer.cancel()

    async def _write(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # the reader meets it too
            while True:
                await websocket.send(await self._outbox.get())


async def _connect(address: Address) -> ClientConnection:
    where = f"{address.host}:{address.port}"
    if not (address.token and address.token.isascii() and address.token.isprintable()):
        raise UserError("The engine's token must be one line of ASCII text.")
    host = f"[{address.host}]" if ":" in address.host else address.host
    try:
        websocket = await connect(
            f"ws://{host}:{address.port}",
            additional_headers={"Authorization": f"Bearer {address.token}"},
            compression=None,
            proxy=None,
            max_size=messages.MAX_BINARY,
            # Python's side of this process can stand still while Blender works, so that a pong would come too late:
            # the kernel's own keepalive finds dead peers instead.
            ping_interval=None,
            close_timeout=2,
        )
    except InvalidStatus as error:
        if error.response.status_code == 401:
            raise UserError(f"The engine at {where} refuses the token: use the one that it was started with.") from None
        raise UserError(f"What listens at {where} is no engine: check the port.") from None
    except InvalidHandshake:
        raise UserError(f"What listens at {where} is no engine: check the port.") from None
    except (InvalidURI, ValueError):
        raise UserError(f"{where} is no address: give the name of a machine and a port.") from None
    except OSError:
        raise UserError(
            f"No engine answers at {where}: start `srn-engine serve` there and check the address."
        ) from None
    _keep_alive(websocket)
    return websocket


async def _greet(websocket: ClientConnection) -> messages.Json:
    """What the engine says of itself; UserError where it refuses, or speaks another version of the protocol."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            await websocket.send(messages.hello(HELLO))
            answer = messages.decode(await websocket.recv())
    except TimeoutError:
        raise UserError(f"The engine did not answer within {HELLO_SECONDS:.0f} seconds: start it again.") from None
    if isinstance(answer, Answer) and answer.error is not None:
        raise UserError(answer.error)
    if not isinstance(answer, Answer) or not isinstance(answer.result, dict):
        raise BadMessage("hello was not answered")
    wrong = messages.check_version(answer.result)
    if wrong is not None:
        raise UserError(wrong)
    return answer.result


async def _receive(websocket: ClientConnection) -> Answer | JobChange:
    message = messages.decode(await websocket.recv())
    if isinstance(message, Answer):
        return message
    arrays = {name: messages.decode_array(name, await websocket.recv()) for name in message.array_names}
    return JobChange(message.state, arrays)


def _keep_alive(websocket: ClientConnection) -> None:
    """Lets the kernel find out within a minute that the other side's machine is gone."""
    raw: socket.socket = websocket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS calls TCP_KEEPIDLE TCP_KEEPALIVE
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
