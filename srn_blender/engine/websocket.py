"""A connection that reads binary frames straight into memory of their own."""

from __future__ import annotations

import asyncio
import struct
from collections import deque

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

from .messages import MAX_BINARY, Frame

SCRATCH = 65536  # bytes read at once while no binary frame is under way
# RFC 6455, section 5.2: a frame's first byte, that of a whole binary one; then its length, in so many bytes more.
WHOLE_BINARY = 0x82
LONGER = {126: ">H", 127: ">Q"}
EMPTY_BINARY = b"\x82\x00"


class WebSocket(ClientConnection, asyncio.BufferedProtocol):
    """`websockets` copies what it reads several times over; a picture of 33 MB is worth reading once.

    Whole binary frames are taken out of what comes. In the place of each `websockets` gets an empty one, so that it
    keeps their order among the others, and `receive` gives the content instead.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._scratch = memoryview(bytearray(SCRATCH))
        self._contents: deque[memoryview] = deque()
        self._head = b""  # the beginning of a frame whose length is not known yet
        self._left = 0  # bytes of a frame for `websockets` that have not come
        self._content: memoryview | None = None  # of the binary frame that is under way
        self._filled = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._scratch if self._content is None else self._content[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._content is None:
            self._take(bytes(self._scratch[:nbytes]))
        else:
            self._fill(nbytes)

    async def receive(self) -> Frame:
        """The next message, a binary one that came in one frame as a read-only view of its own memory."""
        message = await self.recv()
        return self._contents.popleft() if message == b"" and self._contents else message

    def _take(self, data: bytes) -> None:
        if self.state is State.CONNECTING:  # no frame comes yet, nor with this: an engine answers, and never begins
            self.data_received(data)
            return
        while data:
            if self._left:
                passed, data = data[: self._left], data[self._left :]
                self._left -= len(passed)
                self.data_received(passed)
            else:
                data = self._begin(self._head + data)

    def _begin(self, data: bytes) -> bytes:
        """Begins a frame; what is left of `data` after its head and, where it is ours, its content."""
        self._head = b""
        format_ = LONGER.get(data[1] & 0x7F, "") if len(data) > 1 else ">H"
        start = 2 + struct.calcsize(format_)
        if len(data) < start:
            self._head = data
            return b""
        length = struct.unpack(format_, data[2:start])[0] if format_ else data[1] & 0x7F
        if data[0] != WHOLE_BINARY or data[1] & 0x80 or length > MAX_BINARY:  # or what `websockets` is to refuse
            self._left = length
            self.data_received(data[:start])
            return data[start:]
        content = data[start : start + length]
        self._content, self._filled = np.empty(length, np.uint8).data, 0
        self._content[: len(content)] = content
        self._fill(len(content))
        return data[start + length :]

    def _fill(self, count: int) -> None:
        assert self._content is not None
        self._filled += count
        if self._filled == len(self._content):
            self._contents.append(self._content.toreadonly())
            self._content = None
            self.data_received(EMPTY_BINARY)
