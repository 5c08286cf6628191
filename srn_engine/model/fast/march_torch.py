"""The plain PyTorch twin of `march_kernels`, for CUDA and MPS: every step of every ray at once."""

import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.model.fast.grid import Grid
from srn_engine.model.fast.march_kernels import FAINT, NOTED, SPENT, SURFACE


def march_torch(
    density: Tensor, features: Tensor, grid: Grid, origins: Tensor, directions: Tensor,
    jitter: Tensor, step: float, optical: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Marches R rays in grid units; returns feature (R, F), the same for labels, opacity (R,), surface t (R,) or -1."""
    ray, t = _samples(grid, origins, directions, jitter, step)
    rows, weights = grid.corners(origins[ray] + t[:, None] * directions[ray])
    value = (density[rows] * weights).sum(dim=1).clamp(max=15.0)
    alpha = 1 - torch.exp(-F.softplus(value) * optical)
    alpha = torch.where(alpha < float(FAINT), 0.0, alpha)

    light = _light_in_front(ray, alpha, len(origins))
    share = torch.where(light < float(SPENT), 0.0, light * alpha)
    if torch.is_grad_enabled():
        grid.reached[rows[share.detach()[:, None] * weights > float(NOTED)]] = 1
    found = (features[rows] * weights[..., None]).sum(dim=1)
    feature = _summed(share[:, None] * found, ray, len(origins))
    label_feature = _summed(share.detach()[:, None] * found, ray, len(origins))
    opacity = _summed(share[:, None], ray, len(origins))[:, 0]
    met = (light * (1 - alpha) < float(SURFACE)) & (light >= float(SURFACE)) & (opacity > 0.5)[ray]
    surface = t.new_full((len(origins),), -1.0)
    surface[ray[met]] = t[met]
    return feature, label_feature, opacity, surface


@torch.no_grad()
def _samples(grid: Grid, origins: Tensor, directions: Tensor, jitter: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """The rays (S,) and places t (S,) of all samples in cells that are not empty, ray by ray, front to back."""
    inverse = 1.0 / torch.where(directions.abs() > 1e-9, directions, 1e-9)
    last = grid.resolution - 1 - 1e-3
    near, far = -origins * inverse, (last - origins) * inverse
    enter = torch.minimum(near, far).amax(dim=1).clamp(min=0)
    leave = torch.maximum(near, far).amin(dim=1)
    first = torch.ceil(enter / step - jitter)
    longest = int(((leave - enter) / step).clamp(min=0).max().ceil()) + 1 if len(origins) else 0
    t = (first[:, None] + torch.arange(longest, device=origins.device) + jitter[:, None]) * step
    cell = (origins[:, None] + t[..., None] * directions[:, None]).clamp(min=0).long().clamp(max=grid.resolution - 1)
    filled = grid.cells[cell[..., 0], cell[..., 1], cell[..., 2]] > 0
    ray, place = torch.nonzero(filled & (t < leave[:, None]), as_tuple=True)
    return ray, t[ray, place]


def _light_in_front(ray: Tensor, alpha: Tensor, rays: int) -> Tensor:
    """For each sample the light that reaches it, Π (1 - alpha) of the samples in front on the same ray."""
    counts = torch.bincount(ray, minlength=rays)
    slot = torch.arange(len(ray), device=ray.device) - (counts.cumsum(0) - counts)[ray]
    width = int(counts.max()) if len(ray) else 0
    padded = alpha.new_zeros(rays, width + 1).index_put((ray, slot + 1), alpha)
    return torch.cumprod(1 - padded, dim=1)[ray, slot]


def _summed(values: Tensor, ray: Tensor, rays: int) -> Tensor:
    return values.new_zeros(rays, values.shape[1]).index_add(0, ray, values)
