"""Reads a dataset that the add-on captured, as docs/dataset.md describes it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.colour import ColourFile
from srn_engine.data.dataset import Dataset, Instance, LabelClass, View
from srn_engine.data.readers.files import read_json, read_pose
from srn_engine.errors import UserError

FORMAT, VERSION = "srn-dataset", 1
SUFFIXES = {"depth": "exr", "normal": "exr", "semantic": "png"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def open_capture(root: Path) -> Dataset:
    """Reads ROOT/dataset.json; UserError where there is none or it is of another kind."""
    data = read_json(root / "dataset.json")
    if data.get("format") != FORMAT:
        raise UserError(f"{root / 'dataset.json'} describes no dataset of SRN for Blender.")
    if data.get("version") != VERSION:
        remedy = "update the engine" if str(data.get("version")) > str(VERSION) else "capture it again"
        raise UserError(f"{root} is a dataset of version {data.get('version')}, not {VERSION}; {remedy}.")
    try:
        name, passes = _identifier(data["name"]), frozenset(map(str, data["passes"]))
        return Dataset(
            root=root,
            name=name,
            passes=passes,
            classes=tuple(LabelClass(c["name"], tuple(c["colour"])) for c in data["classes"]),
            instances=tuple(_instance(instance) for instance in data["instances"]),
            layout=_Capture(root, name, passes, Intrinsics.from_json(data["camera"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{root / 'dataset.json'} lacks or garbles {error}; capture the dataset again.") from error


@dataclass(frozen=True)
class _Capture:
    root: Path
    name: str
    passes: frozenset[str]
    intrinsics: Intrinsics

    def holds(self, split: str, instance: Instance) -> bool:
        return any((self._folder(split, instance) / "pose").glob("*.txt"))

    def views(self, split: str, instance: Instance) -> list[View]:
        folder = self._folder(split, instance)
        poses = sorted((folder / "pose").glob("*.txt"))
        names = [path.stem for path in poses]
        if names != [f"{number:06d}" for number in range(len(names))]:
            raise UserError(
                f"{folder / 'pose'} has gaps in its numbers; capture again into the same folder to fill them."
            )
        if len(list((folder / "rgb").glob("*.png"))) != len(names):
            raise UserError(
                f"{folder} holds {len(names)} poses and another number of pictures in rgb; capture it again."
            )
        return [self._view(folder, path) for path in poses]

    def _view(self, folder: Path, pose: Path) -> View:
        colour = "rgba" if "rgba" in self.passes else "rgb"
        size = (self.intrinsics.width, self.intrinsics.height)
        return View(
            pose.stem,
            Camera(read_pose(pose), self.intrinsics),
            ColourFile(folder / colour / f"{pose.stem}.png", size),
            _files(folder, pose.stem, self.passes),
        )

    def _folder(self, split: str, instance: Instance) -> Path:
        return self.root / f"{self.name}_{split}" / instance.id


def _files(folder: Path, name: str, passes: frozenset[str]) -> dict[str, Path]:
    """The files of the passes beside colour.

    Labels may be there for some views only; what else is missing is found out when it is read.
    """
    files = {one: folder / one / f"{name}.{SUFFIXES[one]}" for one in passes if one in SUFFIXES}
    if "semantic" in files and not files["semantic"].is_file():
        del files["semantic"]
    return files


def _instance(data: Any) -> Instance:
    x, y, z = map(float, data["centre"])
    return Instance(_identifier(data["id"]), str(data["source"]), (x, y, z), float(data["scale"]))


def _identifier(name: str) -> str:
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise UserError(f"The name {name!r} in dataset.json may hold letters, digits, - and _ only.")
    return name
