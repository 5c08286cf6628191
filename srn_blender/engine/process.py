"""The engine's process: started with a chosen interpreter, ended with Blender, its failures said in one sentence."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

READY_SECONDS = 60.0
STOP_SECONDS = 12.0  # a little more than the engine gives a training to save what it has learned
OLDEST_PYTHON = (3, 11)

# -P: the current folder, which may be anybody's, is no place to import from.
_ENGINE = ("-P", "-m", "srn_engine", "serve", "--token-stdin")
_PROBE = ("-I", "-c", "import sys; print('python', *sys.version_info[:2])")
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows only


def windows_program(name: str) -> str:
    """The path of a program of Windows' own: by its name alone, one in the current folder would be taken for it."""
    return os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", f"{name}.exe")


@dataclass(frozen=True)
class Address:
    """Where an engine listens, and the token that it asks for."""

    host: str
    port: int
    token: str


def default_interpreter() -> str:
    """The interpreter that the environment names; empty where it names none."""
    return os.environ.get("SRN_ENGINE_PYTHON", "")


def parse_host(text: str) -> tuple[str, int]:
    """The address and port out of "address:port"; UserError where it is not that."""
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError("Give the other computer's address and port as in render-box:8765.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def check_interpreter(interpreter: str) -> Path:
    """The interpreter as a path; UserError where none is chosen or it is no file."""
    if not interpreter.strip():
        raise UserError("No Python is chosen for the engine: choose the interpreter that the engine is installed in.")
    path = Path(interpreter).expanduser()  # not resolved: in a virtual environment it is a link that must stay one
    if not path.is_file():
        raise UserError(f"{path} is not there or is no file: choose the Python that the engine is installed in.")
    return path


class EngineProcess:
    """One engine process; belongs to the event loop that starts it. UserError where no log can be written."""

    def __init__(self, interpreter: Path) -> None:
        self.interpreter = interpreter
        try:
            handle, name = tempfile.mkstemp(prefix="srn-engine-", suffix=".log")
        except OSError as error:
            raise UserError(f"The engine's log cannot be written ({error}): free some space.") from None
        os.close(handle)
        self.log = Path(name)
        self.token = secrets.token_urlsafe(32)
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> Address:
        """Starts the engine and waits until it listens; UserError where it does not."""
        await self._probe()
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                self.interpreter,
                *_ENGINE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=child_environment(),
                creationflags=NO_WINDOW,
            )
        address = await self._ready(self._process)
        self._drain = asyncio.create_task(self._drain_output())
        return address

    async def end(self) -> None:
        """Ends the engine, by force where it does not end by itself."""
        if self._drain is not None:
            self._drain.cancel()
            await asyncio.wait([self._drain])  # only one may read at a time
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await _end_within(self._process, STOP_SECONDS)
        if self.log.stat().st_size == 0:
            self.log.unlink()

    async def why_lost(self) -> str:
        """Why the connection to it was lost, in a sentence."""
        assert self._process is not None
        try:
            async with asyncio.timeout(1.0):  # its socket closes a moment before it ends
                await self._process.wait()
        except TimeoutError:
            return "The engine closed the connection: start it again."
        return self._explain_end("The engine stopped unexpectedly")

    async def _probe(self) -> None:
        """UserError where the interpreter is no Python, or one too old."""
        try:
            process = await asyncio.create_subprocess_exec(
                self.interpreter,
                *_PROBE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            raise UserError(f"{self.interpreter} cannot be run ({error.strerror}): choose a Python.") from None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS):
                words = (await process.stdout.read(100)).decode(errors="replace").split()
        except TimeoutError:
            words = []
        finally:
            await _end_within(process, 0.5)
        if len(words) != 3 or words[0] != "python":
            raise UserError(f"{self.interpreter} is no Python: choose the Python that the engine is installed in.")
        if (int(words[1]), int(words[2])) < OLDEST_PYTHON:
            oldest = ".".join(map(str, OLDEST_PYTHON))
            raise UserError(f"{self.interpreter} is Python {words[1]}.{words[2]}: the engine needs {oldest} or newer.")

    async def _ready(self, process: asyncio.subprocess.Process) -> Address:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(f"{self.token}\n".encode())
            async with asyncio.timeout(READY_SECONDS):
                line = await process.stdout.readline()
                if not line:
                    await process.wait()
                    raise UserError(self._explain_end("The engine did not start"))
        except TimeoutError:
            late = f"The engine did not answer within {READY_SECONDS:.0f} seconds"
            raise UserError(f"{late}: start it again, or read its log {self.log}.") from None
        ready = _parse_ready(line)
        if ready is None:
            raise UserError(
                f"{self.interpreter} started something that is not this add-on's engine: update the engine."
            )
        return Address(*ready, self.token)

    async def _drain_output(self) -> None:
        """Reads on, so that nothing the engine prints can ever fill the pipe and stop it."""
        assert self._process is not None and self._process.stdout is not None
        while await self._process.stdout.read(65536):
            pass

    def _explain_end(self, what: str) -> str:
        assert self._process is not None
        tail = self.log.read_bytes()[-8192:].decode(errors="replace")
        missing = re.findall(r"No module named '?([\w.]+)", tail)
        if missing:
            return (
                f"{self.interpreter} has no {missing[-1]}: install the engine into it, or choose another interpreter."
            )
        lines = tail.strip().splitlines()
        last = f" and said: {lines[-1]} (log: {self.log})" if lines else ""
        return f"{what}: it ended with status {self._process.returncode}{last}; start it again."


async def _end_within(process: asyncio.subprocess.Process, seconds: float) -> None:
    """Waits for the end, forces it after `seconds`, and empties the pipe, which must not outlive the event loop."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):  # it ended in this very moment
            process.kill()
    with contextlib.suppress(TimeoutError):  # a child of its own may hold the pipe open
        async with asyncio.timeout(1.0):
            while await process.stdout.read(65536):
                pass
            await process.wait()


def child_environment() -> dict[str, str]:
    """The environment for a Python that is not Blender's own."""
    # PYTHONHOME, where somebody set it for Blender's own Python, breaks every other one.
    return {name: value for name, value in os.environ.items() if name != "PYTHONHOME"} | {"PYTHONUTF8": "1"}


def _parse_ready(line: bytes) -> tuple[str, int] | None:
    try:
        ready = json.loads(line)
        return str(ready["host"]), int(ready["port"])
    except (ValueError, KeyError, TypeError):
        return None
