"""A dataset of any number of instances, made by arithmetic in milliseconds each: balls and boxes of random size, turn
and colour, lit from above, all seen from the same cameras."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from srn_engine.cameras import Camera, Intrinsics

VIEWS, SIZE, DISTANCE = 8, 32, 3.0
FINE = 2  # samples a side in each pixel, for soft edges
NAME = "shapes"
Numbers = npt.NDArray[np.float64]


def write_shapes(root: Path, count: int) -> Path:
    """Writes `count` instances of VIEWS train views each to `root`; the first ones are the same for every count."""
    intrinsics = Intrinsics(SIZE * 1.2, SIZE * 1.2, SIZE / 2, SIZE / 2, SIZE, SIZE)
    cameras = [Camera(pose, intrinsics) for pose in _poses()]
    names = [f"shape{number:04d}" for number in range(count)]
    for number, name in enumerate(names):
        folder = root / f"{NAME}_train" / name
        for part in ("rgb", "rgba", "pose"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        shape = Shape(np.random.default_rng(number))
        for view, camera in enumerate(cameras):
            picture = Image.fromarray(shape.seen_from(camera))
            picture.save(folder / "rgba" / f"{view:06d}.png")
            picture.convert("RGB").save(folder / "rgb" / f"{view:06d}.png")
            pose = " ".join(map(repr, camera.pose.reshape(-1).tolist()))
            (folder / "pose" / f"{view:06d}.txt").write_text(pose, encoding="utf-8")
    views = {"planned": VIEWS * count, "captured": VIEWS * count}
    manifest = {
        "format": "srn-dataset", "version": 1, "name": NAME, "blender": "none", "units": "unit sphere",
        "depth": {"kind": "z", "miss": 0.0}, "camera": vars(intrinsics), "passes": ["rgb", "rgba"],
        "splits": {"train": views}, "classes": [{"id": 0, "name": "background", "colour": [0, 0, 0]}],
        "instances": [{"id": name, "source": "arithmetic", "centre": [0, 0, 0], "scale": 1.0} for name in names],
        "rig": {"kind": "sphere", "seed": 0, "radius": DISTANCE}, "fingerprint": {"scenes": f"{NAME} {count}"},
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root


class Shape:
    """A ball or a box in the unit sphere."""

    def __init__(self, random: np.random.Generator) -> None:
        self.colour = random.uniform(0.1, 0.9, 3)
        self.is_ball = bool(random.random() < 0.5)
        self.half = np.full(3, random.uniform(0.4, 0.9)) if self.is_ball else random.uniform(0.2, 0.55, 3)
        turn = random.uniform(0, np.pi)
        self.axes = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])

    def seen_from(self, camera: Camera) -> npt.NDArray[np.uint8]:
        """(H, W, 4) with straight alpha."""
        directions = _fine(camera.intrinsics).directions() @ camera.pose[:3, :3].T
        origin = camera.pose[:3, 3]
        hit, normals = (self._meet_ball if self.is_ball else self._meet_box)(origin, directions)
        colour = self.colour * (0.7 + 0.3 * normals[:, 2:]) * hit[:, None]
        blocks = np.concatenate([colour, hit[:, None]], axis=1).reshape(SIZE, FINE, SIZE, FINE, 4).mean((1, 3))
        blocks[..., :3] /= np.maximum(blocks[..., 3:], 1e-6)
        picture: npt.NDArray[np.uint8] = (blocks * 255).round().astype(np.uint8)
        return picture

    def _meet_ball(self, origin: Numbers, directions: Numbers) -> tuple[npt.NDArray[np.bool_], Numbers]:
        """Which rays meet it, and the outward normals there."""
        a, b = (directions**2).sum(1), directions @ origin
        root = b**2 - a * (origin @ origin - self.half[0] ** 2)
        t = (-b - np.sqrt(np.maximum(root, 0))) / a
        return root > 0, (origin + t[:, None] * directions) / self.half[0]

    def _meet_box(self, origin: Numbers, directions: Numbers) -> tuple[npt.NDArray[np.bool_], Numbers]:
        """Which rays meet it, and the outward normals there; by slabs."""
        local, along = self.axes @ origin, directions @ self.axes.T
        along = np.where(np.abs(along) < 1e-9, 1e-9, along)
        enters = (-np.sign(along) * self.half - local) / along
        leaves = (np.sign(along) * self.half - local) / along
        side = enters.argmax(axis=1)
        normals = -np.sign(np.take_along_axis(along, side[:, None], axis=1)) * self.axes[side]
        return enters.max(axis=1) < leaves.min(axis=1), normals


def _fine(size: Intrinsics) -> Intrinsics:
    numbers = (size.fl_x, size.fl_y, size.cx, size.cy)
    return Intrinsics(*(FINE * number for number in numbers), FINE * size.width, FINE * size.height)


def _poses() -> list[Numbers]:
    """Camera to world, OpenCV axes, spread evenly around the origin and looking at it, z up."""
    poses = []
    for number in range(VIEWS):
        z = 1 - (2 * number + 1) / VIEWS
        azimuth = number * np.pi * (3 - np.sqrt(5))
        forward = -np.array([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z])
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(forward, right), forward, -DISTANCE * forward], axis=1)
        poses.append(pose)
    return poses
