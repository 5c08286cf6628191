"""The check has to notice wrong poses, and to keep quiet about right ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blender_tests.scenes import placed_poses
from srn_blender.capture.camera import Camera
from srn_blender.capture.check import Observed, check_poses, neighbours
from srn_blender.capture.rigs.placed import fit_radius

SIZE = 64
FOCAL = SIZE * 50 / 36


def box(points, half, rounding):
    return np.linalg.norm(np.maximum(np.abs(points) - half, 0), axis=-1) - rounding


def dented(points):
    """How far a dented ball with a bar through it is."""
    x, y, z = np.moveaxis(points, -1, 0)
    ball = np.linalg.norm(points, axis=-1) - 0.7 + 0.05 * np.sin(6 * x) * np.sin(6 * y) * np.sin(6 * z)
    return np.minimum(ball, box(points - (0.1, 0, 0.2), (0.95, 0.12, 0.12), 0.02))


def thin(points):
    """How far a ball beside a thin plate is."""
    return np.minimum(
        np.linalg.norm(points - (0, 0.5, 0), axis=-1) - 0.4, box(points - (0, -0.4, 0), (0.5, 0.5, 0), 0.01)
    )


def observe(pose, shape=dented):
    """A shape by sphere tracing: exact depth, no renderer involved."""
    camera = Camera(pose, FOCAL, FOCAL, SIZE / 2, SIZE / 2, SIZE, SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    rays = camera.unproject(np.stack([columns + 0.5, rows + 0.5], -1), np.ones(rows.shape)) - camera.position
    depth = np.full(rows.shape, 1.5)
    for _ in range(400):
        away = shape(camera.position + rays * depth[..., None])
        depth = depth + 0.4 * away
    hit = (away < 1e-3) & (depth < 5)
    return Observed(camera, np.where(hit, depth, 0).astype(np.float32))


def look_from(turn, rise):
    """The pose of a camera that looks at the middle; turn, rise: degrees around it and above it."""
    turn, rise = np.radians(turn), np.radians(rise)
    forward = -np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
    right = np.array([-np.sin(turn), np.cos(turn), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], -1)
    pose[:3, 3] = -2.8 * forward
    return pose


@pytest.fixture(scope="module")
def views():
    poses = placed_poses({"train": 24}, 1.04 * fit_radius(FOCAL, FOCAL, SIZE, SIZE))["train"]
    return [observe(pose) for pose in poses]


def turned(axis, degrees):
    angle = np.radians(degrees)
    turn = np.eye(4)
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    turn[[i, j, i, j], [i, j, j, i]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
    return turn


def check(views, spoil=lambda camera, index: camera):
    positions = np.array([view.camera.position for view in views])
    spoiled = [replace(view, camera=spoil(view.camera, index)) for index, view in enumerate(views)]
    return check_poses([(spoiled[i], spoiled[j]) for i, j in neighbours(positions, 8)])


def test_right_poses_pass(views):
    result = check(views)
    assert result.warning is None
    assert result.median < 0.05 and result.agreeing > 0.9 and result.points > 2000


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda c, i: replace(c, pose=c.pose @ turned(i % 3, 1)), id="1 degree"),
        pytest.param(lambda c, i: replace(c, pose=c.pose @ turned(1, 1)), id="1 degree of yaw in all alike"),
        pytest.param(lambda c, i: replace(c, pose=c.pose @ turned(0, 2 * (i == 0))), id="one view alone"),
        pytest.param(lambda c, i: replace(c, pose=c.pose @ np.diag([1, -1, -1, 1])), id="OpenGL axes"),
        pytest.param(lambda c, i: replace(c, pose=c.pose @ np.diag([1, -1, 1, 1])), id="y flipped"),
        pytest.param(lambda c, i: replace(c, pose=np.linalg.inv(c.pose)), id="world to camera"),
        pytest.param(lambda c, i: replace(c, cx=c.cx + 0.5, cy=c.cy + 0.5), id="half a pixel"),
        pytest.param(lambda c, i: replace(c, fl_x=c.fl_x * 1.03, fl_y=c.fl_y * 1.03), id="3 percent of focal length"),
        pytest.param(lambda c, i: c.normalised((0, 0, 0), 1.02), id="2 percent of scale"),
    ],
)
def test_wrong_poses_are_noticed(views, spoil):
    assert check(views, spoil).warning


def test_the_other_side_of_something_thin_says_nothing():
    above, beside, below = (observe(look_from(turn, rise), thin) for turn, rise in ((0, 55), (15, 55), (0, -55)))
    result = check_poses([(above, beside), (above, below)])
    assert result.warning is None and result.weakest > 0.9 and result.points > 100


def test_too_little_to_tell_is_said(views):
    result = check_poses([])
    assert result.points == 0 and "more views" in result.warning
    assert neighbours(np.ones((1, 3)), 5) == []
