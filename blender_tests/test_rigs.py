"""Rigs: evenly spaced, the same for a seed, looking at the origin, never twice from one place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blender_tests.scenes import placed_poses
from srn_blender.capture.camera import Camera
from srn_blender.capture.rigs.placed import fit_radius, look_at, smallest_angle

COUNTS = {"train": 50, "val": 5, "test": 20}


def directions(poses):
    return poses[:, :3, 3] / np.linalg.norm(poses[:, :3, 3], axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["sphere", "hemisphere"])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_views_are_evenly_spaced_and_no_view_is_in_two_splits(kind, seed):
    poses = placed_poses(COUNTS, 3.0, seed, rig=kind)
    area = 4 * math.pi if kind == "sphere" else 2 * math.pi
    for split, count in COUNTS.items():
        ways = directions(poses[split])
        assert ways.shape == (count, 3)
        nearest = [smallest_angle(ways[i : i + 1], np.delete(ways, i, 0)) for i in range(count)]
        # As far apart as the side of the square that each has to itself, give or take a third.
        assert min(nearest) > 0.66 * math.sqrt(area / count)
        for other in COUNTS.keys() - {split}:
            assert smallest_angle(ways, directions(poses[other])) > math.radians(4)


def test_a_hemisphere_stays_above_ground_and_a_sphere_goes_all_around():
    above = directions(placed_poses(COUNTS, 3.0, 0, rig="hemisphere")["train"])
    assert above[:, 2].min() >= 0 and above[:, 2].max() > 0.95
    around = directions(placed_poses(COUNTS, 3.0, 0)["train"])
    assert around[:, 2].min() < -0.9 and around[:, 2].max() > 0.9
    assert np.abs(around.mean(0)).max() < 0.02


def test_a_seed_gives_the_same_poses_and_another_seed_gives_others():
    first, again, other = (placed_poses(COUNTS, 3.0, seed)["test"] for seed in (3, 3, 4))
    assert (first == again).all() and not np.allclose(first, other)


def test_the_first_views_alone_already_cover_the_rig():
    some = directions(placed_poses(COUNTS, 3.0, 0)["train"][:6])
    assert min(smallest_angle(some[i : i + 1], np.delete(some, i, 0)) for i in range(6)) > math.radians(60)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_views(count):
    assert placed_poses({"train": count}, 3.0, 0)["train"].shape == (count, 4, 4)


@pytest.mark.parametrize("position", [(3, 0, 0), (0, -2, 1), (0, 0, 3), (0, 0, -3), (1e-9, 0, 2)])
def test_look_at_is_a_rotation_that_sees_the_origin_in_the_middle(position):
    pose = look_at(position)
    assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3)) and np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    camera = Camera(pose, 100.0, 100.0, 32.0, 24.0, 64, 48)
    assert np.allclose(camera.project([0, 0, 0]), (32, 24, np.linalg.norm(position)))
    if abs(position[2]) < 2:
        assert camera.project([0, 0, 0.1])[1] < 24  # up in the world is up in the picture


@pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 64), (64, 96)])
def test_at_a_distance_of_one_the_unit_sphere_just_fills_the_picture(width, height):
    random = np.random.default_rng(0)
    surface = random.normal(size=(20000, 3))
    surface /= np.linalg.norm(surface, axis=1, keepdims=True)
    radius = fit_radius(100.0, 110.0, width, height)
    camera = Camera(look_at((radius, 0, 0)), 100.0, 110.0, width / 2, height / 2, width, height)
    x, y, _ = camera.project(surface).T
    filled = max(np.abs(x / width - 0.5).max(), np.abs(y / height - 0.5).max()) * 2
    assert 0.9 < filled < 1.0001
