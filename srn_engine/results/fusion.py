"""A surface from depth pictures, for every kind of scene: they are fused to one signed distance, whose zero is meshed.

The distance is averaged over the views (Curless and Levoy 1996) with weights that let thin parts live: a view that
sees the surface from the other side says nothing certain about what lies behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from skimage.measure import marching_cubes
from torch import Tensor

from srn_engine.cameras import Camera

EXTENT = 1.05  # half the edge of the cube that is meshed, dataset units: the unit sphere and a margin to close it in
BAND = 2.5  # cells on both sides of the surface that a depth picture says something about
COARSE = 4  # the surface is first looked for with so many times fewer points a side
CHUNK = 1 << 16  # points fused at once
FALL = 1.5  # how fast a view's weight falls with the distance it measures, over the band

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DepthView:
    """What one camera saw: depth (H, W) along its z axis, 0 where nothing was hit; solid (H, W), how much of the pixel
    is covered, 0 to 1."""

    camera: Camera
    depth: Tensor
    solid: Tensor

    def distances(self, points: Tensor, band: float) -> Tensor:
        """How far in front of the surface each point (n, 3) lies along its ray (n,); infinite before the background."""
        size = self.camera.intrinsics
        pose = torch.as_tensor(self.camera.pose, dtype=torch.float32, device=points.device)
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        z = seen[:, 2].clamp(min=1e-6)
        u = (seen[:, 0] / z * size.fl_x + size.cx) / size.width * 2 - 1
        v = (seen[:, 1] / z * size.fl_y + size.cy) / size.height * 2 - 1
        places = torch.stack([u, v], dim=-1)[None, None]
        nearest = _sampled(self.depth, places, "nearest")
        smooth = _sampled(self.depth, places, "bilinear")
        # Between the front of one part and another part behind it there is no surface to interpolate.
        depth = torch.where((smooth - nearest).abs() < band / 2, smooth, nearest)
        free = (_sampled(self.solid, places, "bilinear") < 0.5) | (nearest <= 0) | (seen[:, 2] <= 0)
        return torch.where(free, torch.inf, (depth - z) * seen.norm(dim=-1) / z)


def fuse(views: Sequence[DepthView], resolution: int) -> Tensor:
    """The signed distance (N, N, N) at the corners of a grid over [-EXTENT, EXTENT]³, positive outside.

    Dataset units, cut off at BAND cells. Only what a coarse grid says is near a surface is looked at closely.
    """
    device = views[0].depth.device
    coarse = _fused(views, _grid(-(-resolution // COARSE), device))
    size = (resolution,) * 3
    start = F.interpolate(coarse[None, None], size=size, mode="trilinear", align_corners=True)[0, 0]
    far = coarse.abs() >= 0.99 * reach_of(coarse.shape[0])
    near = F.max_pool3d((~far).float()[None, None], 3, stride=1, padding=1)
    close = F.interpolate(near, size=size, mode="trilinear", align_corners=True)[0, 0] > 0
    band = reach_of(resolution)
    field = start.clamp(-band, band)
    field[close] = _fused(views, _grid(resolution, device), close)
    return field


def surface(field: Tensor) -> tuple[Floats, npt.NDArray[np.int32]]:
    """The zero of a signed distance as vertices (V, 3) in dataset units and triangles (T, 3), counter-clockwise seen
    from outside; closed, for nothing is solid outside the cube. Empty where there is no surface."""
    closed = F.pad(field, (1,) * 6, value=reach_of(field.shape[0])).cpu().numpy()
    if not (closed.min() < 0 < closed.max()):
        return np.empty((0, 3), np.float32), np.empty((0, 3), np.int32)
    places, triangles, _, _ = marching_cubes(closed, 0.0)  # type: ignore[no-untyped-call]
    vertices = (places - 1) * _spacing(field.shape[0]) - EXTENT
    return vertices.astype(np.float32), triangles.astype(np.int32)


def reach_of(resolution: int) -> float:
    """How far from the surface a grid of that resolution still measures, dataset units."""
    return BAND * _spacing(resolution)


def _fused(views: Sequence[DepthView], points: Tensor, which: Tensor | None = None) -> Tensor:
    """The fused distance at grid points (N, N, N, 3), or (n,) at those of them that are chosen."""
    band = reach_of(points.shape[0])
    chosen = points.reshape(-1, 3) if which is None else points[which]
    parts = [_averaged(views, part, band) for part in torch.split(chosen, CHUNK)]
    fused = torch.cat(parts)
    return fused.reshape(points.shape[:3]) if which is None else fused


def _averaged(views: Sequence[DepthView], points: Tensor, band: float) -> Tensor:
    total, weights = torch.zeros(len(points), device=points.device), torch.zeros(len(points), device=points.device)
    for view in views:
        share = view.distances(points, band).clamp(-band, band) / band
        weight = torch.exp(-((FALL * share) ** 2)) * (1 + share).clamp(max=1)
        total += weight * share
        weights += weight
    # What no view reaches is inside.
    return torch.where(weights > 1e-6, band * total / weights.clamp(min=1e-6), -band)


def _sampled(picture: Tensor, places: Tensor, mode: str) -> Tensor:
    return F.grid_sample(picture[None, None], places, mode=mode, align_corners=False)[0, 0, 0]


def _grid(resolution: int, device: torch.device) -> Tensor:
    line = torch.linspace(-EXTENT, EXTENT, resolution, device=device)
    return torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1)


def _spacing(resolution: int) -> float:
    return 2 * EXTENT / (resolution - 1)
