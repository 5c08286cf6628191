"""Frames in whatever pieces the network brings them."""

from __future__ import annotations

import asyncio
import random

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from blender_tests.engine_harness import Background
from srn_blender.engine.connection import open_connection
from srn_blender.engine.messages import MAX_BINARY
from srn_blender.engine.process import Address

TEXT, BINARY, MORE, PING = Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING
END = (TEXT, b"the end", True)


def exchange(frames: list[tuple[Opcode, bytes, bool]], pieces: random.Random, largest: int) -> list[object]:
    """What arrives of frames that are sent in random pieces; the last message must be "the end"."""
    stream = b"".join(Frame(kind, data, fin).serialize(mask=False) for kind, data, fin in [*frames, END])

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        at = 0
        while at < len(stream):
            size = pieces.randint(1, largest)
            connection.transport.write(stream[at : at + size])
            at += size
            await asyncio.sleep(0 if pieces.random() < 0.9 else 0.002)
        await connection.wait_closed()

    async def start():
        return await serve(talk, "127.0.0.1", 0, compression=None)

    async def receive() -> list[object]:
        got: list[object] = []
        async with await open_connection(Address("127.0.0.1", background.port, "token")) as websocket:
            await websocket.send("hello")
            async with asyncio.timeout(20):
                while "the end" not in got:
                    got.append(await websocket.receive())
        return got[:-1]

    background = Background(start)
    try:
        return asyncio.run(receive())
    finally:
        background.close()


@pytest.mark.parametrize("largest", [1, 3, 70, 5000, 10**6])
def test_messages_arrive_whole_and_in_order_in_whatever_pieces(largest: int) -> None:
    source = random.Random(largest)
    long = source.randbytes(70 * min(largest, 3000))
    frames = [
        (TEXT, b'{"arrays": 2}', True),
        (BINARY, long, True),
        (BINARY, source.randbytes(200), True),
        (PING, b"are you there", True),
        (BINARY, b"", True),
        (TEXT, b"in ", False),
        (PING, b"", True),
        (MORE, "two pärts".encode(), True),
        (BINARY, b"a piece ", False),
        (MORE, b"and another", True),
        (BINARY, b"\x82\x00" * 50, True),
        (TEXT, b"x" * 70_000 if largest > 70 else b"x" * 130, True),
        (BINARY, b"last", True),
    ]
    got = exchange(frames, source, largest)
    expected = [
        '{"arrays": 2}', long, frames[2][1], b"", "in two pärts", b"a piece and another", frames[10][1],
        frames[11][1].decode(), b"last",
    ]  # fmt: skip
    assert [bytes(one) if isinstance(one, memoryview) else one for one in got] == expected
    assert isinstance(got[1], memoryview) and got[1].readonly


@pytest.mark.parametrize(
    "head",
    [
        b"\x82\x7f" + (MAX_BINARY + 1).to_bytes(8, "big"),
        b"\x82\x81\0\0\0\0x",  # masked, as no server may
        b"\xc2\x01x",  # of an extension that nobody asked for
        b"\x80\x01x",  # goes on with what never began
        b"\x87\x00",
    ],
)
def test_what_breaks_the_rules_closes_the_connection(head: bytes) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.write(head)
        await connection.wait_closed()

    async def start():
        return await serve(talk, "127.0.0.1", 0, compression=None)

    async def receive() -> None:
        async with await open_connection(Address("127.0.0.1", background.port, "token")) as websocket:
            await websocket.send("hello")
            async with asyncio.timeout(20):
                await websocket.receive()

    background = Background(start)
    try:
        with pytest.raises(ConnectionClosed):
            asyncio.run(receive())
    finally:
        background.close()
