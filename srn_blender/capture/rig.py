"""Where the cameras of a capture stand: poses around the unit sphere, in dataset units."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
# The unit sphere's outline stays this much inside the frame.
MARGIN = 1.04
# Rotations tried for a split's lattice, to keep it away from the lattices before it.
TRIES = 64


def fit_radius(fl_x: float, fl_y: float, width: int, height: int) -> float:
    """How far from the origin a centred lens sees the whole unit sphere, with a margin."""
    half_angle = min(math.atan(width / 2 / fl_x), math.atan(height / 2 / fl_y))
    return MARGIN / math.sin(half_angle)


def look_at(position: ArrayLike) -> Array:
    """The pose (4, 4), OpenCV axes, of a camera at `position` (3,) that looks at the origin, with z up."""
    position = np.asarray(position, np.float64)
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-6:  # straight above or below: any direction is sideways
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], -1)
    pose[:3, 3] = position
    return pose


def rig_poses(kind: str, counts: Mapping[str, int], radius: float, seed: int) -> dict[str, Array]:
    """The poses of each split, {split: (count, 4, 4)}: evenly spaced within a split, and no view in two splits.

    kind: "sphere" or "hemisphere" (z >= 0). Each split's views come in an order that covers the rig evenly from the
    first on, so that a capture cut short is already useful.
    """
    random = np.random.default_rng(seed)
    taken = np.empty((0, 3))
    poses = {}
    for split, count in counts.items():
        candidates = [_lattice(kind, count, random) for _ in range(TRIES)]
        directions = max(candidates, key=lambda lattice: smallest_angle(lattice, taken))
        taken = np.concatenate([taken, directions])
        ordered = _spread_out(directions)
        poses[split] = np.array([look_at(radius * direction) for direction in ordered]).reshape(-1, 4, 4)
    return poses


def smallest_angle(some: Array, others: Array) -> float:
    """The smallest angle in radians between any of `some` and any of `others`, both (N, 3) unit vectors."""
    if not len(some) or not len(others):
        return math.pi
    return float(np.arccos(np.clip(some @ others.T, -1, 1)).min())


def _lattice(kind: str, count: int, random: np.random.Generator) -> Array:
    """A Fibonacci lattice of directions (count, 3), turned at random."""
    index = np.arange(count)
    if kind == "hemisphere":
        height = (index + random.uniform(0.2, 0.8)) / max(count, 1)
        rotation = np.eye(3)  # about z alone, which the random first angle does
    else:
        height = 1 - 2 * (index + 0.5) / max(count, 1)
        rotation = _random_rotation(random)
    angle = index * GOLDEN_ANGLE + random.uniform(0, 2 * math.pi)
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], -1) @ rotation.T


def _random_rotation(random: np.random.Generator) -> Array:
    """A rotation matrix (3, 3), all rotations alike probable."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    rotation: Array = q * np.sign(np.diag(r))
    rotation *= np.linalg.det(rotation)
    return rotation


def _spread_out(directions: Array) -> Array:
    """The same directions, each as far as can be from those before it."""
    left = list(range(len(directions)))
    order: list[int] = []
    nearest = np.full(len(directions), -2.0)  # the cosine to the nearest one chosen
    while left:
        chosen = min(
            left, key=lambda i: round(float(nearest[i]), 9)
        )  # another machine's last bits must not change the order
        left.remove(chosen)
        order.append(chosen)
        nearest = np.maximum(nearest, directions @ directions[chosen])
    return directions[order]
