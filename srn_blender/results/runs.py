"""The runs in a folder: what each was trained on, how far it has come, and naming, renaming and deleting them.

Plain files (docs/run.md). Nothing here is called while a panel is drawn: a folder may be large, or far away.
"""

from __future__ import annotations

import json
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..engine.fetching import CHECKPOINT, DESCRIBED, NOTE, HostRun
from ..errors import UserError
from .view import describe_run

METRICS, PREVIOUS = "metrics.jsonl", "previous"
REPORT, PAGE, MEANS = "report", "report.html", "means.json"  # a folder in the run's, and in it: for people, for panels
TRAINING = re.compile(r"training-\d+\.safetensors")
PARTS = {f"{name}.part" for name in (DESCRIBED, CHECKPOINT, METRICS, NOTE)}
OWN = {DESCRIBED, CHECKPOINT, METRICS, NOTE, "checkpoint.part", "training.part", "metrics.part", *PARTS}
IN_REPORT = {PAGE, "compare.png", MEANS, NOTE}
FETCHED = re.compile(r"[0-9a-f]{64}")  # in .fetched, what has come of a run that is being fetched
MAX_HEADER = 2**26  # bytes of what a checkpoint says of itself
TAIL = 4096  # bytes at the end of the metrics that hold their last line
LONGEST_NAME = 100
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
JUNCTION = 0xA0000003  # stat.IO_REPARSE_TAG_MOUNT_POINT, which only Windows' Python has
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)

TRAINED, PAUSED, THERE, BROKEN = "trained", "paused", "there", "broken"


@dataclass(frozen=True)
class RunSummary:
    """What a run's files say.

    dataset: the folder it was trained on. steps, seconds: how far its training has come. budget: in seconds, of those
    that were trained by steps the seconds that it is going to take, 0 where that is not known yet. fraction: 0 to 1.
    psnr: in dB, the last one measured. resumable: whether this folder keeps what a training needs in order to go on.
    on_host: whether it was trained on another computer. problem: why it cannot be used, a sentence.
    """

    folder: Path
    preset: str = ""
    dataset: Path = Path()
    steps: int = 0
    seconds: float = 0.0
    budget: float = 0.0
    fraction: float = 0.0
    psnr: float | None = None
    resumable: bool = False
    on_host: bool = False
    problem: str = ""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def state(self) -> str:
        """TRAINED, PAUSED (its time is not used up), THERE (still on the other computer) or BROKEN."""
        if self.problem:
            return BROKEN
        if not self.preset:
            return THERE
        return PAUSED if self.can_continue and self.fraction < 1.0 else TRAINED

    @property
    def can_continue(self) -> bool:
        """Whether there is a training that could go on, here or on the other computer."""
        return self.resumable or self.on_host


class _Stamped(NamedTuple):
    stamp: frozenset[tuple[str, int, int]]
    summary: RunSummary | None


class RunReader:
    """Reads runs, and each again only when one of its files has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, _Stamped] = {}

    def list(self, parent: Path) -> tuple[RunSummary, ...]:
        """The runs in a folder by name, run-2 before run-10; none where it cannot be read."""
        try:
            with os.scandir(parent) as entries:
                folders = [Path(entry.path) for entry in entries if entry.is_dir() and entry.name[0] != "."]
        except OSError:
            return ()
        found = [summary for folder in folders if (summary := self.read(folder)) is not None]
        return tuple(sorted(found, key=lambda summary: _by_number(summary.name)))

    def read(self, folder: Path) -> RunSummary | None:
        """The run in a folder, None where there is none."""
        stamp = _stamp(folder)
        known = self._known.get(folder)
        if known is None or known.stamp != stamp:
            known = self._known[folder] = _Stamped(stamp, _read(folder, {name for name, _, _ in stamp}))
        return known.summary


def read_run(folder: Path) -> RunSummary | None:
    """The run in a folder, None where there is none."""
    return RunReader().read(folder)


def _stamp(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Name, time and size of the run's own files in a folder."""
    try:
        with os.scandir(folder) as entries:
            own = [(entry.name, entry.stat()) for entry in entries if _is_own(entry.name)]
    except OSError:  # gone, or being written
        return frozenset()
    return frozenset((name, found.st_mtime_ns, found.st_size) for name, found in own)


def _read(folder: Path, names: set[str]) -> RunSummary | None:
    host = HostRun.read(folder) if NOTE in names else None
    if DESCRIBED not in names:
        return RunSummary(folder, on_host=True) if host is not None else None
    try:
        described = describe_run(folder)
        steps, seconds = _progress(folder / CHECKPOINT)
        options = described["options"]
        return RunSummary(
            folder=folder,
            preset=str(options["preset"]),
            dataset=Path(described["dataset"]),
            steps=steps,
            seconds=seconds,
            budget=_budget(options, described["preset"], steps, seconds),
            fraction=_fraction(options, described["preset"], steps, seconds),
            psnr=_last_psnr(folder / METRICS),
            resumable=any(map(TRAINING.fullmatch, names)),
            on_host=host is not None,
        )
    except UserError as error:
        return RunSummary(folder, problem=str(error))
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return RunSummary(folder, problem=f"Train again, or delete the run: {folder} is damaged or not whole.")


def _progress(checkpoint: Path) -> tuple[int, float]:
    """Steps and seconds of a training, from the head of its checkpoint: eight bytes of length, then JSON."""
    with checkpoint.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER:
            raise ValueError("no checkpoint")
        about = json.loads(file.read(length)).get("__metadata__", {})
    return int(about["steps"]), float(about["seconds"])


def _fraction(options: Mapping[str, Any], preset: Mapping[str, Any], steps: int, seconds: float) -> float:
    """The part of the budget that is used up, as the engine counts it."""
    by_steps = steps / options["steps"] if options["steps"] else 0.0
    budget = options["seconds"] or (None if options["steps"] else preset.get("seconds"))
    return float(min(1.0, max(by_steps, seconds / budget if budget else 0.0)))


def _budget(options: Mapping[str, Any], preset: Mapping[str, Any], steps: int, seconds: float) -> float:
    if options["steps"] and not options["seconds"]:
        return seconds / steps * float(options["steps"]) if steps else 0.0
    return float(options["seconds"] or preset.get("seconds") or 0.0)


def _last_psnr(metrics: Path) -> float | None:
    try:
        with metrics.open("rb") as file:
            file.seek(max(0, metrics.stat().st_size - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        psnr = metrics_of(line).get("psnr")
        if isinstance(psnr, int | float):
            return float(psnr)
    return None


def metrics_of(line: bytes) -> dict[str, Any]:
    """One line of metrics.jsonl, {} where it was cut short."""
    try:
        read = json.loads(line)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", name)]


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """`name`, or the next of name-2, name-3 that nothing is called."""
    stem, number = name, 1
    counted = re.fullmatch(r"(.+)-(\d+)", name)
    if counted:
        stem, number = counted[1], int(counted[2])
    while is_taken(name):
        number += 1
        name = f"{stem}-{number}"
    return name


def sibling(path: str, name: str) -> str:
    """The path, as a person writes it, of a folder `name` beside that of `path`: //srn/run gives //srn/name."""
    whole = path.rstrip("/\\")
    return whole[: len(whole) - len(re.split(r"[/\\]", whole)[-1])] + name


def checked_name(name: str) -> str:
    """`name` without spaces around it; UserError where no folder can be called so on every system."""
    name = name.strip()
    wrong = FORBIDDEN.search(name) or DEVICE.fullmatch(name) or name.startswith(".") or name.endswith(".")
    if not name or len(name) > LONGEST_NAME or wrong:
        raise UserError(f"Choose another name than '{name}': no folder can be called so on every system.")
    return name


def rename_run(folder: Path, name: str) -> Path:
    """Renames the folder of a run; returns where it is now. UserError where that cannot be done."""
    target = folder.with_name(checked_name(name))
    if target == folder:
        return folder
    # On a system that does not tell letters' cases apart the folder itself seems to be in the way.
    if os.path.lexists(target) and not (folder.exists() and target.exists() and target.samefile(folder)):
        raise UserError(f"Choose another name: there is a '{target.name}' already.")
    try:
        return folder.rename(target)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be renamed ({error.strerror}): close what uses it, or stop the engine."
        ) from (error)


def delete_run(folder: Path) -> list[str]:
    """Deletes the files that a run has written, and its folder where nothing else is in it.

    Links are never followed. Returns the names of what was left, which others have put there. UserError where a file
    cannot be deleted; what a run is known by goes last, so that it can be tried again.
    """
    if _is_link(folder):
        raise UserError(f"{folder} is a link: delete it in the file manager.")
    try:
        for inner, is_own in ((PREVIOUS, _is_own), (REPORT, IN_REPORT.__contains__), (".fetched", FETCHED.fullmatch)):
            if not _is_link(folder / inner):
                _delete(folder / inner, is_own)
        return _delete(folder, _is_own)
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be deleted ({error.strerror}): stop the engine, then try again."
        ) from (error)


def _is_link(path: Path) -> bool:
    """Whether a path is a link, or a junction of Windows; Path.is_junction came with Python 3.12."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) == JUNCTION


def _delete(folder: Path, is_own: Callable[[str], Any]) -> list[str]:
    """Deletes files of a folder, and the folder where it is empty then; the names of what is left."""
    if not folder.is_dir():
        return []
    for entry in _sorted_last(os.scandir(folder)):
        if is_own(entry.name) and not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
    left = sorted(path.name for path in folder.iterdir())
    if not left:
        folder.rmdir()
    return left


def _sorted_last(entries: Iterable[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    return sorted(entries, key=lambda entry: entry.name == DESCRIBED)


def _is_own(name: str) -> bool:
    """Whether a run writes a file of this name."""
    return name in OWN or TRAINING.fullmatch(name) is not None
