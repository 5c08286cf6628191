"""The latent codes of the `fast` scene: coarse grids of numbers, of which each instance has those inside its hull."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.model.fast.grid import corners_of

BRICK = 2  # corners of the fine grid along each side of a coarse place
PER_BRICK = BRICK**3


@dataclass(frozen=True)
class Layout:
    """Where an instance may hold something.

    cells (N, N, N) bool: the cells that are marched through, as Grid has them. places (K,) int64: the bricks of corners
    that they need, counted in the coarse grid of (N/2)³. links (N, N, N) int32: the row of each corner among the K · 8
    of these bricks, -1 for those in none.
    """

    cells: Tensor
    places: Tensor
    links: Tensor

    @classmethod
    def of(cls, cells: Tensor) -> "Layout":
        """The layout that has the corners of `cells` (N, N, N) bool, N even."""
        return cls._around(cells, _bricks(corners_of(cells)))

    @classmethod
    def at(cls, places: Tensor, side: int) -> "Layout":
        """The layout with every cell between the corners of the bricks at `places` (K,) of a coarse grid of side³."""
        held = torch.zeros(side**3, dtype=torch.bool, device=places.device)
        held[places] = True
        corners = _spread(held.view(side, side, side))
        cells = torch.zeros_like(corners)
        cells[:-1, :-1, :-1] = F.max_pool3d((~corners)[None, None].float(), 2, stride=1)[0, 0] == 0
        return cls._around(cells, held.view(side, side, side))

    @classmethod
    def _around(cls, cells: Tensor, bricks: Tensor) -> "Layout":
        places = bricks.reshape(-1).nonzero()[:, 0]
        first = torch.full((bricks.numel(),), -1, dtype=torch.int32, device=cells.device)
        first[places] = PER_BRICK * torch.arange(len(places), dtype=torch.int32, device=cells.device)
        first = _spread(first.view(bricks.shape))
        within = torch.arange(len(cells), dtype=torch.int32, device=cells.device) % BRICK
        row = (within[:, None, None] * BRICK + within[:, None]) * BRICK + within
        return cls(cells, places, torch.where(first >= 0, first + row, -1).contiguous())

    @cached_property
    def neighbours(self) -> Tensor:
        """(2, P) rows of corners that lie next to one another."""
        pairs = []
        for axis in range(3):
            near = self.links.narrow(axis, 0, len(self.links) - 1).reshape(-1)
            far = self.links.narrow(axis, 1, len(self.links) - 1).reshape(-1)
            both = (near >= 0) & (far >= 0)
            pairs.append(torch.stack([near[both], far[both]]))
        return torch.cat(pairs, dim=1)


def centres(side: int, device: torch.device) -> Tensor:
    """(side³, 3) the middles of all coarse places, in dataset units."""
    axis = (torch.arange(side, device=device) + 0.5) * (2 / side) - 1
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def _spread(coarse: Tensor) -> Tensor:
    """(N/2, N/2, N/2) as (N, N, N): each place's value at all corners of its brick."""
    for axis in range(3):
        coarse = coarse.repeat_interleave(BRICK, dim=axis)
    return coarse


def _bricks(corners: Tensor) -> Tensor:
    """(N/2, N/2, N/2) bool: the places of which a corner is set in (N, N, N)."""
    return F.max_pool3d(corners[None, None].float(), BRICK)[0, 0] > 0
