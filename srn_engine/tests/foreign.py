"""The ball of scenes.py in the layouts of others, written here as their own readers read them.

The ball stands at MIDDLE in the world of these datasets and is STRETCH times as large.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.tests.scenes import RADIUS, ball_view, look_at_middle

SIZE = Intrinsics(fl_x=38.0, fl_y=38.0, cx=16.0, cy=16.0, width=32, height=32)
MIDDLE, STRETCH = np.array([2.0, -1.0, 0.5]), 3.0
PIXELS = {"fl_x": 38.0, "fl_y": 38.0, "cx": 16.0, "cy": 16.0, "w": 32, "h": 32}  # as transforms.json says SIZE
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def poses(count: int, seed: int = 0) -> list[np.ndarray]:
    """Camera to world, OpenCV axes, three radii and more around the ball, where it stands in these datasets."""
    positions = np.random.default_rng(seed).normal(size=(count, 3))
    positions *= 3 / np.linalg.norm(positions, axis=1, keepdims=True)
    return [in_world(look_at_middle(position)) for position in positions]


def in_world(pose: np.ndarray) -> np.ndarray:
    moved = pose.copy()
    moved[:3, 3] = STRETCH * pose[:3, 3] + MIDDLE
    return moved


def picture(pose: np.ndarray, size: Intrinsics = SIZE) -> np.ndarray:
    """What a camera there sees, (H, W, 4)."""
    own = pose.copy()
    own[:3, 3] = (pose[:3, 3] - MIDDLE) / STRETCH
    return ball_view(Camera(own, size))["rgba"]


def over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def write_nerf(root: Path, counts: Sequence[int] = (10, 2, 3), size: Intrinsics = SIZE) -> Path:
    """NeRF-synthetic: its generator's file names, one field of view, RGBA."""
    for seed, (split, count) in enumerate(zip(("train", "val", "test"), counts, strict=True)):
        (root / split).mkdir(parents=True)
        frames = []
        for number, pose in enumerate(poses(count, seed)):
            Image.fromarray(picture(pose, size)).save(root / split / f"r_{number}.png")
            frames.append({"file_path": f"./{split}/r_{number}", "transform_matrix": (pose @ OPENGL).tolist()})
        data = {"camera_angle_x": 2 * math.atan(SIZE.width / 2 / SIZE.fl_x), "frames": frames}
        (root / f"transforms_{split}.json").write_text(json.dumps(data), encoding="utf-8")
    return root


def write_instances(
    root: Path, folders: dict[str, Sequence[str]], count: int = 4, tail: str = "", lines: bool = False
) -> Path:
    """SRN's layout: for each folder the ids of its instances; `tail` ends intrinsics.txt, `lines` spreads poses."""
    for folder, ids in folders.items():
        for name in ids:
            place = root / folder / name
            for part in ("rgb", "pose"):
                (place / part).mkdir(parents=True)
            (place / "intrinsics.txt").write_text(f"38.0 16.0 16.0 0.\n0. 0. 0.\n1.\n32 32\n{tail}", encoding="utf-8")
            for number, pose in enumerate(poses(count)):
                Image.fromarray(over_white(picture(pose))).save(place / "rgb" / f"{number:06d}.png")
                rows = [" ".join(map(repr, map(float, row))) for row in pose]
                (place / "pose" / f"{number:06d}.txt").write_text(("\n" if lines else " ").join(rows), encoding="utf-8")
    return root


def write_colmap(
    root: Path, count: int = 10, camera: str = "PINHOLE 32 32 38 38 16 16", name: str = "photo {:02d}.png"
) -> Path:
    """A COLMAP text model without points, each picture followed by the empty line of its points."""
    (root / "images").mkdir(parents=True)
    (root / "sparse" / "0").mkdir(parents=True)
    lines = ["# comment"]
    for number, pose in enumerate(poses(count)):
        path = root / "images" / name.format(number)
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(pose)).save(path)
        rotation = pose[:3, :3].T
        motion = [*quaternion(rotation), *(-rotation @ pose[:3, 3])]
        lines += [f"{number + 1} {' '.join(map(repr, map(float, motion)))} 1 {name.format(number)}", ""]
    (root / "sparse/0/cameras.txt").write_text(f"# comment\n1 {camera}\n", encoding="utf-8")
    (root / "sparse/0/images.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "sparse/0/points3D.txt").write_text("", encoding="utf-8")
    return root


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Real part first; by the largest of the four, so that nothing is divided by little."""
    xx, yy, zz = np.diag(rotation)
    squares = np.array([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz])
    (_, xy, xz), (yx, _, yz), (zx, zy, _) = rotation
    rows = np.array([
        [squares[0], zy - yz, xz - zx, yx - xy],
        [zy - yz, squares[1], yx + xy, xz + zx],
        [xz - zx, yx + xy, squares[2], zy + yz],
        [yx - xy, xz + zx, zy + yz, squares[3]],
    ])  # fmt: skip
    best = rows[squares.argmax()]
    return best / np.linalg.norm(best)


def surface_points(count: int = 50) -> np.ndarray:
    """Points on the ball in the world of these datasets."""
    normals = np.random.default_rng(9).normal(size=(count, 3))
    return MIDDLE + STRETCH * RADIUS * normals / np.linalg.norm(normals, axis=1, keepdims=True)


def write_transforms(root: Path, shared: dict, frames: list[dict] | None = None, count: int = 10) -> Path:
    """A transforms.json of pictures images/0.png and so on; `frames` adds to the first of them."""
    (root / "images").mkdir(parents=True)
    entries = []
    for number, pose in enumerate(poses(count)):
        Image.fromarray(picture(pose)).save(root / "images" / f"{number}.png")
        entries.append({"file_path": f"images/{number}.png", "transform_matrix": (pose @ OPENGL).tolist()})
    for entry, more in zip(entries, frames or [], strict=False):
        entry.update(more)
    (root / "transforms.json").write_text(json.dumps({**shared, "frames": entries}), encoding="utf-8")
    return root
