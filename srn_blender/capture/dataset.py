"""Writes the dataset of docs/dataset.md: each view whole or not at all, and a capture goes on where it stopped."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .camera import Camera, flip_axes
from .exr import encode_exr
from .png import encode_png

Array = NDArray[np.float64]
SPLITS = ("train", "val", "test")
SUFFIXES = {"rgb": "png", "rgba": "png", "depth": "exr", "normal": "exr", "semantic": "png"}


@dataclass(frozen=True, eq=False)
class View:
    """The passes of one view, the top row first.

    rgba: uint8 (H, W, 4), sRGB, straight alpha. depth: float32 (H, W, 1), dataset units along z, 0 where nothing was
    hit. normal: float32 (H, W, 3), world axes, unit or zero. semantic: uint8 (H, W, 1), or None without labels.
    """

    rgba: NDArray[np.uint8]
    depth: NDArray[np.float32]
    normal: NDArray[np.float32]
    semantic: NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Plan:
    """What a dataset is going to hold. `camera` gives the intrinsics that all views share; its pose is not used.

    labelled: the numbers of the training views with labels, None for all; the other splits have labels throughout.
    """

    name: str
    instance: str
    source: str
    centre: Sequence[float]
    scale: float
    camera: Camera
    poses: Mapping[str, Array]
    passes: Sequence[str]
    classes: Sequence[tuple[str, tuple[float, float, float]]]
    rig: Mapping[str, Any]
    blender: str
    fingerprint: str
    labelled: Sequence[int] | None = None

    def passes_of(self, split: str, index: int) -> list[str]:
        """The passes that a view is going to have."""
        unlabelled = split == "train" and self.labelled is not None and index not in self.labelled
        return [what for what in self.passes if not (unlabelled and what == "semantic")]


def over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA with straight alpha -> RGB on pure white, uint8 (H, W, 3), mixed as 8 bit sRGB values."""
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


@dataclass(eq=False)
class DatasetWriter:
    """A context that writes views into `root`. Everything raises UserError where the folder cannot be written."""

    root: Path
    plan: Plan
    _made: list[Path] = field(default_factory=list, init=False)
    _counted: dict[str, int] = field(default_factory=dict, init=False)

    def __enter__(self) -> DatasetWriter:
        with _advice(self.root):
            self._refuse_other_contents()
            for split, index in self.missing():  # nothing of a view that was cut short may be paired with a pose
                self._remove_view(split, index)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leaves what the captured views need, or nothing where there is none."""
        with _advice(self.root):
            if any(self.captured(split) for split in SPLITS):
                self._write_transforms()
            elif self._made:
                for leftover in [self._manifest, *(self._folder(split) / "intrinsics.txt" for split in SPLITS)]:
                    leftover.unlink(missing_ok=True)
            for folder in reversed([*self._made, self._partial]):
                with suppress(OSError):  # not empty, or never made
                    folder.rmdir()

    def captured(self, split: str) -> int:
        """How many views of a split are there, whole and without a gap."""
        count = self._counted.get(split, 0)  # nobody takes a view away meanwhile, and thousands are slow to look at
        while count < self._planned(split) and self._is_whole(split, count):
            count += 1
        self._counted[split] = count
        return count

    def missing(self) -> list[tuple[str, int]]:
        """The views still to be written, as (split, number), in the order to write them."""
        return [(split, i) for split in SPLITS for i in range(self._planned(split)) if not self._is_whole(split, i)]

    def read_camera(self, split: str, index: int) -> Camera:
        """The camera of a view as its pose file on disk has it. Raises UserError where that is damaged."""
        path = self.path(split, index, "pose")
        try:
            pose = np.array(path.read_text("utf-8").split(), np.float64).reshape(4, 4)
        except ValueError as error:
            raise UserError(f"Delete {path} and capture again: it holds no pose.") from error
        return replace(self.plan.camera, pose=pose)

    def _planned(self, split: str) -> int:
        return len(self.plan.poses[split])

    def _is_whole(self, split: str, index: int) -> bool:
        return all(self.path(split, index, what).is_file() for what in ("pose", *self.plan.passes_of(split, index)))

    def path(self, split: str, index: int, what: str) -> Path:
        """Where a view's file stands; what: a pass or "pose"."""
        return self._folder(split) / what / f"{index:06d}.{SUFFIXES.get(what, 'txt')}"

    def write_view(self, split: str, index: int, view: View) -> Path:
        """Writes one view, its pose last, and brings dataset.json up to date. Returns the path of its rgb."""
        files = {
            "rgb": encode_png(over_white(view.rgba)),
            "rgba": encode_png(view.rgba),
            "depth": encode_exr(view.depth),
            "normal": encode_exr(view.normal),
        }
        if view.semantic is not None:
            files["semantic"] = encode_png(view.semantic)
        files["pose"] = " ".join(repr(float(number)) for number in self.plan.poses[split][index].flat).encode() + b"\n"
        with _advice(self.root):
            try:
                if not self._manifest.exists():  # no view stands without the plan that it is part of
                    self._write_manifest()
                self._write(self._folder(split) / "intrinsics.txt", self._intrinsics().encode())
                for what, data in files.items():
                    self._write(self.path(split, index, what), data)
            except BaseException:
                self._remove_view(split, index)
                raise
            self._write_manifest()
        return self.path(split, index, "rgb")

    @property
    def _manifest(self) -> Path:
        return self.root / "dataset.json"

    @property
    def _partial(self) -> Path:
        """Files not yet whole stand here: readers pair whatever lies in the folders of the passes."""
        return self.root / ".partial"

    def _folder(self, split: str) -> Path:
        return self.root / f"{self.plan.name}_{split}" / self.plan.instance

    def _refuse_other_contents(self) -> None:
        other = f"Choose another folder or delete {self.root}: it holds a different capture."
        if not self._manifest.exists():
            if any((self.root / f"{self.plan.name}_{split}").exists() for split in SPLITS):
                raise UserError(other)
            return
        try:
            there = json.loads(self._manifest.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"Choose another folder or delete {self.root}: its dataset.json is damaged.") from error
        if not isinstance(there, dict) or there.get("fingerprint") != self.plan.fingerprint:
            raise UserError(other)

    def _remove_view(self, split: str, index: int) -> None:
        for what in ("pose", *SUFFIXES):
            self.path(split, index, what).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        self._make_folder(path.parent)
        self._make_folder(self._partial)
        temporary = self._partial / path.name
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it, and remembers which are new."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir()
        self._made.append(folder)

    def _intrinsics(self) -> str:
        camera = self.plan.camera
        return f"{camera.fl_x!r} {camera.cx!r} {camera.cy!r} 0.\n0. 0. 0.\n1.\n{camera.height} {camera.width}\n"

    def _write_manifest(self) -> None:
        plan, spoken = self.plan, self.plan.camera.to_json()
        del spoken["pose"]
        manifest = {
            "format": "srn-dataset",
            "version": 1,
            "name": plan.name,
            "blender": plan.blender,
            "units": "unit sphere",
            "depth": {"kind": "z", "miss": 0.0},
            "camera": spoken,
            "splits": {s: {"planned": self._planned(s), "captured": self.captured(s)} for s in SPLITS},
            "passes": list(plan.passes),
            "classes": [{"id": i, "name": name, "colour": list(c)} for i, (name, c) in enumerate(plan.classes)],
            "instances": [
                {
                    "id": plan.instance,
                    "source": plan.source,
                    "centre": [float(number) for number in plan.centre],
                    "scale": plan.scale,
                    **({"labelled": list(plan.labelled)} if plan.labelled is not None else {}),
                }
            ],
            "rig": dict(plan.rig),
            "fingerprint": plan.fingerprint,
        }
        self._write(self._manifest, json.dumps(manifest, indent=1, ensure_ascii=False).encode())

    def _write_transforms(self) -> None:
        camera = self.plan.camera
        shared = {
            "camera_angle_x": 2 * math.atan(camera.width / 2 / camera.fl_x),
            "fl_x": camera.fl_x,
            "fl_y": camera.fl_y,
            "cx": camera.cx,
            "cy": camera.cy,
            "w": camera.width,
            "h": camera.height,
        }
        for split in SPLITS:
            frames = [
                {
                    "file_path": self.path(split, i, "rgba").relative_to(self.root).with_suffix("").as_posix(),
                    "transform_matrix": flip_axes(self.plan.poses[split][i]).tolist(),
                }
                for i in range(self.captured(split))
            ]
            if frames:
                data = json.dumps({**shared, "frames": frames}, indent=1).encode()
                self._write(self.root / f"transforms_{split}.json", data)


@contextmanager
def _advice(root: Path) -> Iterator[None]:
    """Turns what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UserError(f"Free some space on the disk of {root} and capture again: it is full.") from error
        raise UserError(f"Choose another folder: {root} cannot be written ({error.strerror}).") from error
