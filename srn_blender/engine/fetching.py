"""Fetches what a job wrote on another computer into a folder here, and remembers what that is called there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .messages import MAX_PIECE, BadMessage, Json
from .transfer import WINDOW, Line, Teller

DESCRIBED, CHECKPOINT = "run.json", "checkpoint.safetensors"
RENDERED = (DESCRIBED, CHECKPOINT)  # what a run needs in order to be rendered
FETCHED = (*RENDERED, "metrics.jsonl")  # what a training needs to go on stays there: it is twice the rest
REPORT = ("report.html", "compare.png")
NOTE = "host.json"


@dataclass(frozen=True)
class HostRun:
    """The run of a folder as it is called on the other computer; fetched: whether the folder holds it by now."""

    name: str
    fetched: bool

    @classmethod
    def begin(cls, folder: Path) -> HostRun:
        """Writes down that a training begins there, under the folder's own name there. UserError where it cannot."""
        earlier = cls.read(folder)
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.name)[:80]
        run = cls(earlier.name if earlier else f"runs/srn-{slug}-{secrets.token_hex(4)}", fetched=False)
        run._note(folder)
        return run

    @classmethod
    def begin_here(cls, folder: Path) -> None:
        """Has a later fetch put aside what a training on this computer is going to leave. UserError as `begin`."""
        earlier = cls.read(folder)
        if earlier is not None:
            cls(earlier.name, fetched=False)._note(folder)

    @classmethod
    def read(cls, folder: Path) -> HostRun | None:
        """What was written down; None where nothing was that can be read."""
        try:
            note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
            return cls(str(note["run"]), bool(note["fetched"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.write(folder)
        except OSError as error:
            raise UserError(f"Choose another folder: {folder} cannot be written ({error.strerror}).") from error

    def write(self, folder: Path) -> None:
        part = folder / f"{NOTE}.part"
        part.write_text(json.dumps({"run": self.name, "fetched": self.fetched}), encoding="utf-8")
        os.replace(part, folder / NOTE)


@dataclass(frozen=True)
class _Listed:
    path: str
    size: int
    sha256: str


async def fetch_run(line: Line, teller: Teller, folder: Path) -> str:
    """Fetches the run or report that was made there for `folder`, and goes on with what had come; returns the folder.

    What an earlier training left in the folder is moved to `previous`. UserError where there is nothing to fetch.
    """
    run = HostRun.read(folder)
    if run is None:
        raise UserError(f"Train first: nothing was trained on another computer for {folder}.")
    listed = await _list(line, run.name)
    incoming = folder / ".fetched"
    incoming.mkdir(exist_ok=True)
    parts = {file: incoming / file.sha256 for file in listed}
    there = {file: part.stat().st_size if part.exists() else 0 for file, part in parts.items()}
    teller.begin("Fetching {done} of {total} MB from the engine.", sum(f.size - there[f] for f in listed))
    for file, part in parts.items():
        await _fetch(line, teller, file, part, min(there[file], file.size))
    if not run.fetched:
        _put_earlier_away(folder)
    for file, part in parts.items():
        os.replace(part, folder / file.path)
    for leftover in incoming.iterdir():
        leftover.unlink()
    incoming.rmdir()
    HostRun(run.name, fetched=True).write(folder)
    return str(folder)


async def _list(line: Line, name: str) -> list[_Listed]:
    told = (await line.ask("folder.list", {"folder": name})).get("files")
    if not isinstance(told, list):
        raise BadMessage("a folder was listed as something else")
    known = (*FETCHED, *REPORT)
    listed = [_listed(file) for file in told if isinstance(file, dict) and file.get("path") in known]
    paths = {file.path for file in listed}
    if not paths.issuperset(RENDERED) and not paths.issuperset(REPORT):
        raise UserError("The run has learned nothing yet: wait until its training has saved something, then fetch it.")
    return sorted(listed, key=lambda file: known.index(file.path))


def _listed(file: Json) -> _Listed:
    path, size, sha256 = file["path"], file.get("size"), file.get("sha256")
    if type(size) is not int or size < 0 or not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise BadMessage("a folder was listed as something else")
    return _Listed(str(path), size, sha256)


async def _fetch(line: Line, teller: Teller, file: _Listed, part: Path, start: int) -> None:
    under_way: deque[int] = deque()
    with part.open("r+b" if part.exists() else "wb") as target:
        target.truncate(start)
        target.seek(start)

        async def take() -> None:
            _, piece = await line.answer()
            if len(piece) != under_way.popleft():
                raise BadMessage("a piece has another length")
            target.write(piece)
            teller.advance(len(piece))

        for at in range(start, file.size, MAX_PIECE):
            if len(under_way) == WINDOW:
                await take()
            await line.post("files.fetch", {"sha256": file.sha256, "offset": at})
            under_way.append(min(MAX_PIECE, file.size - at))
        while under_way:
            await take()
    with part.open("rb") as whole:
        if hashlib.file_digest(whole, "sha256").hexdigest() == file.sha256:
            return
    part.unlink()
    raise UserError(f"{file.path} came damaged: fetch the run again.")


def _put_earlier_away(folder: Path) -> None:
    """Moves what an earlier training left aside, as the engine does where it trains in the folder itself."""
    earlier = [path for name in (*FETCHED, "training-*.safetensors") for path in folder.glob(name)]
    if earlier:
        (folder / "previous").mkdir(exist_ok=True)
    for path in earlier:
        os.replace(path, folder / "previous" / path.name)
