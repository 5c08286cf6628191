"""Rigs whose cameras are placed around the unit sphere and look at its centre, in dataset units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..settings import CaptureSettings

Array = NDArray[np.float64]

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
# Placements tried for a split, to keep it away from the splits before it.
TRIES = 64


def fit_radius(fl_x: float, fl_y: float, width: int, height: int) -> float:
    """How far from the origin a centred lens sees the unit sphere just fill the picture."""
    half_angle = min(math.atan(width / 2 / fl_x), math.atan(height / 2 / fl_y))
    return 1 / math.sin(half_angle)


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


def rig_poses(settings: CaptureSettings, radius: float) -> dict[str, Array]:
    """The poses of each split, {split: (count, 4, 4)}: evenly spaced within a split, and no view in two splits.

    radius: the distance from the origin, before any jitter. The views of a sphere and a hemisphere come in an order
    that covers the rig evenly from the first on, so that a capture cut short is already useful; those of a spiral and
    a turntable follow each other, as in a film.
    """
    random = np.random.default_rng(settings.seed)
    jitter = np.random.default_rng((settings.seed, 1))  # on its own, so that a jitter leaves the rig where it is
    taken = np.empty((0, 3))
    poses = {}
    for split, count in settings.counts.items():
        candidates = [_directions(settings, count, random) for _ in range(TRIES)]
        directions = max(candidates, key=lambda some: smallest_angle(some, taken))
        taken = np.concatenate([taken, directions])
        if settings.rig in ("sphere", "hemisphere"):
            directions = _spread_out(directions)
        positions = radius * _jittered(directions, settings, jitter)
        poses[split] = np.array([look_at(position) for position in positions]).reshape(-1, 4, 4)
    return poses


def smallest_angle(some: Array, others: Array) -> float:
    """The smallest angle in radians between any of `some` and any of `others`, both (N, 3) unit vectors."""
    if not len(some) or not len(others):
        return math.pi
    return math.acos(min(max(float((some @ others.T).max()), -1.0), 1.0))


def _directions(settings: CaptureSettings, count: int, random: np.random.Generator) -> Array:
    """Where the cameras of a split stand, seen from the origin, (count, 3), shifted at random along the rig."""
    if settings.rig == "spiral":
        return _spiral(settings, count, random)
    if settings.rig == "turntable":
        return _turntable(settings, count, random)
    return _lattice(settings.rig, count, random)


def _lattice(kind: str, count: int, random: np.random.Generator) -> Array:
    """A Fibonacci lattice, turned at random."""
    index = np.arange(count)
    if kind == "hemisphere":
        height = (index + random.uniform(0.2, 0.8)) / max(count, 1)
        rotation = np.eye(3)  # about z alone, which the random first angle does
    else:
        height = 1 - 2 * (index + 0.5) / max(count, 1)
        rotation = _random_rotation(random)
    angle = index * GOLDEN_ANGLE + random.uniform(0, 2 * math.pi)
    return _on_sphere(height, angle) @ rotation.T


def _spiral(settings: CaptureSettings, count: int, random: np.random.Generator) -> Array:
    """From the lowest elevation up to the highest, in as many turns as there are rings."""
    along = (np.arange(count) + random.uniform(0, 1)) / max(count, 1)
    low, high = math.sin(settings.lowest_elevation), math.sin(settings.highest_elevation)
    return _on_sphere(low + (high - low) * along, 2 * math.pi * settings.rings * along)


def _turntable(settings: CaptureSettings, count: int, random: np.random.Generator) -> Array:
    """Rings one above the other, as many views on each as on the next, give or take one."""
    rings = np.array_split(np.arange(count), settings.rings)
    elevations = np.linspace(settings.lowest_elevation, settings.highest_elevation, settings.rings)
    placed = [
        _on_sphere(
            np.full(len(ring), math.sin(elevation)),
            2 * math.pi * (np.arange(len(ring)) + random.uniform(0, 1)) / max(len(ring), 1),
        )
        for ring, elevation in zip(rings, elevations, strict=True)
    ]
    return np.concatenate(placed)


def _on_sphere(height: NDArray[np.floating[Any]], angle: NDArray[np.floating[Any]]) -> Array:
    """Unit vectors (N, 3) from their z and their angle around it."""
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], -1)


def _jittered(directions: Array, settings: CaptureSettings, random: np.random.Generator) -> Array:
    """Directions tilted by up to the jitter's angle and drawn out or in by up to its share of the distance."""
    count = len(directions)
    sideways = random.normal(size=(count, 3))
    sideways -= (sideways * directions).sum(-1, keepdims=True) * directions
    sideways /= np.maximum(np.linalg.norm(sideways, axis=-1, keepdims=True), 1e-12)
    tilt = settings.jitter_angle * np.sqrt(random.uniform(0, 1, (count, 1)))
    length = 1 + settings.jitter_distance * random.uniform(-1, 1, (count, 1))
    return length * (np.cos(tilt) * directions + np.sin(tilt) * sideways)


def _random_rotation(random: np.random.Generator) -> Array:
    """A rotation matrix (3, 3), all rotations alike probable."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    rotation: Array = q * np.sign(np.diag(r))
    rotation *= np.linalg.det(rotation)
    return rotation


def _spread_out(directions: Array) -> Array:
    """The same directions, each as far as can be from those before it."""
    order: list[int] = []
    nearest = np.full(len(directions), -2.0)  # the cosine to the nearest one chosen; infinite once chosen itself
    for _ in directions:
        chosen = int(np.round(nearest, 9).argmin())  # another machine's last bits must not change the order
        order.append(chosen)
        nearest = np.maximum(nearest, directions @ directions[chosen])
        nearest[chosen] = np.inf
    return directions[order]
