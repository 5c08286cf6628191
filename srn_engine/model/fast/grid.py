"""Φ of the `fast` preset: a grid of features and densities, interpolated in between."""

import itertools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srn_engine.model.fast.gradient_sums import GradientSums

BLOCK = 4  # cells of the coarse occupancy along each axis
EMPTY = -10.0  # the density value of what is outside the grid
_CORNERS = tuple(itertools.product((0, 1), repeat=3))


class Grid:
    """Features and density values at the corners of the cells that may hold something, in the cube [-1, 1]³.

    density (rows,) and features (rows, F); links (N, N, N) int32 says which row a corner has, -1 for none; cells
    (N, N, N) uint8 says which cells are marched through (cell i lies between corners i and i + 1, so the last is never
    set), blocks (N/4, N/4, N/4) the same for blocks of 4³ cells; reached (rows,) uint8 notes the corners that took part
    in a training ray. sums: where gradients are added up. Density is softplus(value) * scale, per dataset unit.
    """

    density: Tensor
    features: Tensor
    links: Tensor
    cells: Tensor
    blocks: Tensor
    reached: Tensor
    sums: GradientSums

    @property
    def resolution(self) -> int:
        """Corners along each axis."""
        return self.links.shape[0]

    @property
    def spacing(self) -> float:
        """The edge of a cell in dataset units."""
        return 2.0 / (self.resolution - 1)

    def to_grid(self, points: Tensor) -> Tensor:
        """Points (..., 3) from dataset units to grid units, where corner (i, j, k) lies at (i, j, k)."""
        return (points + 1.0) / self.spacing

    def corners(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (n, 8) and weights (n, 8) of the corners around `places` (n, 3) in grid units; row -1 is outside."""
        cell = places.floor().clamp(0, self.resolution - 2)
        inside = (places - cell).clamp(0, 1)
        cell = cell.long()
        rows, weights = [], []
        for corner in _CORNERS:
            at = cell + torch.tensor(corner, device=cell.device)
            rows.append(self.links[at[:, 0], at[:, 1], at[:, 2]].long())
            upper = torch.tensor(corner, dtype=torch.bool, device=cell.device)
            weights.append(torch.where(upper, inside, 1 - inside).prod(dim=-1))
        return torch.stack(rows, dim=1), torch.stack(weights, dim=1)

    def __call__(self, points: Tensor) -> Tensor:
        """Features (n, F) at points (n, 3) in dataset units, zero outside the grid."""
        rows, weights = self.corners(self.to_grid(points))
        found = self.features[rows.clamp(min=0)] * (rows >= 0)[..., None]
        return (found * weights[..., None]).sum(dim=1)

    def density_value(self, points: Tensor) -> Tensor:
        """Density values (n,) at points (n, 3) in dataset units, before softplus; EMPTY outside the grid."""
        rows, weights = self.corners(self.to_grid(points))
        found = torch.where(rows >= 0, self.density[rows.clamp(min=0)], EMPTY)
        return (found * weights).sum(dim=1)

    def normals(self, points: Tensor, reach: float = 1.5) -> Tensor:
        """Outward unit normals (n, 3) at points (n, 3): against the density's slope over `reach` cells each way."""
        offsets = torch.eye(3, device=points.device) * (reach * self.spacing)
        slope = [
            F.softplus(self.density_value(points + o)) - F.softplus(self.density_value(points - o)) for o in offsets
        ]
        return -F.normalize(torch.stack(slope, dim=-1), dim=-1)


class GeneratedGrid(Grid):
    """A grid whose values come from elsewhere, gradients included."""

    def __init__(self, density: Tensor, features: Tensor, links: Tensor, cells: Tensor, sums: GradientSums) -> None:
        """As Grid has them; `sums` may be shared with other grids."""
        self.density, self.features, self.links = density, features, links
        self.cells, self.blocks = cells.to(torch.uint8), _blocks_of(cells)
        self.reached = torch.zeros(len(density), dtype=torch.uint8, device=density.device)
        self.sums = sums


class FeatureGrid(Grid, nn.Module):
    """A grid whose density and features are parameters, with rows for the corners of its first cells alone."""

    def __init__(self, cells: Tensor, channels: int, density: float = EMPTY) -> None:
        super().__init__()
        self.sums = GradientSums()
        corners = corners_of(cells)
        rows = int(corners.sum())
        links = torch.full(cells.shape, -1, dtype=torch.int32, device=cells.device)
        links[corners] = torch.arange(rows, dtype=torch.int32, device=cells.device)
        self.register_buffer("links", links)
        self.register_buffer("cells", cells.to(torch.uint8))
        self.register_buffer("blocks", _blocks_of(cells))
        self.register_buffer("reached", torch.zeros(rows, dtype=torch.uint8, device=cells.device), persistent=False)
        self.density = nn.Parameter(torch.full((rows,), density, device=cells.device))
        self.features = nn.Parameter(torch.zeros(rows, channels, device=cells.device))

    @torch.no_grad()
    def refined(self, resolution: int) -> "FeatureGrid":
        """The same field at another resolution, of which only the parts near a reached corner are kept."""
        density = _resampled(self._dense(self.density[:, None], EMPTY), resolution)[0]
        near = _resampled(self._dense(self.reached[:, None].float(), 0.0), resolution)[0] > 0.25
        cells = torch.zeros_like(near)
        cells[:-1, :-1, :-1] = _pooled_cells(near)
        grid = FeatureGrid(cells, self.features.shape[1])
        held = grid.links >= 0
        grid.density.copy_(density[held].clamp(min=-6.0))  # a value of EMPTY would learn nothing more
        for channel in range(self.features.shape[1]):  # one at a time: a dense grid of all would not fit
            dense = self._dense(self.features[:, channel : channel + 1], 0.0)
            grid.features[:, channel] = _resampled(dense, resolution)[0][held]
        return grid

    @torch.no_grad()
    def prune(self, threshold: float) -> None:
        """Marches no longer through cells whose corners and neighbours all have a density value under `threshold`."""
        density = self._dense(self.density[:, None], EMPTY)[0]
        near = F.max_pool3d(density[None, None], 3, stride=1, padding=1)[0, 0] > threshold
        self.cells[:-1, :-1, :-1] &= _pooled_cells(near).to(torch.uint8)
        self.blocks.copy_(_blocks_of(self.cells))
        self.reached.zero_()

    def _dense(self, values: Tensor, empty: float) -> Tensor:
        """(rows, C) values as a dense grid (C, N, N, N)."""
        held = self.links >= 0
        dense = values.new_full((values.shape[1], *self.links.shape), empty)
        dense[:, held] = values.detach()[self.links[held].long()].T
        return dense


def restored_grid(state: Mapping[str, Tensor], prefix: str) -> FeatureGrid:
    """The grid whose tensors stand in `state` under `prefix`; ValueError where they do not fit one another.

    The compiled marcher would not notice."""
    links, cells, density = (state[prefix + name] for name in ("links", "cells", "density"))
    features = state[prefix + "features"]
    cube = (len(links),) * 3
    if links.shape != cube or cells.shape != cube or links.dtype != torch.int32 or cells.dtype != torch.uint8:
        raise ValueError("its grid is no cube")
    if density.dim() != 1 or len(features) != len(density):
        raise ValueError("its grid's rows do not match")
    if cells[-1].any() or cells[:, -1].any() or cells[:, :, -1].any():
        raise ValueError("its grid has cells outside")
    if links.min() < -1 or links.max() >= len(density) or (links[corners_of(cells.bool())] < 0).any():
        raise ValueError("its grid's links lead nowhere")
    grid = FeatureGrid(cells.bool(), features.shape[1])
    # Cells may have been pruned after the corners were laid out.
    grid.links = links
    grid.density, grid.features = nn.Parameter(density), nn.Parameter(features)
    grid.reached = torch.zeros(len(density), dtype=torch.uint8, device=density.device)
    return grid


def _resampled(dense: Tensor, resolution: int) -> Tensor:
    size = (resolution,) * 3
    return F.interpolate(dense[None], size=size, mode="trilinear", align_corners=True)[0]


def _pooled_cells(corners: Tensor) -> Tensor:
    """(N-1, N-1, N-1) bool: the cells of which a corner is set in (N, N, N)."""
    return F.max_pool3d(corners[None, None].float(), 2, stride=1)[0, 0] > 0


def corners_of(cells: Tensor) -> Tensor:
    """(N, N, N) bool: the corners of all cells that are set."""
    padded = F.pad(cells[None, None].float(), (1, 0, 1, 0, 1, 0))
    return F.max_pool3d(padded, 2, stride=1)[0, 0] > 0


def _blocks_of(cells: Tensor) -> Tensor:
    extra = -cells.shape[0] % BLOCK
    padded = F.pad(cells[None, None].float(), (0, extra) * 3)
    return F.max_pool3d(padded, BLOCK)[0, 0].to(torch.uint8)
