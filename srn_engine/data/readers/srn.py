"""Reads the layout of Scene Representation Networks (Sitzmann et al. 2019), as its authors ship ShapeNet.

    ROOT/<name>_{train,val,test}/<instance>/{rgb/*.png, pose/*.txt, intrinsics.txt}

with seg/*.png of class ids where there are labels (Kohli et al. 2020). <name>_train_val and <name>_train_test hold
further views of training instances and belong to val and test. A folder of instances is read too, and a single
instance's; every eighth view is then for test. The classes' names stand in ROOT/classes.txt, one a line, the background
first; without it the classes are numbered.

The principal point of these datasets is W / 2, meant for pixels that are sampled at +0.5, as everybody does; the
authors' own reader samples at whole pixels and is half a pixel off. Where a picture has another size than
intrinsics.txt says, the intrinsics are scaled as the authors scale them. The cameras of all instances are scaled
alike, so that the sphere that those of the first see whole is the unit sphere. Pure white around the object is empty.
"""

import colorsys
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.colour import ColourFile
from srn_engine.data.dataset import SPLITS, Dataset, Instance, LabelClass, View
from srn_engine.data.images import picture_size, read_labels
from srn_engine.data.readers.bounds import normalised, sphere_in_sight
from srn_engine.data.readers.files import by_eighths, read_pose
from srn_engine.data.readers.single import UNLABELLED_CLASSES
from srn_engine.errors import UserError

_SPLIT_FOLDER = re.compile(r"(.+?)(?:_train)?_(train|val|test)")
_PICTURES = {".png", ".jpg", ".jpeg"}
_LOOKED_AT = 64  # label pictures that are opened to count the classes

Folders = Mapping[str, tuple[Path, ...]]  # the folders of instances of each split


def open_srn(root: Path) -> Dataset | None:
    """Reads the layout at `root`; None where it is another one, UserError where something in it will not do."""
    folders = _split_folders(root)
    if folders is not None:
        return dataset_of_folders(root, folders, divided=True)
    if _is_instance(root):
        return dataset_of_folders(
            root, {split: (root.resolve().parent,) for split in SPLITS}, False, root.resolve().name
        )
    if root.is_dir() and any(map(_is_instance, root.iterdir())):
        return dataset_of_folders(root, {split: (root,) for split in SPLITS}, divided=False)
    return None


def dataset_of_folders(root: Path, folders: Folders, divided: bool, only: str | None = None) -> Dataset:
    """The dataset of instances in the folders of its splits.

    divided: whether the splits' folders differ; where they do not, every eighth view is for test. only: the one
    instance that is meant.
    """
    parts = {part for parts in folders.values() for part in parts} if only is None else set()
    ids = [only] if only else sorted({path.name for part in parts for path in part.iterdir() if _is_instance(path)})
    layout = _Folders(folders, divided)
    first = next(split for split in SPLITS if layout.holds(split, Instance(ids[0], ids[0])))
    unscaled = layout.views(first, Instance(ids[0], ids[0]))
    centre, scale = sphere_in_sight([view.camera for view in unscaled], f"{ids[0]} in {root}")
    x, y, z = map(float, centre)
    instances = tuple(Instance(name, name, (x, y, z), scale) for name in ids)
    classes = _classes(root, layout, instances)
    passes = frozenset(("rgb", "rgba") if classes is None else ("rgb", "rgba", "semantic"))
    return Dataset(root, root.resolve().name, passes, classes or UNLABELLED_CLASSES, instances, layout)


@dataclass(frozen=True)
class _Folders:
    folders: Folders
    divided: bool

    def holds(self, split: str, instance: Instance) -> bool:
        if self.divided:
            return self.folder(split, instance) is not None
        return bool(by_eighths(self._poses(split, instance), split))

    def views(self, split: str, instance: Instance) -> list[View]:
        folder = self.folder(split, instance)
        if folder is None:
            return []
        poses, pictures = self._poses(split, instance), _pictures(folder / "rgb")
        if len(poses) != len(pictures):
            raise UserError(f"{folder} holds {len(poses)} poses and {len(pictures)} pictures; each view needs both.")
        pairs = list(zip(poses, pictures, strict=True))
        intrinsics = _IntrinsicsFile.read(folder / "intrinsics.txt")
        return [
            intrinsics.view(folder, *pair, instance) for pair in (pairs if self.divided else by_eighths(pairs, split))
        ]

    def folder(self, split: str, instance: Instance) -> Path | None:
        """Where the instance's files of a split stand."""
        return next((part / instance.id for part in self.folders[split] if _is_instance(part / instance.id)), None)

    def _poses(self, split: str, instance: Instance) -> list[Path]:
        folder = self.folder(split, instance)
        return [] if folder is None else sorted((folder / "pose").glob("*.txt"))


@dataclass(frozen=True)
class _IntrinsicsFile:
    """What intrinsics.txt says, of SRN and of DeepVoxels: `focal cx cy ...`, constants that are not needed, `H W`, and
    perhaps a 1 for poses that lead from the world to the camera."""

    focal: float
    cx: float
    cy: float
    height: float
    width: float
    world_to_camera: bool

    @classmethod
    def read(cls, path: Path) -> "_IntrinsicsFile":
        try:
            lines = [[float(word) for word in line.split()] for line in path.read_text(encoding="utf-8").splitlines()]
            lines = [line for line in lines if line]
            size = next(line for line in reversed(lines) if len(line) == 2)
            flag = lines[-1] == [1.0] and lines[-2] == size
            focal, cx, cy = lines[0][:3]
            return cls(focal, cx, cy, size[0], size[1], flag)
        except (OSError, ValueError, IndexError, TypeError, StopIteration) as error:
            raise UserError(f"{path} must hold the lines `f cx cy 0.`, `0. 0. 0.`, `1.` and `H W`.") from error

    def view(self, folder: Path, pose_file: Path, picture: Path, instance: Instance) -> View:
        """The view of one picture, in the dataset's units."""
        size = self._of_size(*picture_size(picture))
        pose = read_pose(pose_file)
        camera = Camera(np.linalg.inv(pose).astype(np.float64) if self.world_to_camera else pose, size)
        camera = normalised(camera, np.array(instance.centre), instance.scale)
        labels = folder / "seg" / f"{picture.stem}.png"
        files = {"semantic": labels} if labels.is_file() else {}
        return View(pose_file.stem, camera, ColourFile(picture, (size.width, size.height), white_is_empty=True), files)

    def _of_size(self, width: int, height: int) -> Intrinsics:
        """The intrinsics for a picture of that size; the authors crop a wider picture square before they scale it."""
        if not (self.width > 0 and self.height > 0):
            raise UserError(f"intrinsics.txt says a picture of {self.width:g} x {self.height:g} pixels.")
        focal = self.focal * height / self.height
        return Intrinsics.from_json(
            {
                "fl_x": focal,
                "fl_y": focal,
                "cx": self.cx * width / self.width,
                "cy": self.cy * height / self.height,
                "width": width,
                "height": height,
            }
        )


def _split_folders(root: Path) -> dict[str, tuple[Path, ...]] | None:
    """The folders of each split, where `root` holds them or, as pixelNeRF has it, is what their names begin with."""
    parent, wanted = (root, None) if root.is_dir() else (root.parent, root.name)
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(parent.iterdir()) if parent.is_dir() else []:
        match = _SPLIT_FOLDER.fullmatch(path.name)
        if match and path.is_dir() and wanted in (None, match[1]) and (part := instances_in(path)) is not None:
            found.setdefault(match[1], {split: [] for split in SPLITS})[match[2]].append(part)
    if len(found) > 1:
        first, second = sorted(found)[:2]
        raise UserError(f"{root} holds {first} and {second}; name the one that is meant: {root / first}.")
    return {split: tuple(paths) for splits in found.values() for split, paths in splits.items()} or None


def instances_in(folder: Path) -> Path | None:
    """The folder itself or, as in the authors' chairs, the one in it that holds the instances; None where none does."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return next((one for one in (folder, *inside) if any(map(_is_instance, one.iterdir()))), None)


def _is_instance(folder: Path) -> bool:
    return (folder / "intrinsics.txt").is_file() and (folder / "pose").is_dir()


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in _PICTURES)


def _classes(root: Path, layout: _Folders, instances: tuple[Instance, ...]) -> tuple[LabelClass, ...] | None:
    """The classes of the label pictures, None where there are none; unnamed ones are counted in some of them."""
    named = root / "classes.txt"
    if named.is_file():
        names = named.read_text(encoding="utf-8").split("\n")
        return _coloured([name.strip() for name in names if name.strip()])
    pictures: list[Path] = []
    for instance in instances:
        for split in SPLITS:
            folder = layout.folder(split, instance)
            pictures += sorted((folder / "seg").glob("*.png"))[:4] if folder is not None else []
        if len(pictures) >= _LOOKED_AT:
            break
    if not pictures:
        return None
    most = max(int(read_labels(path, picture_size(path)).max()) for path in pictures)
    return _coloured(["background", *(f"class {number}" for number in range(1, most + 1))])


def _coloured(names: list[str]) -> tuple[LabelClass, ...]:
    """Classes of those names, the first of them black, the others a golden section apart on the colour wheel."""
    colours = [colorsys.hsv_to_rgb(0.618034 * number % 1, 0.7, 0.9) for number in range(1, len(names))]
    return tuple(LabelClass(*pair) for pair in zip(names, [(0.0, 0.0, 0.0), *colours], strict=True))
