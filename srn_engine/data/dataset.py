"""Reads a captured dataset as docs/dataset.md describes it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from srn_engine.cameras import Camera, Intrinsics, checked_pose
from srn_engine.data.images import read_exr, read_png
from srn_engine.errors import UserError

FORMAT, VERSION = "srn-dataset", 1
SPLITS = ("train", "val", "test")
_Number = TypeVar("_Number", bound=np.generic)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class LabelClass:
    """One semantic class: its name and its sRGB colour, 0 to 1. A class's id is its place in the list."""

    name: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Dataset:
    """What dataset.json says. `intrinsics` hold for every view; class 0 is the background."""

    root: Path
    name: str
    intrinsics: Intrinsics
    passes: frozenset[str]
    classes: tuple[LabelClass, ...]
    instances: tuple[str, ...]

    @classmethod
    def load(cls, root: Path) -> "Dataset":
        """Reads ROOT/dataset.json; UserError where there is none or it is of another kind."""
        data = _read_json(root / "dataset.json")
        if data.get("format") != FORMAT:
            raise UserError(f"{root / 'dataset.json'} describes no dataset of SRN for Blender.")
        if data.get("version") != VERSION:
            remedy = "update the engine" if str(data.get("version")) > str(VERSION) else "capture it again"
            raise UserError(f"{root} is a dataset of version {data.get('version')}, not {VERSION}; {remedy}.")
        try:
            return cls(
                root=root,
                name=_identifier(data["name"]),
                intrinsics=Intrinsics.from_json(data["camera"]),
                passes=frozenset(data["passes"]),
                classes=tuple(LabelClass(c["name"], tuple(c["colour"])) for c in data["classes"]),
                instances=tuple(_identifier(instance["id"]) for instance in data["instances"]),
            )
        except (KeyError, TypeError) as error:
            raise UserError(f"{root / 'dataset.json'} lacks or garbles {error}; capture the dataset again.") from error

    def views(self, split: str, instance: str) -> "Views":
        """The views of one split, maybe none; UserError where their files do not belong together."""
        folder = self.root / f"{self.name}_{split}" / instance
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
        return Views(self, split, folder, tuple(Camera(_read_pose(path), self.intrinsics) for path in poses))


@dataclass(frozen=True)
class Views:
    """The views of one instance in one split. Pictures are read when asked for, row 0 on top."""

    dataset: Dataset
    split: str
    folder: Path
    cameras: tuple[Camera, ...]

    def __len__(self) -> int:
        return len(self.cameras)

    def has(self, name: str) -> bool:
        """Whether the pass `name` was captured."""
        return name in self.dataset.passes

    def rgba(self) -> npt.NDArray[np.uint8]:
        """(V, H, W, 4) sRGB-encoded, straight alpha."""
        return self._all("rgba", ".png", lambda path, size: read_png(path, 4, size))

    def depth(self) -> npt.NDArray[np.float32]:
        """(V, H, W) along the camera's z in dataset units, 0 where nothing was hit."""
        return self._all("depth", ".exr", lambda path, size: read_exr(path, 1, size))

    def normal(self) -> npt.NDArray[np.float32]:
        """(V, H, W, 3) world axes, zero where nothing was hit."""
        return self._all("normal", ".exr", lambda path, size: read_exr(path, 3, size))

    def semantic(self) -> npt.NDArray[np.uint8]:
        """(V, H, W) class ids, 0 is background; UserError where an id is none of the dataset's classes."""
        labels = self._all("semantic", ".png", lambda path, size: read_png(path, 1, size))
        if labels.size and labels.max() >= len(self.dataset.classes):
            raise UserError(f"{self.folder / 'semantic'} holds class {labels.max()}, which dataset.json does not name.")
        return labels

    def _all(
        self, name: str, suffix: str, read: Callable[[Path, tuple[int, int]], npt.NDArray[_Number]]
    ) -> npt.NDArray[_Number]:
        if not self.has(name):
            raise UserError(f"{self.dataset.root} was captured without the pass {name}; capture it again with it.")
        size = (self.dataset.intrinsics.width, self.dataset.intrinsics.height)
        return np.stack([read(self.folder / name / f"{n:06d}{suffix}", size) for n in range(len(self))])


def over_white(rgba: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(..., 4) 8 bit pictures with straight alpha as (..., 3) floats from 0 to 1 over pure white."""
    pixels = rgba.astype(np.float32) / 255
    white = (pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:])).astype(np.float32, copy=False)
    return white


def _read_pose(path: Path) -> npt.NDArray[np.float64]:
    try:
        pose = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} must hold 16 numbers; delete it and capture again.") from error
    return checked_pose(pose, str(path))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; choose the folder of a captured dataset.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} describes no dataset of SRN for Blender.")
    return data


def _identifier(name: str) -> str:
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise UserError(f"The name {name!r} in dataset.json may hold letters, digits, - and _ only.")
    return name
