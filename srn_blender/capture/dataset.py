"""Writes the dataset of docs/dataset.md: each view whole or not at all, and a capture goes on where it stopped.

Several shards may write into one folder at the same time. Each writes only its own views; what is common to all,
dataset.json and the transforms files, is made of what lies on the disk, so that whoever writes it last has it right.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
import uuid
from collections.abc import Iterator
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
from .manifest import FILE, SUFFIXES, Counts, discard, make_manifest, read_manifest, require_alike
from .plan import SPLITS, InstancePlan, Plan, ViewKey
from .png import encode_png
from .shards import WHOLE, Shard

TRIES, PAUSE = 5, 0.1  # seconds
TELLING = 20  # times as long as writing dataset.json took it is left alone


@dataclass(frozen=True, eq=False)
class View:
    """The passes of one view, the top row first; None for those that were not asked for.

    rgba: uint8 (H, W, 4), sRGB, straight alpha. depth: float32 (H, W, 1), dataset units along z, 0 where nothing was
    hit. normal: float32 (H, W, 3), world axes, unit or zero. semantic: uint8 (H, W, 1).
    """

    rgba: NDArray[np.uint8]
    depth: NDArray[np.float32] | None = None
    normal: NDArray[np.float32] | None = None
    semantic: NDArray[np.uint8] | None = None


def encode(what: str, pixels: Any) -> bytes:
    """The file of a pass."""
    return encode_exr(pixels) if SUFFIXES[what] == "exr" else encode_png(pixels)


def over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA with straight alpha -> RGB on pure white, uint8 (H, W, 3), mixed as 8 bit sRGB values."""
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


@dataclass(eq=False)
class DatasetWriter:
    """A context that writes a shard's views of `plan` into `root`.

    anew: what an earlier capture has left there is deleted first. Entering raises CaptureChanged where it could not go
    on; everything raises UserError where the folder cannot be written.
    """

    root: Path
    plan: Plan
    shard: Shard = WHOLE
    anew: bool = False
    _made: list[Path] = field(default_factory=list, init=False)
    _whole: dict[tuple[str, str], set[int]] = field(default_factory=dict, init=False)
    _settled: bool = field(default=False, init=False)
    _tell_from: float = field(default=-math.inf, init=False)  # when dataset.json is next to be written

    def __enter__(self) -> DatasetWriter:
        with _advice(self.root):
            there = read_manifest(self.root)
            if there is not None and self.anew:
                discard(self.root, there)
            elif there is not None:
                require_alike(self.root, there, self.plan)
            elif any((self.root / f"{self.plan.name}_{split}").exists() for split in SPLITS):
                raise UserError(f"Choose another folder or delete {self.root}: it holds no capture of SRN for Blender.")
            self._clear_partial()
            self._look()
            begun = {of for of in self._whole if self._folder(*of).is_dir()}
            for view in self.missing():  # nothing of a view that was cut short may be paired with a pose
                if (view.instance, view.split) in begun:
                    self._remove_view(view)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.settle()

    def settle(self) -> None:
        """Leaves what the captured views need, or nothing where there is none. Nothing is written after it."""
        if self._settled:
            return
        self._settled = True
        with _advice(self.root):
            self._look()
            while any(self._whole.values()):
                written = self._counts()
                self._write_manifest(written)
                self._write_transforms(written)
                self._look()
                if self._counts() == written:  # else another shard has finished a view meanwhile
                    break
            else:
                if self._made:
                    for leftover in [self.root / FILE, *self.root.glob("*/*/intrinsics.txt")]:
                        leftover.unlink(missing_ok=True)
            for folder in reversed([*self._made, self._partial]):
                with suppress(OSError):  # not empty, or never made
                    folder.rmdir()

    def missing(self) -> list[ViewKey]:
        """The shard's views still to be written, in the order to write them."""
        return [view for view in self.mine() if view.index not in self._whole[view.instance, view.split]]

    def mine(self) -> list[ViewKey]:
        """All views of this shard."""
        return list(self.shard.part(self.plan.views()))

    def is_complete(self) -> bool:
        """Whether every view of every shard is there, as far as this one has seen."""
        return all(view.index in self._whole[view.instance, view.split] for view in self.plan.views())

    def captured(self, instance: str, split: str) -> int:
        """How many views of a split are there, whole and without a gap, as far as this shard has seen."""
        there = self._whole[instance, split]
        return next(number for number in range(len(there) + 1) if number not in there)

    def read_camera(self, view: ViewKey) -> Camera:
        """The camera of a view as its pose file on disk has it. Raises UserError where that is damaged."""
        path = self.path(view, "pose")
        try:
            pose = np.array(path.read_text("utf-8").split(), np.float64).reshape(4, 4)
        except ValueError as error:
            raise UserError(f"Delete {path} and capture again: it holds no pose.") from error
        return replace(self.plan.camera, pose=pose)

    def path(self, view: ViewKey, what: str) -> Path:
        """Where a view's file stands; what: a pass or "pose"."""
        return self._folder(view.instance, view.split) / what / f"{view.index:06d}.{SUFFIXES.get(what, 'txt')}"

    def write_view(self, key: ViewKey, view: View) -> Path:
        """Writes one view, its pose last. Returns the path of its rgb."""
        passes = self.plan.passes_of(key)
        files = {"rgb": encode_png(over_white(view.rgba))}
        for what in passes[1:]:
            files[what] = encode(what, getattr(view, what))
        pose = self.plan.pose(key)
        files["pose"] = " ".join(repr(float(number)) for number in pose.flat).encode() + b"\n"
        with _advice(self.root):
            try:
                if not (self.root / FILE).exists():  # no view stands without the plan that it is part of
                    self._write_manifest(self._counts())
                self._write_intrinsics(key.instance, key.split)
                for what, data in files.items():
                    self._write(self.path(key, what), data)
            except BaseException:  # whatever it is, and it goes on: half a view must not stay
                self._remove_view(key)
                raise
            self._whole[key.instance, key.split].add(key.index)
            self._tell()
        return self.path(key, "rgb")

    def _tell(self) -> None:
        """Brings dataset.json up to date; of many instances not after each view, for it is as long as they are many."""
        began = time.monotonic()
        if began >= self._tell_from:
            self._write_manifest(self._counts())
            ended = time.monotonic()
            self._tell_from = ended + TELLING * (ended - began)

    @property
    def _partial(self) -> Path:
        """Files not yet whole stand here: readers pair whatever lies in the folders of the passes."""
        return self.root / ".partial"

    def _folder(self, instance: str, split: str) -> Path:
        return self.root / f"{self.plan.name}_{split}" / instance

    def _look(self) -> None:
        """Finds the views that lie on the disk, whole, whoever wrote them."""
        for instance in self.plan.instances:
            for split in SPLITS:
                self._whole[instance.id, split] = self._find(instance, split)

    def _find(self, instance: InstancePlan, split: str) -> set[int]:
        folder, planned = self._folder(instance.id, split), len(instance.poses[split])
        if not planned or not folder.is_dir():
            return set()
        names = {
            what: {entry.name for entry in os.scandir(folder / what)} if (folder / what).is_dir() else set[str]()
            for what in ("pose", *self.plan.passes)
        }

        def is_whole(view: ViewKey) -> bool:
            return all(self.path(view, what).name in names[what] for what in ("pose", *self.plan.passes_of(view)))

        return {index for index in range(planned) if is_whole(ViewKey(instance.id, split, index))}

    def _counts(self) -> Counts:
        return {one.id: {split: self.captured(one.id, split) for split in SPLITS} for one in self.plan.instances}

    def _remove_view(self, view: ViewKey) -> None:
        for what in ("pose", *SUFFIXES):
            self.path(view, what).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        """Puts a file in its place, whole or not at all, even where another shard tidies up at the same time."""
        temporary = self._partial / f"{uuid.uuid4().hex}-{path.name}"
        for last in (False,) * (TRIES - 1) + (True,):
            self._make_folder(path.parent)
            self._make_folder(self._partial)
            try:
                temporary.write_bytes(data)
                os.replace(temporary, path)
                return
            except (FileNotFoundError, PermissionError):  # tidied away; on Windows also: open in another program
                if last:
                    raise
                time.sleep(PAUSE)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _clear_partial(self) -> None:
        """Deletes what a capture that was killed has left; another shard writes again what it misses."""
        if self._partial.is_dir():
            for leftover in list(self._partial.iterdir()):
                with suppress(OSError):
                    leftover.unlink()

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it, and remembers which are new."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self._made.append(folder)

    def _write_intrinsics(self, instance: str, split: str) -> None:
        camera = self.plan.camera
        text = f"{camera.fl_x!r} {camera.cx!r} {camera.cy!r} 0.\n0. 0. 0.\n1.\n{camera.height} {camera.width}\n"
        self._write_if_other(self._folder(instance, split) / "intrinsics.txt", text.encode())

    def _write_manifest(self, counts: Counts) -> None:
        text = json.dumps(make_manifest(self.plan, counts), indent=1, ensure_ascii=False)
        self._write(self.root / FILE, text.encode())

    def _write_transforms(self, counts: Counts) -> None:
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
        colour = "rgba" if "rgba" in self.plan.passes else "rgb"
        several = len(self.plan.instances) > 1
        for instance in self.plan.instances:
            folder = self.root / instance.id if several else self.root
            for split in SPLITS:
                views = [ViewKey(instance.id, split, index) for index in range(counts[instance.id][split])]
                frames = [
                    {
                        "file_path": ("../" if several else "")
                        + self.path(view, colour).relative_to(self.root).with_suffix("").as_posix(),
                        "transform_matrix": flip_axes(self.plan.pose(view)).tolist(),
                    }
                    for view in views
                ]
                if frames:
                    self._write_intrinsics(instance.id, split)
                    data = json.dumps({**shared, "frames": frames}, indent=1).encode()
                    self._write_if_other(folder / f"transforms_{split}.json", data)
                if several:  # those of a first instance, when it was the only one
                    (self.root / f"transforms_{split}.json").unlink(missing_ok=True)

    def _write_if_other(self, path: Path, data: bytes) -> None:
        if not path.is_file() or path.read_bytes() != data:
            self._write(path, data)


@contextmanager
def _advice(root: Path) -> Iterator[None]:
    """Turns what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UserError(f"Free some space on the disk of {root} and capture again: it is full.") from error
        raise UserError(f"Choose another folder: {root} cannot be written ({error.strerror}).") from error
