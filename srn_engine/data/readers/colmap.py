"""Reads a COLMAP model, as Gaussian splatting and nerfstudio lay it out: ROOT/sparse/0 and ROOT/images.

Text and binary. The camera models without distortion, with radial and with OpenCV's are read, and OpenCV's fisheye; the
distortion is taken out of the pictures on reading. Test views are those that sparse/0/test.txt lists, as Gaussian
splatting has it; where there is no such list, every eighth by name.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from srn_engine.cameras import Camera, Intrinsics, checked_pose
from srn_engine.data.colour import ColourFile
from srn_engine.data.dataset import SPLITS, Dataset, View
from srn_engine.data.images import picture_size
from srn_engine.data.lens import Lens
from srn_engine.data.readers.colmap_files import ColmapCamera, ColmapImage, read_model
from srn_engine.data.readers.files import by_eighths, inside
from srn_engine.data.readers.single import single_instance
from srn_engine.errors import UserError

_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", ".")


def model_folder(root: Path) -> Path | None:
    """Where in `root` a COLMAP model lies; None where there is none."""
    places = [root / place for place in _PLACES]
    return next(
        (place for place in places if any((place / f"cameras.{end}").is_file() for end in ("bin", "txt"))), None
    )


def open_colmap(root: Path, folder: Path) -> Dataset:
    """Reads the model in `folder` and the pictures in ROOT/images; UserError where they will not do."""
    cameras, images = read_model(folder)
    lenses: dict[tuple[int, tuple[int, int]], Lens] = {}
    views = []
    for image in images:
        if image.camera not in cameras:
            raise UserError(f"{folder} names no camera {image.camera} for {image.name}; export the model again.")
        picture = inside(root / "images", image.name)
        size = picture_size(picture)
        if (image.camera, size) not in lenses:
            lenses[image.camera, size] = _lens(cameras[image.camera], size, picture)
        views.append(_view(image, picture, lenses[image.camera, size]))
    held_out = folder / "test.txt"
    if not held_out.is_file():
        return single_instance(root, {split: by_eighths(views, split) for split in SPLITS})
    names = set(held_out.read_text(encoding="utf-8").splitlines())
    test = [view.colour.path.name in names for view in views]
    parts = {"train": False, "test": True}
    return single_instance(
        root,
        {split: [view for view, out in zip(views, test, strict=True) if out == part] for split, part in parts.items()},
    )


def _view(image: ColmapImage, picture: Path, lens: Lens) -> View:
    pose = checked_pose(np.linalg.inv(image.world_to_camera).astype(np.float64), f"The pose of {image.name}")
    size = lens.intrinsics
    colour = ColourFile(picture, (size.width, size.height), lens=lens if lens.distorts else None)
    return View(
        Path(image.name).with_suffix("").as_posix(), Camera(pose, lens.pinhole() if lens.distorts else size), colour
    )


def _lens(camera: ColmapCamera, size: tuple[int, int], picture: Path) -> Lens:
    """The lens for a picture of that (width, height): images/ may hold the pictures at a fraction of their size."""
    values = camera.parameters
    focal = values[:2] if camera.model in ("PINHOLE", "OPENCV", "OPENCV_FISHEYE") else (values[0], values[0])
    cx, cy, *rest = values[2:] if camera.model in ("PINHOLE", "OPENCV", "OPENCV_FISHEYE") else values[1:]
    by_x, by_y = size[0] / camera.width, size[1] / camera.height
    if abs(by_x / by_y - 1) > 0.02:
        raise UserError(
            f"{picture} is {size[0]} x {size[1]} pixels and its camera {camera.width} x {camera.height}; "
            "undistort or export the pictures again."
        )
    intrinsics = Intrinsics.from_json(
        {
            "fl_x": focal[0] * by_x,
            "fl_y": focal[1] * by_y,
            "cx": cx * by_x,
            "cy": cy * by_y,
            "width": size[0],
            "height": size[1],
        }
    )
    plain = Lens(intrinsics)
    match camera.model, rest:
        case "SIMPLE_PINHOLE" | "PINHOLE", []:
            return plain
        case "SIMPLE_RADIAL", [k1]:
            return replace(plain, radial=(k1, 0.0, 0.0, 0.0))
        case "RADIAL", [k1, k2]:
            return replace(plain, radial=(k1, k2, 0.0, 0.0))
        case "OPENCV", [k1, k2, p1, p2]:
            return replace(plain, radial=(k1, k2, 0.0, 0.0), tangential=(p1, p2))
        case "OPENCV_FISHEYE", [k1, k2, k3, k4]:
            return replace(plain, radial=(k1, k2, k3, k4), fisheye=True)
    raise UserError(f"COLMAP's camera model {camera.model} is not read; undistort the pictures with COLMAP first.")
