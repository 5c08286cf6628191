"""Writes a binary COLMAP model with real points, which Gaussian splatting, gsplat, nerfstudio and COLMAP itself read.

    FOLDER/images/*.png   FOLDER/sparse/0/{cameras,images,points3D}.bin, test.txt

The model stands in the world, not in the unit sphere: its readers find their own scale, and what they learn lies where
the object lies. test.txt names the test views, as Gaussian splatting has it; val views are left out.
"""

import struct
from pathlib import Path

import numpy as np

from srn_engine.cameras import Intrinsics
from srn_engine.data.dataset import Dataset, Instance, View
from srn_engine.data.unproject import Floats, Surface, surface
from srn_engine.data.writers.pictures import save_picture
from srn_engine.errors import UserError

POINTS = 20_000
_PINHOLE = 1  # COLMAP's number of the camera model


def write_colmap(dataset: Dataset, instance: str, folder: Path) -> None:
    """Writes train and test views; UserError where there is no depth to take points from."""
    train, test = dataset.views("train", instance), dataset.views("test", instance)
    if not (len(train) and train.has("depth")):
        raise UserError(
            f"{instance} in {dataset.root} has no depth, and a COLMAP model needs points; capture it with depth or "
            "choose nerfstudio."
        )
    (folder / "images").mkdir(parents=True)
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    views = [*train.views, *test.views]
    names = [f"{split.split}_{number:06d}" for split in (train, test) for number in range(len(split))]
    files = [save_picture(view, folder / "images" / name).name for view, name in zip(views, names, strict=True)]
    seen = surface(train, POINTS)
    source = dataset.instance(instance)
    sizes = list(dict.fromkeys(view.camera.intrinsics for view in views))
    (model / "cameras.bin").write_bytes(_cameras(sizes))
    (model / "images.bin").write_bytes(_images(views, files, sizes, seen, source))
    (model / "points3D.bin").write_bytes(_points(seen, source))
    (model / "test.txt").write_text("".join(f"{name}\n" for name in files[len(train) :]), encoding="utf-8")


def _cameras(sizes: list[Intrinsics]) -> bytes:
    entries = [
        struct.pack("<iiQQ4d", number, _PINHOLE, size.width, size.height, size.fl_x, size.fl_y, size.cx, size.cy)
        for number, size in enumerate(sizes, start=1)
    ]
    return struct.pack("<Q", len(entries)) + b"".join(entries)


def _images(views: list[View], files: list[str], sizes: list[Intrinsics], seen: Surface, source: Instance) -> bytes:
    """Each picture's motion from the world to the camera, and the points that it sees; test pictures see none."""
    entries = []
    for number, (view, file) in enumerate(zip(views, files, strict=True)):
        rotation = view.camera.pose[:3, :3].T
        position = view.camera.pose[:3, 3] * source.scale + source.centre
        motion = (*quaternion(rotation), *(-rotation @ position))
        camera = sizes.index(view.camera.intrinsics) + 1
        entries.append(struct.pack("<i7di", number + 1, *motion, camera) + file.encode() + b"\0")
        points = np.empty(0, _POINT_2D)
        if number < len(seen.sightings):
            points = np.empty(len(seen.sightings[number].points), _POINT_2D)
            points["x"], points["y"] = seen.sightings[number].pixels.T
            points["point"] = seen.sightings[number].points + 1
        entries.append(struct.pack("<Q", len(points)) + points.tobytes())
    return struct.pack("<Q", len(views)) + b"".join(entries)


_POINT_2D = np.dtype([("x", "<f8"), ("y", "<f8"), ("point", "<i8")])
_TRACK = np.dtype([("image", "<i4"), ("place", "<i4")])


def _points(seen: Surface, source: Instance) -> bytes:
    """Each point with its colour and its track: the pictures that see it, and which of their points it is."""
    image = np.concatenate([np.full(len(one.points), n + 1) for n, one in enumerate(seen.sightings)])
    place = np.concatenate([np.arange(len(one.points)) for one in seen.sightings])
    point = np.concatenate([one.points for one in seen.sightings])
    order = np.argsort(point, kind="stable")
    tracks = np.empty(len(order), _TRACK)
    tracks["image"], tracks["place"] = image[order], place[order]
    ends = np.searchsorted(point[order], np.arange(len(seen.points) + 1))
    world = seen.points * source.scale + source.centre
    entries = [
        struct.pack("<Q3d3Bd", n + 1, *world[n], *map(int, seen.colours[n]), 0.0)
        + struct.pack("<Q", ends[n + 1] - ends[n])
        + tracks[ends[n] : ends[n + 1]].tobytes()
        for n in range(len(world))
    ]
    return struct.pack("<Q", len(entries)) + b"".join(entries)


def quaternion(rotation: Floats) -> Floats:
    """(4,), the real part first and not below 0, of a rotation (3, 3): Bar-Itzhack's eigenvector, stable everywhere."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    form = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    vector = np.linalg.eigh(form / 3)[1][:, -1][[3, 0, 1, 2]].astype(np.float64)
    turned: Floats = vector if vector[0] >= 0 else -vector
    return turned
