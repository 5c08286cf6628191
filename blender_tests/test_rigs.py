"""Placed rigs: evenly spaced, the same for a seed, looking at the origin, never twice from one place; their drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blender_tests.scenes import placed_poses
from srn_blender.capture.camera import Camera
from srn_blender.capture.rigs.drawing import SPHERE_COLOUR, SPLIT_COLOURS, TROUBLE_COLOUR, rig_lines
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


def elevations(poses):
    return np.arcsin(directions(poses)[:, 2])


@pytest.mark.parametrize("kind", ["spiral", "turntable"])
def test_no_view_of_a_film_is_in_two_splits(kind):
    poses = placed_poses(COUNTS, 3.0, rig=kind)
    assert {split: len(these) for split, these in poses.items()} == COUNTS
    for split in COUNTS:
        for other in COUNTS.keys() - {split}:
            assert smallest_angle(directions(poses[split]), directions(poses[other])) > math.radians(1)


def test_a_spiral_climbs_from_the_lowest_to_the_highest_in_its_turns():
    low, high = -0.3, 0.9
    poses = placed_poses({"train": 400}, 3.0, rig="spiral", rings=5, lowest_elevation=low, highest_elevation=high)
    climbed = elevations(poses["train"])
    assert (np.diff(climbed) > 0).all() and low <= climbed[0] < low + 0.01 and high - 0.01 < climbed[-1] <= high
    x, y, _ = directions(poses["train"]).T
    around = np.unwrap(np.arctan2(y, x))
    assert around[-1] - around[0] == pytest.approx(5 * 2 * math.pi, rel=0.01) and (np.diff(around) > 0).all()


def test_a_turntable_has_its_rings_and_each_is_evenly_spaced():
    poses = placed_poses({"train": 50}, 3.0, rig="turntable", rings=3, lowest_elevation=0.1, highest_elevation=0.7)
    heights, counts = np.unique(elevations(poses["train"]).round(9), return_counts=True)
    assert np.allclose(heights, (0.1, 0.4, 0.7)) and sorted(counts) == [16, 17, 17]
    for height, count in zip(heights, counts, strict=True):
        x, y, _ = directions(poses["train"][np.isclose(elevations(poses["train"]), height)]).T
        assert np.allclose(np.diff(np.unwrap(np.arctan2(y, x))), 2 * math.pi / count)


def test_a_jitter_moves_cameras_no_further_than_it_says_and_is_the_same_for_a_seed():
    plain = placed_poses(COUNTS, 3.0)["train"]
    moved = placed_poses(COUNTS, 3.0, jitter_angle=0.2, jitter_distance=0.1)["train"]
    assert (moved == placed_poses(COUNTS, 3.0, jitter_angle=0.2, jitter_distance=0.1)["train"]).all()
    angles = np.arccos(np.clip((directions(plain) * directions(moved)).sum(-1), -1, 1))
    distances = np.linalg.norm(moved[:, :3, 3], axis=1) / 3.0
    assert 0.1 < angles.max() <= 0.2 and angles.std() > 0.02
    assert 0.9 <= distances.min() < 0.95 and 1.05 < distances.max() <= 1.1
    assert np.allclose(moved[:, :3, 2], -directions(moved))  # they look at the middle all the same


def test_a_resized_camera_sees_the_same():
    camera = Camera(look_at((3, 1, 2)), 700.0, 720.0, 410.0, 280.0, 801, 600)
    small = camera.resized(100)
    assert (small.width, small.height) == (100, 75)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    assert np.allclose(small.project(points)[:, :2], camera.project(points)[:, :2] * 100 / 801)
    same = camera.resized(801)
    assert (same.fl_x, same.fl_y, same.cx, same.cy, same.width, same.height) == (700.0, 720.0, 410.0, 280.0, 801, 600)


def test_the_drawing_has_each_view_where_it_stands_and_as_wide_as_it_sees():
    lens = Camera(np.eye(4), 100.0, 110.0, 40.0, 20.0, 64, 48)
    poses = placed_poses({"train": 2, "test": 1}, 3.0)
    centre, scale = np.array([5.0, -2.0, 1.0]), 2.5
    lines = {line.colour: line.points for line in rig_lines(lens, poses, {"train": {1}}, centre, scale)}
    assert set(lines) == {SPHERE_COLOUR, SPLIT_COLOURS["train"], SPLIT_COLOURS["test"], TROUBLE_COLOUR}
    for colour, pose in (
        (SPLIT_COLOURS["train"], poses["train"][0]),
        (TROUBLE_COLOUR, poses["train"][1]),
        (SPLIT_COLOURS["test"], poses["test"][0]),
    ):
        points = (lines[colour].astype(float) - centre) / scale
        assert len(points) == 20 and np.allclose(points[[0, 2, 4, 6]], pose[:3, 3], atol=1e-5)
        corners = Camera(pose, 100.0, 110.0, 40.0, 20.0, 64, 48).project(points[[1, 3, 5, 7]])
        frame = np.array([(0, 0), (64, 0), (64, 48), (0, 48)])
        assert np.allclose(corners[:, :2], frame, atol=0.01)
        seen = Camera(pose, 100.0, 110.0, 40.0, 20.0, 64, 48).project(points[8:])[:, :2].reshape(6, 2, 2)
        assert np.allclose(seen[:4], np.stack([frame, np.roll(frame, -1, 0)], 1), atol=0.01)
        assert np.allclose(seen[4:], [[(0, 0), (32, -14.4)], [(32, -14.4), (64, 0)]], atol=0.01)  # a roof on top
    sphere = (lines[SPHERE_COLOUR].astype(float) - centre) / scale
    assert (
        np.allclose(np.linalg.norm(sphere[:-6], axis=1), 1, atol=1e-5)
        and np.linalg.norm(sphere[-6:], axis=1).max() < 0.1
    )
