"""The visual hull: which part of space every view sees as not empty. It is where Φ of the `fast` preset begins."""

import torch
import torch.nn.functional as F
from torch import Tensor

_SEEN = 0.02  # a pixel more transparent than this shows nothing


def carve(poses: Tensor, focal: tuple[float, float], centre: tuple[float, float], alphas: Tensor, n: int) -> Tensor:
    """(n, n, n) bool: cells of the cube [-1, 1]³ that no view sees through.

    poses (V, 4, 4) camera to world, OpenCV axes; focal and centre in pixels; alphas (V, H, W) from 0 to 1. What lies
    outside a view's frame is kept: the view says nothing about it. Cell i lies between corners i and i + 1 of n.
    """
    axis = torch.linspace(-1, 1, n, device=poses.device)[:-1] + 1 / (n - 1)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    kept = torch.arange(len(points), device=poses.device)
    height, width = alphas.shape[1:]
    for pose, alpha in zip(poses, alphas, strict=True):
        local = (points[kept] - pose[:3, 3]) @ pose[:3, :3]
        x = (local[:, 0] / local[:, 2] * focal[0] + centre[0]).floor().long()
        y = (local[:, 1] / local[:, 2] * focal[1] + centre[1]).floor().long()
        framed = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (local[:, 2] > 0)
        # Half a cell's diagonal, as the nearest cell sees it, must not fall between pixels.
        nearest = local[:, 2].clamp(min=0.1).amin() if len(local) else torch.ones(())
        reach = int(torch.ceil(max(focal) * (3**0.5 / (n - 1)) / nearest))
        rows = F.max_pool2d(alpha[None, None], (1, 2 * reach + 1), stride=1, padding=(0, reach))
        seen = F.max_pool2d(rows, (2 * reach + 1, 1), stride=1, padding=(reach, 0))[0, 0] > _SEEN
        hit = seen[y.clamp(0, height - 1), x.clamp(0, width - 1)]
        kept = kept[~framed | hit]
    cells = torch.zeros(n, n, n, dtype=torch.bool, device=poses.device)
    inner = torch.zeros((n - 1) ** 3, dtype=torch.bool, device=poses.device)
    inner[kept] = True
    cells[:-1, :-1, :-1] = inner.view(n - 1, n - 1, n - 1)
    return cells
