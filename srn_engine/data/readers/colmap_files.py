"""COLMAP's model files, text and binary: cameras and images. Points are not needed to train."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srn_engine.errors import UserError

# By COLMAP's number: the name and how many parameters the model has.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12),
}  # fmt: skip


@dataclass(frozen=True)
class ColmapCamera:
    """One entry of cameras.txt or cameras.bin."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """One entry of images.txt or images.bin; world_to_camera (4, 4) in OpenCV axes."""

    name: str
    camera: int
    world_to_camera: npt.NDArray[np.float64]


def read_model(folder: Path) -> tuple[dict[int, ColmapCamera], list[ColmapImage]]:
    """The cameras by number and the images by name of a model in `folder`; UserError where its files are broken."""
    binary = (folder / "cameras.bin").is_file()
    files = [folder / f"{name}.{'bin' if binary else 'txt'}" for name in ("cameras", "images")]
    try:
        if binary:
            cameras, images = dict(_cameras_of_bytes(_Bytes(files[0]))), list(_images_of_bytes(_Bytes(files[1])))
        else:
            cameras, images = dict(_cameras_of_text(files[0])), list(_images_of_text(files[1]))
    except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
        raise UserError(f"The COLMAP model in {folder} is broken ({error}); export it again.") from error
    return cameras, sorted(images, key=lambda image: image.name)


class _Bytes:
    """Numbers and names out of a file, one after another."""

    def __init__(self, path: Path) -> None:
        self.data, self.place = path.read_bytes(), 0

    def take(self, layout: str) -> tuple[int | float, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.place)
        self.place += struct.calcsize("<" + layout)
        return values

    def count(self) -> int:
        return int(self.take("Q")[0])

    def name(self) -> str:
        end = self.data.index(b"\0", self.place)
        text = self.data[self.place : end].decode("utf-8")
        self.place = end + 1
        return text


def _cameras_of_bytes(file: _Bytes) -> Iterator[tuple[int, ColmapCamera]]:
    for _ in range(file.count()):
        number, kind, width, height = map(int, file.take("iiQQ"))
        model, length = _MODELS[kind]
        yield number, ColmapCamera(model, width, height, tuple(map(float, file.take(f"{length}d"))))


def _images_of_bytes(file: _Bytes) -> Iterator[ColmapImage]:
    for _ in range(file.count()):
        _, *motion, camera = file.take("i7di")
        name = file.name()
        points = file.count()
        file.place += 24 * points
        yield ColmapImage(name, int(camera), _pose(motion))


def _cameras_of_text(path: Path) -> Iterator[tuple[int, ColmapCamera]]:
    for line in _lines(path):
        if line:
            number, model, width, height, *parameters = line.split()
            if len(parameters) != dict(_MODELS.values()).get(model, len(parameters)):
                raise ValueError(f"camera {number} has {len(parameters)} parameters")
            yield int(number), ColmapCamera(model, int(width), int(height), tuple(map(float, parameters)))


def _images_of_text(path: Path) -> Iterator[ColmapImage]:
    for line in _lines(path)[::2]:  # the other lines hold points of the picture, and may be empty
        if line:
            _, *motion, camera, name = line.split(maxsplit=9)
            yield ColmapImage(name, int(camera), _pose([float(number) for number in motion]))


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _pose(motion: list[float]) -> npt.NDArray[np.float64]:
    """(4, 4) from a quaternion, real part first, and a translation."""
    w, x, y, z = np.array(motion[:4]) / np.linalg.norm(motion[:4])
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = motion[4:]
    return pose
