"""Reads the cameras of views to render, from the files that other programs leave."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srn_engine.cameras import Camera, Intrinsics, checked_pose
from srn_engine.data.dataset import Instance
from srn_engine.data.readers.files import read_json, read_pose
from srn_engine.errors import UserError

Pose = npt.NDArray[np.float64]

FLIP_AXES = np.diag([1.0, -1.0, -1.0, 1.0])  # from OpenGL's camera axes to OpenCV's


def read_cameras(source: Path, size: int, otherwise: Intrinsics) -> list[Camera]:
    """The cameras that `source` holds, in its order, with pictures of `size` pixels on the longer side.

    `source` is a transforms.json (NeRF, nerfstudio: OpenGL axes), a folder of pose files (one of 16 numbers for each
    view, OpenCV axes, with intrinsics.txt in it or beside it) or an .npy of poses (N, 4, 4) in OpenCV axes; camera to
    world. Where it does not say how its cameras look, they look as `otherwise` says. UserError where it cannot be read.
    """
    if source.is_dir():
        cameras = _from_folder(source, otherwise)
    elif source.suffix == ".json":
        cameras = _from_transforms(source, otherwise)
    elif source.suffix == ".npy":
        cameras = [Camera(pose, otherwise) for pose in _read_array(source)]
    else:
        raise UserError(f"{source} is no transforms.json, no .npy file of poses and no folder of pose files.")
    if not cameras:
        raise UserError(f"{source} holds no poses.")
    return [Camera(camera.pose, _of_size(camera.intrinsics, size)) for camera in cameras]


def in_dataset_units(camera: Camera, instance: Instance) -> Camera:
    """A camera that stands in the units and at the place where the instance came from, moved to where it lies now."""
    pose = camera.pose.copy()
    pose[:3, 3] = (pose[:3, 3] - np.asarray(instance.centre)) / instance.scale
    return Camera(pose, camera.intrinsics)


def _from_folder(folder: Path, otherwise: Intrinsics) -> list[Camera]:
    inside, beside = folder / "intrinsics.txt", folder.parent / "intrinsics.txt"
    found = next((path for path in (inside, beside) if path.is_file()), None)
    intrinsics = otherwise if found is None else _read_intrinsics(found)
    return [Camera(read_pose(path), intrinsics) for path in sorted(folder.glob("*.txt")) if path != inside]


def _from_transforms(path: Path, otherwise: Intrinsics) -> list[Camera]:
    data = read_json(path)
    frames = data.get("frames")
    if not isinstance(frames, list):
        raise UserError(f"{path} holds no frames.")
    cameras = []
    for number, frame in enumerate(frames):
        try:
            pose = np.asarray(frame["transform_matrix"], dtype=np.float64) @ FLIP_AXES
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"Frame {number} of {path} has no transform_matrix of 4 x 4 numbers.") from error
        cameras.append(Camera(checked_pose(pose, f"Frame {number} of {path}"), _intrinsics(data | frame, otherwise)))
    return cameras


def _intrinsics(data: Mapping[str, Any], otherwise: Intrinsics) -> Intrinsics:
    """What a transforms file says of a camera: focal lengths in pixels or a field of view, with or without a size."""
    width, height = data.get("w", otherwise.width), data.get("h", otherwise.height)
    if "fl_x" in data:
        fl_x, fl_y = data["fl_x"], data.get("fl_y", data["fl_x"])
    elif "camera_angle_x" in data:
        fl_x = fl_y = width / 2 / math.tan(data["camera_angle_x"] / 2)
    else:
        return otherwise
    cx, cy = data.get("cx", width / 2), data.get("cy", height / 2)
    return Intrinsics.from_json({"fl_x": fl_x, "fl_y": fl_y, "cx": cx, "cy": cy, "width": width, "height": height})


def _read_intrinsics(path: Path) -> Intrinsics:
    """SRN's intrinsics.txt: `f cx cy 0.`, two lines that say nothing here, `H W`."""
    try:
        lines = [[float(word) for word in line.split()] for line in path.read_text(encoding="utf-8").splitlines()]
        (focal, cx, cy, _), (height, width) = lines[0], lines[3]
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{path} must hold `f cx cy 0.` and, in its fourth line, `H W`.") from error
    return Intrinsics.from_json({"fl_x": focal, "fl_y": focal, "cx": cx, "cy": cy, "width": width, "height": height})


def _read_array(path: Path) -> list[Pose]:
    try:
        poses = np.load(path, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no readable .npy file ({error}).") from error
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise UserError(f"{path} holds an array {poses.shape} where poses (N, 4, 4) are needed.")
    return [checked_pose(pose, f"Pose {number} of {path}") for number, pose in enumerate(poses)]


def _of_size(intrinsics: Intrinsics, size: int) -> Intrinsics:
    """The same camera with `size` pixels on the picture's longer side."""
    share = size / max(intrinsics.width, intrinsics.height)
    width, height = max(1, round(intrinsics.width * share)), max(1, round(intrinsics.height * share))
    # Rounding moves the edges by less than a pixel; each axis keeps its own field of view.
    x, y = width / intrinsics.width, height / intrinsics.height
    return Intrinsics.from_json(
        {"fl_x": intrinsics.fl_x * x, "fl_y": intrinsics.fl_y * y, "cx": intrinsics.cx * x, "cy": intrinsics.cy * y,
         "width": width, "height": height}
    )  # fmt: skip
