"""What a rig looks like in the viewport, as line segments: plain numbers, no Blender."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..camera import Camera

Array = NDArray[np.float64]
Colour = tuple[float, float, float, float]

# Told apart by the colour-blind too.
SPLIT_COLOURS: dict[str, Colour] = {
    "train": (0.25, 0.65, 1.0, 1.0),
    "val": (1.0, 0.75, 0.15, 1.0),
    "test": (0.9, 0.45, 0.85, 1.0),
}
TROUBLE_COLOUR: Colour = (1.0, 0.3, 0.25, 1.0)
SPHERE_COLOUR: Colour = (0.6, 0.6, 0.6, 0.6)
# A frustum's length as a share of the cameras' median distance from the origin.
FRUSTUM_LENGTH = 0.1
CIRCLE_STEPS = 64


@dataclass(frozen=True, eq=False)
class Lines:
    """Line segments of one colour (red, green, blue, alpha): points (2 N, 3), float32, the two ends of each."""

    colour: Colour
    points: NDArray[np.float32]


def rig_lines(
    camera: Camera, poses: Mapping[str, Array], trouble: Mapping[str, set[int]], centre: ArrayLike, scale: float
) -> list[Lines]:
    """The unit sphere with its centre, a frustum for each view in its split's colour, those in `trouble` in red.

    camera: the lens of all views. poses: {split: (N, 4, 4)}, dataset units. centre, scale: the instance's, so that
    the points come out in Blender units.
    """
    positions = np.concatenate([these[:, :3, 3] for these in poses.values()])
    length = FRUSTUM_LENGTH * float(np.median(np.linalg.norm(positions, axis=1)))
    shape = _frustum(camera, length)
    parts: list[tuple[Colour, Array]] = [(SPHERE_COLOUR, _sphere())]
    troubled = []
    for split, these in poses.items():
        marked = np.array([i in trouble.get(split, ()) for i in range(len(these))], bool)
        parts.append((SPLIT_COLOURS[split], _moved(shape, these[~marked])))
        troubled.append(_moved(shape, these[marked]))
    parts.append((TROUBLE_COLOUR, np.concatenate(troubled)))
    return [
        Lines(colour, (points * scale + np.asarray(centre)).astype(np.float32))
        for colour, points in parts
        if len(points)
    ]


def _frustum(camera: Camera, length: float) -> Array:
    """The segments (20, 3) of a view in the camera's own axes: a pyramid, and a roof on its upper side."""
    plain = replace(camera, pose=np.eye(4))
    width, height = camera.width, camera.height
    pixels = [(0, 0), (width, 0), (width, height), (0, height), (width / 2, -0.3 * height)]
    a, b, c, d, roof = plain.unproject(pixels, np.full(5, length))
    eye = np.zeros(3)
    ends = [(eye, a), (eye, b), (eye, c), (eye, d), (a, b), (b, c), (c, d), (d, a), (a, roof), (roof, b)]
    return np.array(ends).reshape(-1, 3)


def _moved(shape: Array, poses: Array) -> Array:
    """The shape (M, 3) at each of the poses (N, 4, 4): (N M, 3)."""
    moved: Array = shape @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]
    return moved.reshape(-1, 3)


def _sphere() -> Array:
    """Three circles of radius 1 around the origin and a small cross in it, as segments."""
    angle = np.linspace(0, 2 * math.pi, CIRCLE_STEPS + 1)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], -1)
    segments = np.stack([ring[:-1], ring[1:]], 1).reshape(-1, 3)
    cross = 0.05 * np.concatenate([np.eye(3), -np.eye(3)])[[0, 3, 1, 4, 2, 5]]
    return np.concatenate([np.roll(segments, axis, 1) for axis in range(3)] + [cross])
