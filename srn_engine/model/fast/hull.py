"""The visual hull: which part of space every view sees as not empty. It is where Φ of the `fast` preset begins."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.cameras import Camera

_SEEN = 0.02  # a pixel more transparent than this shows nothing


def carve(cameras: Sequence[Camera], alphas: Iterable[Tensor], n: int) -> Tensor:
    """(n, n, n) bool: cells of the cube [-1, 1]³ that no view sees through.

    alphas: for each camera the (H, W) opacity of its picture from 0 to 1, all on one device. What lies outside a
    view's frame is kept: the view says nothing about it. Cell i lies between corners i and i + 1 of n.
    """
    axis = torch.linspace(-1, 1, n)[:-1] + 1 / (n - 1)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    kept = torch.arange(len(points))
    for camera, alpha in zip(cameras, alphas, strict=True):
        points, kept = points.to(alpha.device), kept.to(alpha.device)
        kept = kept[_inside(points[kept], camera, alpha, 2 / (n - 1))]
    inner = torch.zeros((n - 1) ** 3, dtype=torch.bool, device=points.device)
    inner[kept] = True
    cells = torch.zeros(n, n, n, dtype=torch.bool, device=points.device)
    cells[:-1, :-1, :-1] = inner.view(n - 1, n - 1, n - 1)
    return cells


def _inside(points: Tensor, camera: Camera, alpha: Tensor, cell: float) -> Tensor:
    """(P,) bool: whether the cells of that size around `points` are in the silhouette or outside the frame."""
    size = camera.intrinsics
    pixels, depth = camera.project(points)
    x, y = pixels.floor().long().unbind(dim=1)
    framed = (x >= 0) & (x < size.width) & (y >= 0) & (y < size.height) & (depth > 0)
    # Half a cell's diagonal, as the nearest cell sees it, must not fall between pixels.
    nearest = depth.clamp(min=0.1).amin() if len(depth) else torch.ones(())
    reach = int(torch.ceil(max(size.fl_x, size.fl_y) * (3**0.5 / 2 * cell) / nearest))
    rows = F.max_pool2d(alpha[None, None], (1, 2 * reach + 1), stride=1, padding=(0, reach))
    seen = F.max_pool2d(rows, (2 * reach + 1, 1), stride=1, padding=(reach, 0))[0, 0] > _SEEN
    return ~framed | seen[y.clamp(0, size.height - 1), x.clamp(0, size.width - 1)]
