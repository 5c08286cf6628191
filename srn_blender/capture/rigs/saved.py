"""Rigs from files: the poses of an earlier dataset, or those of a transforms file of the NeRF family."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UserError
from ..camera import Camera, flip_axes
from ..plan import SPLITS

Array = NDArray[np.float64]

MOST_VIEWS = 100_000
MOST_BYTES = 512 * 2**20
_CAMERA = ("fl_x", "fl_y", "cx", "cy", "width", "height")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PERSPECTIVE = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}
_PANORAMIC = ("ftheta_p0", "latlong", "equirectangular", "is_fisheye")


@dataclass(frozen=True, eq=False)
class SavedPoses:
    """What a file holds. camera: the lens that all views share; its pose is not used. poses: {split: (N, 4, 4)},
    camera to world in OpenCV axes, as stored. centre, scale: a stored point p is p * scale + centre in Blender units.
    """

    camera: Camera
    poses: dict[str, Array]
    centre: Array
    scale: float


def read_saved_poses(path: Path, hold_out: int) -> SavedPoses:
    """Reads a dataset.json, a transforms file, or the folder of either.

    Of transforms_train.json, transforms_val.json and transforms_test.json one stands for all three. A transforms file
    without splits is divided by `divide` in the order of its file paths. Lens distortion is left out.
    Raises UserError where the file cannot be read or holds views of different lenses.
    """
    try:
        return _read(_find(path), hold_out)
    except OSError as error:
        raise UserError(f"Choose another file under Poses: {path} cannot be read ({error.strerror}).") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"Choose another file under Poses: {path} lacks or garbles {error}.") from error


def divide(count: int, hold_out: int) -> dict[str, list[int]]:
    """The places of each split where nothing says them: every `hold_out`-th is for test, and the one half-way
    between two of them for validation; all are for training where it is 0.

    Raises UserError where none would be left for training.
    """
    places: dict[str, list[int]] = {split: [] for split in SPLITS}
    for place in range(count):
        turn = place % hold_out if hold_out else -1
        if hold_out and turn == hold_out - 1:
            places["test"].append(place)
        elif hold_out >= 3 and turn == hold_out // 2 - 1:
            places["val"].append(place)
        else:
            places["train"].append(place)
    if not places["train"]:
        raise UserError("Set Hold Out to 0, or to 2 and more: no camera is left to train with.")
    return places


def require_one_lens(cameras: Sequence[Camera], names: Sequence[str]) -> Camera:
    """The lens and size that all cameras share. Raises UserError, naming two, where they differ."""
    first = cameras[0]
    for camera, name in zip(cameras, names, strict=True):
        size = (camera.width, camera.height) == (first.width, first.height)
        lens, shared = ((c.fl_x, c.fl_y, c.cx, c.cy) for c in (camera, first))
        if not (size and np.allclose(lens, shared, rtol=1e-5, atol=1e-3)):
            raise UserError(f"Give '{names[0]}' and '{name}' the same lens and size: a dataset has one for all views.")
    return first


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in ("dataset.json", "transforms_train.json", "transforms.json"):
        if (path / name).is_file():
            return path / name
    raise UserError(f"Choose a dataset.json or a transforms.json under Poses: {path} holds neither.")


def _read(path: Path, hold_out: int) -> SavedPoses:
    data = _read_json(path)
    if data.get("format") == "srn-dataset":
        return _read_dataset(path.parent, data)
    if not re.fullmatch(r"transforms_(train|val|test)\.json", path.name):
        return _read_transforms({"": data}, hold_out)
    files = {split: path.with_name(f"transforms_{split}.json") for split in SPLITS}
    return _read_transforms({split: _read_json(file) for split, file in files.items() if file.is_file()}, hold_out)


def _read_json(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"Choose another file under Poses: {path} is larger than {MOST_BYTES >> 20} MiB.")
    data = json.loads(path.read_text("utf-8"))
    if not isinstance(data, dict):
        raise ValueError("its outermost braces")
    return data


def _read_dataset(root: Path, data: Mapping[str, Any]) -> SavedPoses:
    """The poses of the views that are there; of several instances those of the first."""
    if data["version"] != 1:
        raise UserError(f"Update the add-on: {root} is a dataset of version {data['version']}.")
    instance = data["instances"][0]
    for name in (data["name"], instance["id"]):
        if not _ID.fullmatch(name):
            raise ValueError(f"the name {name!r}")
    poses = {}
    for split in SPLITS:
        files = sorted((root / f"{data['name']}_{split}" / instance["id"] / "pose").glob("*.txt"))[:MOST_VIEWS]
        poses[split] = _checked([_read_pose(file) for file in files])
    camera = Camera(pose=np.eye(4), **{name: data["camera"][name] for name in _CAMERA})
    return SavedPoses(_checked_lens(camera), poses, np.array(instance["centre"], np.float64), float(instance["scale"]))


def _read_pose(file: Path) -> Array:
    with file.open(encoding="utf-8") as opened:
        return np.array(opened.read(4096).split(), np.float64).reshape(4, 4)


def _read_transforms(files: Mapping[str, Mapping[str, Any]], hold_out: int) -> SavedPoses:
    """files: by split, or one for all under ""."""
    frames = {split: list(data["frames"]) for split, data in files.items()}
    if not 0 < sum(map(len, frames.values())) <= MOST_VIEWS:
        raise UserError(f"Choose another file under Poses: it holds no views, or more than {MOST_VIEWS}.")
    said = [{**files[split], **frame} for split in frames for frame in frames[split]]
    names = [str(frame["file_path"]) for frame in said]
    camera = require_one_lens([_lens(frame) for frame in said], names)
    if "" in frames:
        frames = _divide_frames(files[""], frames[""], hold_out)
    poses = {
        split: _checked([flip_axes(frame["transform_matrix"]) for frame in frames.get(split, [])]) for split in SPLITS
    }
    return SavedPoses(camera, poses, np.zeros(3), 1.0)


def _divide_frames(data: Mapping[str, Any], frames: Sequence[Any], hold_out: int) -> dict[str, list[Any]]:
    """By the lists that nerfstudio writes, else by `divide`."""
    ordered = sorted(frames, key=lambda frame: str(frame["file_path"]))
    if any(f"{split}_filenames" in data for split in SPLITS):
        named = {str(frame["file_path"]): frame for frame in ordered}
        return {split: [named[name] for name in data.get(f"{split}_filenames", [])] for split in SPLITS}
    return {split: [ordered[place] for place in places] for split, places in divide(len(ordered), hold_out).items()}


def _lens(said: Mapping[str, Any]) -> Camera:
    """Focal lengths in pixels, else as angles; where no size is said, as in NeRF-synthetic, the picture is square."""
    if said.get("camera_model", "OPENCV") not in _PERSPECTIVE or any(said.get(name) for name in _PANORAMIC):
        raise UserError("Choose a file of perspective cameras under Poses: panoramas and fisheyes are not supported.")
    width, height = int(said.get("w", 0)), int(said.get("h", 0))
    if not (width and height):
        width = height = round(2 * float(said["cx"])) if "cx" in said else 1024
    x, y = _focal(said, "x", width), _focal(said, "y", height)
    if x is None and y is None:
        raise ValueError("fl_x or camera_angle_x")
    fl_x, fl_y = (x if x is not None else y), (y if y is not None else x)
    assert fl_x is not None and fl_y is not None, "one of them is there"
    cx, cy = float(said.get("cx", width / 2)), float(said.get("cy", height / 2))
    return _checked_lens(Camera(np.eye(4), fl_x, fl_y, cx, cy, width, height))


def _focal(said: Mapping[str, Any], axis: str, pixels: int) -> float | None:
    if f"fl_{axis}" in said:
        return float(said[f"fl_{axis}"])
    angle = said.get(f"camera_angle_{axis}")
    return None if angle is None else pixels / 2 / math.tan(float(angle) / 2)


def _checked_lens(camera: Camera) -> Camera:
    numbers = (camera.fl_x, camera.fl_y, camera.cx, camera.cy)
    if not (np.isfinite(numbers).all() and min(numbers[:2]) > 0 and min(camera.width, camera.height) > 0):
        raise ValueError("the lens")
    return replace(camera, width=int(camera.width), height=int(camera.height))


def _checked(poses: Sequence[Any]) -> Array:
    """(N, 4, 4). Raises ValueError where one is no rigid motion."""
    stacked = np.array(poses, np.float64).reshape(-1, 4, 4)
    axes = stacked[:, :3, :3]
    rigid = (
        np.isfinite(stacked).all()
        and np.allclose(stacked[:, 3], (0, 0, 0, 1))
        and np.allclose(axes.transpose(0, 2, 1) @ axes, np.eye(3), atol=1e-3)
        and (np.linalg.det(axes) > 0).all()
    )
    if not rigid:
        raise ValueError("a pose: it is no rigid motion")
    return stacked
