"""A small captured dataset made by arithmetic: a ball, one half red and one half blue, seen from around."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import OpenEXR
from PIL import Image

from srn_engine.cameras import Camera, Intrinsics

CLASSES = (("background", (0, 0, 0)), ("red half", (0.8, 0.1, 0.1)), ("blue half", (0.1, 0.2, 0.8)))
RADIUS = 0.8
PASSES = ("rgb", "rgba", "depth", "normal", "semantic")
FINE = 4  # samples a side in each pixel, for soft edges


def look_at_middle(position: np.ndarray) -> np.ndarray:
    """Camera to world, OpenCV axes, looking at the origin with z up."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, position], axis=1)
    return pose


def ball_view(camera: Camera, radius: float = RADIUS) -> dict[str, np.ndarray]:
    """The passes of one view of the ball, from the intersection of ray and sphere."""
    size = camera.intrinsics
    fine = Intrinsics(
        size.fl_x * FINE, size.fl_y * FINE, size.cx * FINE, size.cy * FINE, size.width * FINE, size.height * FINE
    )
    directions = fine.directions().astype(np.float64) @ camera.pose[:3, :3].T
    origin = camera.pose[:3, 3]
    a, b = (directions**2).sum(1), directions @ origin
    root = b**2 - a * (origin @ origin - radius**2)
    hit = root > 0
    z = np.where(hit, (-b - np.sqrt(np.maximum(root, 0))) / a, 0)  # directions have z = 1
    points = origin + z[:, None] * directions
    label = np.where(hit, np.where(points[:, 0] > 0, 1, 2), 0)
    colour = np.array([c for _, c in CLASSES])[label] * (0.75 + 0.25 * points[:, 2:] / radius)

    def blocks(values: np.ndarray) -> np.ndarray:
        return values.reshape(size.height, FINE, size.width, FINE, -1).swapaxes(1, 2)

    cover = blocks(hit.astype(float)).mean((2, 3))
    rgb = (blocks(colour * hit[:, None]).mean((2, 3)) / np.maximum(cover, 1e-6)).clip(0, 1)
    middle = (slice(None), slice(None), FINE // 2, FINE // 2)
    return {
        "rgba": (np.concatenate([rgb, cover], -1) * 255).round().astype(np.uint8),
        "depth": blocks(z)[middle][..., 0].astype(np.float32),
        "normal": (blocks(points / radius * hit[:, None])[middle]).astype(np.float32),
        "semantic": blocks(label)[middle][..., 0].astype(np.uint8),
    }


def write_ball(
    root: Path,
    train: int = 12,
    test: int = 3,
    size: int = 32,
    balls: Mapping[str, float] = MappingProxyType({"ball": RADIUS}),
) -> Path:
    """Writes the ball as a dataset to `root`, with `test` views for val and for test alike; returns `root`.

    balls: the radius of each instance.
    """
    intrinsics = Intrinsics(size * 1.2, size * 1.2, size / 2, size / 2, size, size)
    counts = {"train": train, "val": test, "test": test}
    for instance, radius in balls.items():
        for seed, (split, count) in enumerate(counts.items()):
            folder = root / f"ball_{split}" / instance
            for name in (*PASSES, "pose"):
                (folder / name).mkdir(parents=True)
            positions = np.random.default_rng(seed).normal(size=(count, 3))
            for number, position in enumerate(positions / np.linalg.norm(positions, axis=1, keepdims=True) * 3):
                camera = Camera(look_at_middle(position), intrinsics)
                _write_view(folder, f"{number:06d}", camera, ball_view(camera, radius))
    description = {
        "format": "srn-dataset", "version": 1, "name": "ball", "blender": "none", "units": "unit sphere",
        "depth": {"kind": "z", "miss": 0.0}, "camera": vars(intrinsics), "passes": list(PASSES),
        "splits": {split: {"planned": count, "captured": count} for split, count in counts.items()},
        "classes": [{"id": i, "name": name, "colour": list(colour)} for i, (name, colour) in enumerate(CLASSES)],
        "instances": [{"id": name, "source": "arithmetic", "centre": [0, 0, 0], "scale": 1.0} for name in balls],
        "rig": {"kind": "sphere", "seed": 0, "radius": 3.0}, "fingerprint": {},
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return root


def _write_view(folder: Path, name: str, camera: Camera, view: dict[str, np.ndarray]) -> None:
    Image.fromarray(view["rgba"]).save(folder / "rgba" / f"{name}.png")
    Image.fromarray(view["rgba"][..., :3]).save(folder / "rgb" / f"{name}.png")
    Image.fromarray(view["semantic"]).save(folder / "semantic" / f"{name}.png")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"V": view["depth"]}).write(str(folder / "depth" / f"{name}.exr"))
    OpenEXR.File(header, {"RGB": view["normal"]}).write(str(folder / "normal" / f"{name}.exr"))
    (folder / "pose" / f"{name}.txt").write_text(" ".join(map(repr, map(float, camera.pose.reshape(-1)))))
