"""What a folder on this computer holds: its files, their hashes, and the manifest that says both to the engine."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

CHUNK = 2**20  # bytes hashed at once
FRESH = 2.0  # seconds in which a file could change once more and keep its time


@dataclass(frozen=True)
class Entry:
    """A file of a folder. path: inside the folder, with `/` between the parts. changed: when, in nanoseconds."""

    path: str
    place: Path
    size: int
    changed: int

    def is_as_it_was(self) -> bool:
        """Whether the file still has the size and the time that it had."""
        about = self.place.stat()
        return (about.st_size, about.st_mtime_ns) == (self.size, self.changed)


class Hashes:
    """SHA-256 of files, remembered as long as a file's size and time stay."""

    def __init__(self) -> None:
        self._known: dict[Entry, str] = {}

    def of(self, entry: Entry, told: Callable[[int], None]) -> str:
        """The hash in hexadecimal digits; `told` hears of the bytes that were looked at, after each chunk."""
        known = self._known.get(entry)
        if known is not None:
            told(entry.size)
            return known
        digest = hashlib.sha256()
        with entry.place.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                told(len(chunk))
        found = digest.hexdigest()
        if time.time_ns() - entry.changed > FRESH * 1e9:
            self._known[entry] = found
        return found


def entries(folder: Path, only: Collection[str] = ()) -> list[Entry]:
    """The files under `folder`, or `only` those of its own, sorted; what is hidden by a dot is left out.

    UserError where there are none.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [] if only else [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and (not only or name in only):
                found.append(_entry(folder, Path(place, name)))
    if not found:
        raise UserError(f"{folder} holds no files: choose another folder.")
    return sorted(found, key=lambda entry: entry.path)


def _entry(folder: Path, place: Path) -> Entry:
    about = place.stat()
    return Entry(place.relative_to(folder).as_posix(), place, about.st_size, about.st_mtime_ns)


def manifest(files: Mapping[Entry, str]) -> bytes:
    """The manifest of a folder, docs/protocol.md. files: their hashes by entry."""
    listed = [{"path": entry.path, "size": entry.size, "sha256": digest} for entry, digest in files.items()]
    return json.dumps({"format": "srn-folder", "version": 1, "files": listed}).encode()
