"""The compiled ray marcher and its PyTorch twin: the same numbers, the same gradients, and the right ones."""

import math

import pytest
import torch

from srn_engine.model.fast.grid import FeatureGrid
from srn_engine.model.fast.march import _MarchOnProcessor
from srn_engine.model.fast.march_torch import march_torch

STEP, OPTICAL = 0.5, 0.3


def ball(resolution: int = 24, radius: float = 0.6, channels: int = 5) -> FeatureGrid:
    """A fuzzy ball with random features."""
    axis = torch.linspace(-1, 1, resolution)
    distance = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0)
    cells = distance < radius
    cells[-1], cells[:, -1], cells[:, :, -1] = False, False, False
    grid = FeatureGrid(cells, channels)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        grid.density.normal_(0, 1.5, generator=generator)
        grid.features.normal_(generator=generator)
    return grid


def random_rays(grid: FeatureGrid, count: int = 300) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rays from outside towards the middle, some along an axis, in grid units; and their jitter."""
    generator = torch.Generator().manual_seed(2)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1) * 3
    origins[:3] = torch.eye(3) * 3
    targets = torch.randn(count, 3, generator=generator) * 0.3
    targets[:3] = 0
    directions = torch.nn.functional.normalize(targets - origins, dim=1)
    return grid.to_grid(origins), directions, torch.rand(count, generator=generator)


def losses(march, grid: FeatureGrid):
    origins, directions, jitter = random_rays(grid)
    found = march(grid.density, grid.features, grid, origins, directions, jitter, STEP, OPTICAL)
    feature, label_feature, opacity, _ = found
    generator = torch.Generator().manual_seed(3)
    pull = torch.randn(feature.shape, generator=generator)
    loss = (feature * pull).sum() + (label_feature * pull.flip(0)).sum() + (opacity * pull[:, 0]).sum()
    return found, torch.autograd.grad(loss, [grid.density, grid.features])


def test_kernels_and_twin_agree():
    grid = ball()
    compiled, compiled_grads = losses(_MarchOnProcessor.apply, grid)
    plain, plain_grads = losses(march_torch, grid)
    assert compiled[2].min() < 0.01 and compiled[2].max() > 0.9, "some rays miss, some are stopped"
    for a, b in zip(compiled, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    for a, b in zip(compiled_grads, plain_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-3)


def test_label_gradients_leave_the_density_alone():
    grid = ball()
    origins, directions, jitter = random_rays(grid)
    for march in (_MarchOnProcessor.apply, march_torch):
        label_feature = march(grid.density, grid.features, grid, origins, directions, jitter, STEP, OPTICAL)[1]
        density, features = torch.autograd.grad(label_feature.sum(), [grid.density, grid.features], allow_unused=True)
        assert density is None or density.abs().max() == 0
        assert features.abs().max() > 0


@pytest.mark.parametrize("value", [-3.0, 0.0, 2.0])
def test_constant_density_gives_the_exponential_law(value: float):
    """Through a block of constant density, opacity = 1 - exp(-density * length) (Max 1995)."""
    cells = torch.zeros(20, 20, 20, dtype=torch.bool)
    cells[4:14, 4:14, 4:14] = True
    grid = FeatureGrid(cells, 1, density=value)
    with torch.no_grad():
        grid.features.fill_(1.0)
    origins, directions = torch.tensor([[-5.0, 9.2, 9.7]]), torch.tensor([[1.0, 0.0, 0.0]])
    found = _MarchOnProcessor.apply(
        grid.density, grid.features, grid, origins, directions, torch.full((1,), 0.5), STEP, OPTICAL * STEP
    )
    expected = 1 - math.exp(-math.log1p(math.exp(value)) * OPTICAL * 10)
    assert found[2].item() == pytest.approx(expected, abs=2e-3)
    assert found[0].item() == pytest.approx(expected, abs=2e-3)
