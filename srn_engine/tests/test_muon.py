"""Muon: what it makes of a matrix, and that it learns."""

import pytest
import torch
from torch import nn

from srn_engine.train.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (12, 12)])
def test_all_singular_values_become_about_one_in_the_same_directions(shape: tuple[int, int]):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 100
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.T @ orthogonalised(matrix) @ v.T
    values = found.diagonal()
    assert values.min() > 0.3 and values.max() < 1.3
    assert (found - torch.diag(values)).abs().max() < 1e-2
    assert not orthogonalised(torch.zeros(3, 5)).any()


def test_it_descends_where_one_direction_is_many_times_as_steep():
    inputs = torch.randn(256, 16, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -1.5, 16)
    wanted = inputs @ torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    layer = nn.Conv2d(16, 4, 1, bias=False)
    optimiser = Muon(layer.parameters(), 0.05)

    def loss() -> torch.Tensor:
        return (layer(inputs[:, :, None, None])[:, :, 0, 0] - wanted).square().mean()

    first = loss().item()
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 1e-2 * first
