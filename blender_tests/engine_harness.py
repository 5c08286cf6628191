"""Engines to test against, and what can come between Blender and them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from srn_blender.engine.engine import Engine
from srn_blender.engine.jobs import JobHandle

ROOT = Path(__file__).resolve().parents[1]
JOBS = ROOT / "srn_engine" / "tests" / "server_jobs.py"
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/protocol.schema.json").read_text(encoding="utf-8")))
TOKEN = "correct-horse-battery-staple"
HERE = str(ROOT)

POSE = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
CAMERA = {"pose": POSE, "fl_x": 40.0, "fl_y": 40.0, "cx": 16.0, "cy": 8.0, "width": 32, "height": 16}
TRAIN = {"dataset": HERE, "run": HERE}
RENDER = {"run": HERE, "instance": "any", "camera": CAMERA, "passes": ["colour"]}


def engine_interpreter() -> str:
    """The Python that has the engine; skips the test where there is none."""
    made_here = ROOT / ".venv" / "engine" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    interpreter = os.environ.get("SRN_ENGINE_PYTHON") or str(made_here)
    if not Path(interpreter).is_file():
        pytest.skip("needs an engine: set SRN_ENGINE_PYTHON")
    return interpreter


class JobEngine:
    """An engine with the short jobs of `server_jobs.py`, started by the test as a user starts one elsewhere."""

    def __init__(self, code: str = "", options: Sequence[str] = ()) -> None:
        program = [str(JOBS)] if not code else ["-c", f"{code}\nfrom srn_engine.tests.server_jobs import main\nmain()"]
        self.process = subprocess.Popen(
            [engine_interpreter(), *program, "--token-stdin", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.process.stdin.write(f"{TOKEN}\n".encode())
        self.process.stdin.flush()
        self.port = json.loads(self.process.stdout.readline())["port"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def job_engine(*options: str, code: str = "") -> Iterator[JobEngine]:
    engine = JobEngine(code, options)
    try:
        yield engine
    finally:
        engine.kill()


@contextmanager
def connected(port: int, token: str = TOKEN) -> Iterator[Engine]:
    """An add-on's engine, connected and ready."""
    engine = Engine()
    engine.connect("127.0.0.1", port, token)
    try:
        engine.wait_ready(20)
        yield engine
    finally:
        engine.close()


class Outcome:
    """The callbacks of a job, and what they were told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.progress: list[dict] = []
        self.arrays: dict = {}
        self.previews: list[tuple[int, dict]] = []

    def run(self, engine: Engine, method: str, params: dict) -> JobHandle:
        return engine.run_job(
            method,
            params,
            progress=self.progress.append,
            done=self._done,
            failed=lambda sentence: self.calls.append(("failed", sentence)),
            cancelled=lambda result: self.calls.append(("cancelled", result)),
            preview=lambda step, arrays: self.previews.append((step, arrays)),
        )

    def _done(self, result: dict, arrays: dict) -> None:
        self.arrays = arrays
        self.calls.append(("done", result))


def poll_until(engine: Engine, condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    engine.poll()
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)
        engine.poll()


class Background:
    """An event loop in a thread of its own, with one server in it."""

    def __init__(self, start_server) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(start_server(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@contextmanager
def validating_relay(port: int) -> Iterator[tuple[int, list[dict]]]:
    """A relay in front of an engine that collects all messages; at its end they are held against the schema."""
    frames: list[dict] = []

    async def forward(source, target) -> None:
        try:
            async for frame in source:
                if isinstance(frame, str) or frame.startswith(b"{"):
                    frames.append(json.loads(frame if isinstance(frame, str) else frame.partition(b"\n")[0]))
                await target.send(frame)
        except ConnectionClosed:
            pass
        await target.close()

    async def relay(client) -> None:
        token = {"Authorization": client.request.headers["Authorization"]}
        url = f"ws://127.0.0.1:{port}"
        async with connect(url, additional_headers=token, proxy=None, max_size=None, compression=None) as engine:
            await asyncio.gather(forward(client, engine), forward(engine, client))

    async def start():
        return await serve(relay, "127.0.0.1", 0, max_size=None, compression=None)

    background = Background(start)
    try:
        yield background.port, frames
    finally:
        background.close()
    for frame in frames:
        SCHEMA.validate(frame)


@contextmanager
def cutting_proxy(
    port: int, after: float = float("inf"), after_sent: float = float("inf"), pause: float = 0.0
) -> Iterator[int]:
    """A TCP proxy in front of an engine that cuts each connection after so many bytes from the engine, or to it.

    pause: seconds after each part of at most 64 kB.
    """

    async def pump(reader, writer, left: float) -> None:
        while left > 0 and (data := await reader.read(65536)):
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(pause)
            left -= len(data)
        writer.transport.abort()

    async def handle(reader, writer) -> None:
        engine_reader, engine_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            pump(reader, engine_writer, after_sent), pump(engine_reader, writer, after), return_exceptions=True
        )

    async def start():
        return await asyncio.start_server(handle, "127.0.0.1", 0)

    background = Background(start)
    try:
        yield background.port
    finally:
        background.close()


@contextmanager
def stranger(answer: bytes) -> Iterator[int]:
    """Something on a port that answers whatever comes with `answer` and hangs up."""

    async def handle(reader, writer) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    async def start():
        return await asyncio.start_server(handle, "127.0.0.1", 0)

    background = Background(start)
    try:
        yield background.port
    finally:
        background.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def posix_program(path: Path, text: str) -> str:
    """An executable script in place of an interpreter; skips the test on Windows."""
    if sys.platform == "win32":
        pytest.skip("needs scripts that are programs")
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    if not Path("/proc/self/status").is_file():
        pytest.skip("needs /proc")
    return status.is_file() and "State:\tZ" not in status.read_text()
