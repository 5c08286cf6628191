"""Reads transforms.json, of NeRF-synthetic (Mildenhall et al. 2020), instant-ngp and nerfstudio.

NeRF-synthetic has one file a split, transforms_train.json and so on; the others have one transforms.json, which may
list its splits; where it does not, every eighth picture by name is for test.

Poses are camera to world in OpenGL axes. `applied_transform` and `applied_scale` stand in a file to say what has
already been done to its poses, and are left alone, as nerfstudio leaves them. Distortion (k1 k2 k3 k4 p1 p2 as OpenCV
has them, fisheye too) is taken out of the pictures on reading. The black of a picture under `mask_path` is background.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from srn_engine.cameras import Camera, Intrinsics, checked_pose
from srn_engine.data.colour import ColourFile
from srn_engine.data.dataset import SPLITS, Dataset, View
from srn_engine.data.images import picture_size
from srn_engine.data.lens import Lens
from srn_engine.data.readers.files import by_eighths, inside, read_json
from srn_engine.data.readers.single import single_instance
from srn_engine.errors import UserError

_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_PERSPECTIVE = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}
_SUFFIXES = (".png", ".jpg", ".jpeg")


def is_transforms(root: Path) -> bool:
    """Whether the folder holds one of the layouts that this file reads."""
    return (root / "transforms.json").is_file() or (root / "transforms_train.json").is_file()


def open_transforms(root: Path) -> Dataset:
    """Reads the transforms files in `root`; UserError where they or the pictures they name will not do."""
    try:
        if (root / "transforms_train.json").is_file():
            files = {split: root / f"transforms_{split}.json" for split in SPLITS}
            return single_instance(root, {split: _views(path) for split, path in files.items() if path.is_file()})
        path = root / "transforms.json"
        return single_instance(root, _by_split(path, sorted(_views(path), key=lambda view: view.name)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"The transforms files in {root} lack or garble {error}.") from error


def _by_split(path: Path, views: Sequence[View]) -> dict[str, list[View]]:
    data = read_json(path)
    listed = {split: data[f"{split}_filenames"] for split in SPLITS if f"{split}_filenames" in data}
    if not listed:
        return {split: by_eighths(views, split) for split in SPLITS}
    named = {view.colour.path: view for view in views}
    try:
        return {split: [named[_picture(path.parent, name)] for name in names] for split, names in listed.items()}
    except KeyError as error:
        raise UserError(f"{path} puts {error.args[0]} into a split and has no frame of it.") from error


def _views(path: Path) -> list[View]:
    data = read_json(path)
    return [_view(path, data, frame) for frame in data["frames"]]


def _view(path: Path, data: Mapping[str, Any], frame: Mapping[str, Any]) -> View:
    """One frame; what it does not say itself the file says for all."""
    said = {**data, **frame}
    picture = _picture(path.parent, said["file_path"])
    lens = _lens(said, picture)
    pose = checked_pose(np.array(said["transform_matrix"], np.float64), f"The pose of {said['file_path']} in {path}")
    mask = inside(path.parent, said["mask_path"]) if "mask_path" in said else None
    size = lens.intrinsics
    colour = ColourFile(picture, (size.width, size.height), mask, lens=lens if lens.distorts else None)
    camera = Camera(pose @ _OPENGL_TO_OPENCV, lens.pinhole() if lens.distorts else size)
    return View(PurePosixPath(said["file_path"].replace("\\", "/")).with_suffix("").as_posix(), camera, colour)


def _picture(folder: Path, name: str) -> Path:
    """The file that is meant: NeRF-synthetic leaves out the .png."""
    path = inside(folder, name)
    if path.is_file():
        return path
    found = [path.with_name(path.name + suffix) for suffix in _SUFFIXES]
    return next((one for one in found if one.is_file()), found[0] if path.suffix == "" else path)


def _lens(said: Mapping[str, Any], picture: Path) -> Lens:
    if said.get("camera_model", "OPENCV") not in (*_PERSPECTIVE, "OPENCV_FISHEYE"):
        raise UserError(
            f"{picture} was taken by a camera {said['camera_model']}; only perspective and fisheye are read."
        )
    if any(name in said for name in ("ftheta_p0", "latlong", "equirectangular")):
        raise UserError(f"{picture} was taken by a panoramic camera; only perspective and fisheye are read.")
    coefficients = {name: float(said.get(name, 0.0)) for name in ("k1", "k2", "k3", "k4", "p1", "p2")}
    fisheye = said.get("camera_model") == "OPENCV_FISHEYE" or bool(said.get("is_fisheye"))
    return Lens(
        _intrinsics(said, picture),
        (coefficients["k1"], coefficients["k2"], coefficients["k3"], coefficients["k4"]),
        (0.0, 0.0) if fisheye else (coefficients["p1"], coefficients["p2"]),
        fisheye,
    )


def _intrinsics(said: Mapping[str, Any], picture: Path) -> Intrinsics:
    """Focal lengths as instant-ngp looks for them: in pixels, else as angles; one stands for both where there is one.

    The picture's size is the file's own where w and h are not said.
    """
    width, height = (int(said["w"]), int(said["h"])) if {"w", "h"} <= said.keys() else picture_size(picture)
    x, y = _focal(said, "x", width), _focal(said, "y", height)
    if x is None and y is None:
        raise UserError(
            f"Nothing says the focal length of {picture}; its transforms file needs fl_x or camera_angle_x."
        )
    return Intrinsics.from_json(
        {
            "fl_x": x if x is not None else y,
            "fl_y": y if y is not None else x,
            "cx": said.get("cx", width / 2),
            "cy": said.get("cy", height / 2),
            "width": width,
            "height": height,
        }
    )


def _focal(said: Mapping[str, Any], axis: str, pixels: int) -> float | None:
    if f"fl_{axis}" in said:
        return float(said[f"fl_{axis}"])
    angle = said.get(f"camera_angle_{axis}", math.radians(said[f"{axis}_fov"]) if f"{axis}_fov" in said else None)
    return None if angle is None else pixels / 2 / math.tan(float(angle) / 2)
