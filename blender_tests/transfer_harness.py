"""Folders to send, and what a transfer tells."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from blender_tests.engine_harness import (
    poll_until,
    validating_relay,
)
from srn_blender.engine.contents import Hashes
from srn_blender.engine.engine import Engine
from srn_blender.engine.jobs import JobCallbacks
from srn_blender.engine.messages import MAX_PIECE
from srn_blender.engine.sending import send_folder
from srn_blender.engine.transfer import TransferCallbacks


class Told:
    """The callbacks of a transfer or an errand, and what they were told."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, object]] = []
        self.progress: list[object] = []

    def of_transfer(self) -> TransferCallbacks:
        return TransferCallbacks(
            self.progress.append,
            lambda result: self.ends.append(("done", result)),
            lambda sentence: self.ends.append(("failed", sentence)),
            lambda: self.ends.append(("cancelled", None)),
        )

    def of_errand(self) -> JobCallbacks:
        return JobCallbacks(
            self.progress.append,
            lambda result, arrays: self.ends.append(("done", result)),
            lambda sentence: self.ends.append(("failed", sentence)),
            lambda result: self.ends.append(("cancelled", result)),
        )

    def end(self, engine: Engine) -> tuple[str, object]:
        """How it ends; it ends once."""
        poll_until(engine, lambda: bool(self.ends), 60.0)
        assert len(self.ends) == 1
        return self.ends[0]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def dataset(folder: Path, seed: int, size: int = 3 * MAX_PIECE + 5) -> Path:
    source = random.Random(seed)
    named = {f"chair_train/chair/rgb/{n:06d}.png": source.randbytes(1000) for n in range(50)}
    return write(folder, {"dataset.json": b"{}", "large.exr": source.randbytes(size), "empty": b""} | named)


def sent(engine: Engine, folder: Path) -> tuple[str, object]:
    told = Told()
    engine.start_transfer(partial(send_folder, folder=folder, only=(), hashes=Hashes()), told.of_transfer())
    return told.end(engine)


@contextmanager
def counted(port: int) -> Iterator[tuple[int, Callable[[], int]]]:
    """A relay that holds all messages against the schema, and counts the pieces that were sent."""
    with validating_relay(port) as (relay, frames):
        yield relay, lambda: sum(frame.get("method") == "files.send" for frame in frames)
