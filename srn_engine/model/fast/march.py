"""The `fast` ray marcher: gathers features all along the ray, so that thin parts, holes and soft edges live."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from srn_engine.model.fast import march_kernels
from srn_engine.model.fast.grid import Grid
from srn_engine.model.fast.march_torch import march_torch
from srn_engine.model.interfaces import Marched, Rays

_pool = ThreadPoolExecutor(thread_name_prefix="march")


class VolumeMarcher(nn.Module):
    """Integrates a Grid along rays: feature = Σ wₛ Φ(xₛ), wₛ = αₛ Π (1 - α) of the samples in front (Max 1995).

    Samples stand `step` cells apart, in cells that are not empty. The compiled kernels run on the processor; on other
    devices the same sum is done by PyTorch.
    """

    def __init__(self, step: float, density_scale: float) -> None:
        super().__init__()
        self.step = step
        self.density_scale = density_scale

    def forward(self, grid: Grid, rays: Rays, generator: torch.Generator | None = None) -> Marched:
        """Marches; `generator` moves each ray's samples by a random part of a step, without it by half of one."""
        if generator is None:
            jitter = torch.full((len(rays),), 0.5, device=rays.origins.device)
        else:
            jitter = torch.rand(len(rays), generator=generator, device=generator.device).to(rays.origins.device)
        origins = grid.to_grid(rays.origins)
        optical = self.density_scale * self.step * grid.spacing
        march: Callable[..., Any] = _MarchOnProcessor.apply if origins.device.type == "cpu" else march_torch
        feature, label_feature, opacity, surface = march(
            grid.density, grid.features, grid, origins, rays.directions, jitter, self.step, optical
        )
        return Marched(feature, opacity, surface.clamp(min=0) * grid.spacing, label_feature)


class _MarchOnProcessor(torch.autograd.Function):
    """`march_kernels` for autograd: the rays are dealt out in as many chunks as there are threads."""

    @staticmethod
    def forward(
        ctx: Any, density: Tensor, features: Tensor, grid: Grid, origins: Tensor, directions: Tensor,
        jitter: Tensor, step: float, optical: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        field = tuple(part.detach().numpy() for part in (grid.blocks, grid.cells, grid.links, density))
        rays = tuple(part.detach().contiguous().numpy() for part in (origins, directions, jitter))
        ctx.march = (*field, np.float32(optical)), features.detach().numpy(), rays, np.float32(step)
        count = len(origins)
        feature = np.empty((count, features.shape[1]), np.float32)
        opacity, surface = np.empty(count, np.float32), np.empty(count, np.float32)
        _for_chunks(march_kernels.march_forward, ctx.march, grid, (feature, opacity, surface), ())
        ctx.outputs = feature, opacity
        ctx.grid = grid
        found = torch.from_numpy(surface)
        ctx.mark_non_differentiable(found)
        return torch.from_numpy(feature), torch.from_numpy(feature.copy()), torch.from_numpy(opacity), found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_feature: Tensor, to_labels: Tensor, to_opacity: Tensor, _: Tensor) -> Any:
        gradients = tuple(part.contiguous().numpy() for part in (to_feature, to_feature + to_labels, to_opacity))
        sums = ctx.grid.sums
        chunks = sums.chunks(*ctx.march[1].shape)
        slices = [(ctx.grid.reached.numpy(), *(part.numpy() for part in chunk)) for chunk in chunks]
        _for_chunks(march_kernels.march_backward, ctx.march, ctx.grid, (*ctx.outputs, *gradients), slices)
        return *sums.collect(), None, None, None, None, None, None


def _for_chunks(kernel: Any, march: Any, grid: Grid, by_ray: Any, by_chunk: Any) -> None:
    """Runs `kernel` on even chunks of the rays, a thread each; `by_ray` is cut, `by_chunk` dealt out."""
    field, features, (origins, directions, jitter), step = march
    longest = int(3**0.5 * grid.resolution / step) + 2
    chunks = torch.get_num_threads()
    edges = [len(origins) * chunk // chunks for chunk in range(chunks + 1)]

    def run(chunk: int) -> None:
        part = slice(edges[chunk], edges[chunk + 1])
        own = by_chunk[chunk] if by_chunk else ()
        kernel(
            field, features, origins[part], directions[part], step, jitter[part], longest,
            *(array[part] for array in by_ray), *own,
        )  # fmt: skip

    for _ in _pool.map(run, range(chunks)):
        pass
