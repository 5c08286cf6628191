"""Sends a folder along to an engine on another computer: only what is missing there, in pieces."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .contents import Entry, Hashes, entries, manifest
from .messages import MAX_PIECE, BadMessage
from .transfer import WINDOW, Line, Teller

OFFERED = 4096  # files of one offer
ROUNDS = 10  # until it is given up that all files come: two may send the same one, and overtake each other


@dataclass(frozen=True)
class _Content:
    """What a hash stands for: a file, or the manifest, which is in memory."""

    size: int
    source: Entry | bytes

    def pieces(self, start: int) -> Iterator[tuple[int, bytes]]:
        """The pieces from `start` on with their offsets, one without bytes of an empty file.

        UserError where the file is no longer what was hashed.
        """
        if isinstance(self.source, bytes):
            for at in range(start, self.size, MAX_PIECE):
                yield at, self.source[at : at + MAX_PIECE]
            return
        with self.source.place.open("rb") as file:
            file.seek(start)
            for at in range(start, max(self.size, 1), MAX_PIECE):
                piece = file.read(min(MAX_PIECE, self.size - at))
                if not self.source.is_as_it_was():
                    raise _changed(self.source)
                yield at, piece


async def send_folder(line: Line, teller: Teller, folder: Path, only: Collection[str], hashes: Hashes) -> str:
    """Sends the files of `folder`, or `only` some of its own; returns the folder's name on the other side.

    UserError where a file changes meanwhile, or the engine refuses; what has come there is kept.
    """
    found = entries(folder, only)
    teller.begin("Looking through {done} of {total} MB.", sum(entry.size for entry in found))
    files = {entry: hashes.of(entry, teller.advance) for entry in found}
    listing = manifest(files)
    whole = hashlib.sha256(listing).hexdigest()
    contents = {digest: _Content(entry.size, entry) for entry, digest in files.items()}
    contents[whole] = _Content(len(listing), listing)
    await _send_missing(line, teller, contents)
    stored = await line.ask("folder.store", {"name": _name(folder), "manifest": whole})
    if not isinstance(stored.get("folder"), str):
        raise BadMessage("a stored folder has no name")
    return str(stored["folder"])


async def _send_missing(line: Line, teller: Teller, contents: Mapping[str, _Content]) -> None:
    for _ in range(ROUNDS):
        missing = await _offer(line, contents)
        if not missing:
            return
        left = sum(contents[sha256].size - offset for sha256, offset in missing.items())
        teller.begin("Sending {done} of {total} MB to the engine.", left)
        under_way: deque[int] = deque()
        for sha256, offset in missing.items():
            about = {"sha256": sha256, "size": contents[sha256].size}
            for at, piece in contents[sha256].pieces(offset):
                if len(under_way) == WINDOW:
                    await line.answer()
                    teller.advance(under_way.popleft())
                await line.post("files.send", {**about, "offset": at}, piece)
                under_way.append(len(piece))
        while under_way:
            await line.answer()
            teller.advance(under_way.popleft())
    raise UserError("The engine does not keep what is sent: see how its storage is there, then try again.")


async def _offer(line: Line, contents: Mapping[str, _Content]) -> dict[str, int]:
    """What is missing there, by hash, with the bytes of it that have come."""
    known, missing = list(contents), {}
    for start in range(0, len(known), OFFERED):
        files = [{"sha256": sha256, "size": contents[sha256].size} for sha256 in known[start : start + OFFERED]]
        told = (await line.ask("files.offer", {"files": files})).get("missing")
        if not isinstance(told, list):
            raise BadMessage("an offer was answered with something else")
        for file in told:
            sha256, offset = (file.get("sha256"), file.get("offset")) if isinstance(file, dict) else (None, None)
            content = contents.get(str(sha256))
            if content is None or type(offset) is not int or not 0 <= offset <= content.size:
                raise BadMessage("an offer was answered with something else")
            missing[str(sha256)] = offset
    return missing


def _changed(entry: Entry) -> UserError:
    return UserError(f"{entry.place} changed while it was sent: wait until nothing writes it, then try again.")


def _name(folder: Path) -> str:
    """A name that the other side takes: with something in front, so that no device is called so."""
    return "srn-" + re.sub(r"[^A-Za-z0-9_-]+", "-", folder.name)[:80]
