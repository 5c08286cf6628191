"""Runs another program in steps that never block: its output goes to a file, which is read while it grows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UserError
from .process import NO_WINDOW, windows_program

REMEMBERED = 200  # last lines
END_SECONDS = 5.0


class Progress(NamedTuple):
    """How far a work is, from 0 to 1, and what is being done."""

    fraction: float
    message: str


class ChildFailedError(Exception):
    """It ended with another exit status than 0. `lines` are the last that it said."""

    def __init__(self, status: int, lines: Sequence[str]) -> None:
        super().__init__(f"exit status {status}")
        self.lines = lines


def run_child(
    command: Sequence[str | Path],
    output: Path,
    environment: Mapping[str, str],
    tell: Callable[[Sequence[str]], Progress],
) -> Generator[Progress, None, list[str]]:
    """Appends to `output` what the program says; each step gives what `tell` makes of the lines since the last.

    Closing it ends the program with all that it has started. Returns the last lines. ChildFailedError as it says,
    UserError where the program cannot be run, OSError where `output` cannot be written.
    """
    with output.open("ab") as sink:
        begin = sink.seek(0, os.SEEK_END)
        child = _start(command, sink.fileno(), environment)
    said: list[str] = []
    try:
        with output.open("rb") as source:
            source.seek(begin)
            running, rest = True, b""
            while running:
                running = child.poll() is None  # asked first: what it said before it ended is in the file by now
                *whole, rest = (rest + source.read()).replace(b"\r", b"\n").split(b"\n")
                lines = [line.decode(errors="replace").strip() for line in (whole if running else [*whole, rest])]
                said = [*said, *filter(None, lines)][-REMEMBERED:]
                yield tell(lines)
    finally:
        if child.poll() is None:
            _end_tree(child)
    if child.returncode != 0:
        raise ChildFailedError(child.returncode, said)
    return said


def _start(command: Sequence[str | Path], output: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            creationflags=NO_WINDOW,
            start_new_session=os.name == "posix",  # a group of its own, which can be ended as a whole
        )
    except OSError as error:
        raise UserError(f"{command[0]} cannot be run ({error.strerror}): choose another Python.") from None


def _end_tree(child: subprocess.Popen[bytes]) -> None:
    """Ends the program with all that it has started, and all that they have; gives up where the system refuses."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # macOS refuses where it has just ended by itself
        if sys.platform == "win32":
            subprocess.run(
                [windows_program("taskkill"), "/T", "/F", "/PID", str(child.pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=NO_WINDOW,
                timeout=END_SECONDS,
                check=False,
            )
        else:
            os.killpg(child.pid, signal.SIGKILL)  # the group is still there: nobody has waited for its first process
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(END_SECONDS)
