"""One client's connection: notifications from any thread, and arrays sent from where they lie."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from srn_engine.server import protocol
from srn_engine.server.job import JobState
from srn_engine.server.protocol import ArrayFrame, Frame

# Notifications that may wait to be sent, by what they tell: a client that reads more slowly misses some.
MAX_PENDING = {"running": 4, "preview": 1}
CHUNK = 2**20  # bytes handed to the system at once
WHOLE_BINARY, LONG = 0x82, 127  # a frame's first two bytes (RFC 6455, section 5.2): its length follows in eight


class WebSocket(ServerConnection):
    """A connection that can send an array without a copy of it; `websockets` itself makes several of each frame."""

    _in_frame = False

    async def send_array(self, frame: ArrayFrame) -> None:
        """Sends one binary frame. ConnectionClosed where the connection has ended."""
        if len(frame.data) < CHUNK or self.state is not State.OPEN:
            await self.send(frame.header + frame.data)
            return
        self._in_frame = True
        try:
            length = len(frame.header) + len(frame.data)
            self.transport.write(struct.pack("!BBQ", WHOLE_BINARY, LONG, length) + frame.header)
            for start in range(0, len(frame.data), CHUNK):
                self.transport.write(frame.data[start : start + CHUNK])
                await self.drain()
                if self.transport.is_closing():
                    break
        finally:
            self._in_frame = False
            self.send_data()

    def send_data(self) -> None:
        """Called by `websockets` where it has something to send: not in the middle of a frame of ours."""
        if not self._in_frame:
            super().send_data()


class Connection:
    """One client's socket; frames that belong together are sent with nothing in between."""

    def __init__(self, websocket: WebSocket) -> None:
        self.closed = False
        self._websocket = websocket
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._sending: dict[asyncio.Task[None], str] = {}  # what each tells

    async def send(self, frames: Sequence[Frame]) -> None:
        async with self._lock:
            for frame in frames:
                if isinstance(frame, ArrayFrame):
                    await self._websocket.send_array(frame)
                else:
                    await self._websocket.send(frame)

    def notify(self, method: str, about: JobState, arrays: Sequence[ArrayFrame]) -> None:
        """Sends a notification soon; called from any thread, never blocks."""
        if not self.closed:
            frames: Sequence[Frame] = [protocol.encode_notification(method, about), *arrays]
            tells = method if method == "preview" else str(about["state"])
            self._loop.call_soon_threadsafe(self._send_soon, frames, tells)

    def _send_soon(self, frames: Sequence[Frame], tells: str) -> None:
        pending = sum(other == tells for other in self._sending.values())
        if self.closed or pending >= MAX_PENDING.get(tells, pending + 1):
            return
        task = self._loop.create_task(self._send_unless_closed(frames))
        self._sending[task] = tells
        task.add_done_callback(self._sending.pop)

    async def _send_unless_closed(self, frames: Sequence[Frame]) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):  # `_talk` sees it too, and drops what is left
            await self.send(frames)


def keep_alive(connection: ServerConnection) -> None:
    """Lets the kernel find out within a minute that the other side's machine is gone."""
    raw: socket.socket = connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS calls TCP_KEEPIDLE TCP_KEEPALIVE
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
