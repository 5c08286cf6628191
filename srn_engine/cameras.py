"""Cameras as the engine sees them: pixels to rays, in dataset units and OpenCV axes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from srn_engine.errors import UserError
from srn_engine.model.interfaces import Rays

LARGEST_SIDE = 8192
_NUMBERS = ("fl_x", "fl_y", "cx", "cy")


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point in pixels; the first pixel's centre is at (0.5, 0.5)."""

    fl_x: float
    fl_y: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Intrinsics":
        """Reads the six numbers; UserError where one is missing or impossible."""
        try:
            fl_x, fl_y, cx, cy = (float(data[name]) for name in _NUMBERS)
            width, height = int(data["width"]), int(data["height"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"The camera needs {', '.join(_NUMBERS)}, width and height as numbers.") from error
        if not all(map(math.isfinite, (fl_x, fl_y, cx, cy))) or fl_x <= 0 or fl_y <= 0:
            raise UserError("The camera's focal lengths must be positive and all its numbers finite.")
        if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
            raise UserError(f"A picture must be 1 to {LARGEST_SIDE} pixels a side, not {width} x {height}.")
        return cls(fl_x, fl_y, cx, cy, width, height)

    def directions(self) -> npt.NDArray[np.float32]:
        """Camera-space directions through all pixel centres, (height * width, 3), with z = 1, rows first."""
        x = (np.arange(self.width) + 0.5 - self.cx) / self.fl_x
        y = (np.arange(self.height) + 0.5 - self.cy) / self.fl_y
        grid_x, grid_y = np.meshgrid(x, y)
        return np.stack([grid_x, grid_y, np.ones_like(grid_x)], axis=-1).reshape(-1, 3).astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """One camera: `pose` (4, 4) camera to world in dataset units and OpenCV axes, and its intrinsics."""

    pose: npt.NDArray[np.float64]
    intrinsics: Intrinsics

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Camera":
        """Reads the protocol's `camera` object; UserError where it is none."""
        try:
            pose = np.asarray(data["pose"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("The camera needs a pose of 4 x 4 numbers.") from error
        return cls(checked_pose(pose, "The camera's pose"), Intrinsics.from_json(data))

    def shifted(self, pixels: float) -> "Camera":
        """The camera whose principal point lies that much further right and down."""
        size = self.intrinsics
        return replace(self, intrinsics=replace(size, cx=size.cx + pixels, cy=size.cy + pixels))

    def project(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where points (n, 3) in dataset units are seen: pixels (n, 2) and depth (n,) along z, without meaning where
        that is not positive."""
        pose = torch.as_tensor(self.pose, dtype=torch.float32, device=points.device)
        size = self.intrinsics
        local = torch.linalg.solve(pose[:3, :3], (points - pose[:3, 3]).T)
        x, y = local[:2] / local[2]
        return torch.stack([x * size.fl_x + size.cx, y * size.fl_y + size.cy], dim=1), local[2]

    def stretched(self, world: npt.NDArray[np.float64]) -> "Camera":
        """The camera that sees the same picture once the world is mapped by `world`, (4, 4) affine. Its pose is then no
        rigid motion, but rays and projections are as they should be."""
        return replace(self, pose=world @ self.pose)

    def rays(self, device: torch.device) -> Rays:
        """All rays of the picture, rows first."""
        pose = torch.as_tensor(self.pose, dtype=torch.float32, device=device)
        directions = torch.from_numpy(self.intrinsics.directions()).to(device)
        return rays_of(pose[:3, 3].expand(len(directions), 3), directions @ pose[:3, :3].T)


def rays_of(origins: torch.Tensor, directions: torch.Tensor) -> Rays:
    """Rays from (R, 3) origins and (R, 3) world-space directions whose camera-space z is 1."""
    per_z = directions.norm(dim=-1)
    return Rays(origins, directions / per_z[:, None], 1.0 / per_z)


def checked_pose(pose: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """Returns `pose` where it is a rigid motion, (4, 4); raises UserError that calls it `name` otherwise."""
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise UserError(f"{name} must be 4 x 4 finite numbers.")
    rotation = pose[:3, :3]
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise UserError(f"{name} is no rotation: its axes must be of length one, at right angles and right-handed.")
    return pose
