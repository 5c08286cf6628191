"""What a run holds that can be placed in a scene, read once and again only where run.json has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..engine.fetching import DESCRIBED
from ..errors import UserError
from .view import describe_run, not_a_run


@dataclass(frozen=True)
class PlacedRun:
    """The instances of a run, their sources and scales (Blender units per dataset unit) by id, in the run's order.

    centres: where each was captured, in Blender units. is_opaque: its networks know no transparency, and fill the
    picture with the background that they have learned.
    """

    folder: Path
    sources: Mapping[str, str]
    scales: Mapping[str, float]
    centres: Mapping[str, tuple[float, float, float]]
    has_labels: bool
    is_opaque: bool

    def instance_of(self, source: str) -> str:
        """The id of the instance captured from the object or collection `source`; the first where none was."""
        return next((name for name, of in self.sources.items() if of == source), next(iter(self.sources)))


_read: dict[Path, tuple[tuple[int, int], PlacedRun | UserError]] = {}


def placed_run(folder: Path) -> PlacedRun:
    """The run in a folder; UserError where it cannot be read. A file that is as it was is not read again."""
    try:
        found = (folder / DESCRIBED).stat()
        stamp = found.st_mtime_ns, found.st_size
    except OSError:
        stamp = 0, 0
    if folder not in _read or _read[folder][0] != stamp:
        try:
            _read[folder] = stamp, _parse(folder)
        except UserError as error:
            _read[folder] = stamp, error
    known = _read[folder][1]
    if isinstance(known, UserError):
        raise UserError(str(known))
    return known


def last_read(folder: Path) -> PlacedRun | UserError | None:
    """What `placed_run` found last, None where it was never asked; for panels, as it leaves the disk alone."""
    known = _read.get(folder)
    return known[1] if known is not None else None


def _parse(folder: Path) -> PlacedRun:
    described = describe_run(folder)
    try:
        instances = {str(one["id"]): one for one in described["instances"]}
        run = PlacedRun(
            folder=folder,
            sources={name: str(one["source"]) for name, one in instances.items()},
            scales={name: float(one["scale"]) for name, one in instances.items()},
            centres={name: _point(one["centre"]) for name, one in instances.items()},
            has_labels=len(described["classes"]) > 1,
            is_opaque=described["preset"]["kind"] == "paper",
        )
    except (KeyError, TypeError, ValueError):
        raise not_a_run(folder) from None
    if not instances:
        raise UserError(f"Train again: the run in {folder} holds no instance.")
    return run


def _point(values: list[float]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
