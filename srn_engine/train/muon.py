"""Muon, an optimiser for the matrices of a network (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)  # makes every singular value about one in five turns
_TURNS = 5


class Muon(torch.optim.Optimizer):
    """Steps along the momentum with all its singular values made about one: rare directions count as much as common
    ones. For weights of two and more dimensions, which are matrices from all that a number is made of to that number.

    PyTorch's own takes matrices alone and computes in bfloat16, which is slow where the processor has none.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                step = orthogonalised(weight.grad.lerp(momentum, group["momentum"]).flatten(1))
                longer = max(1.0, step.shape[0] / step.shape[1]) ** 0.5
                weight.add_(step.view_as(weight), alpha=-group["lr"] * longer)


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix (m, n) with its singular values made about one, by Newton and Schulz' iteration.

    It turns matrix · matrixᵀ, which is the smaller the more the matrix is oblong, and the matrix itself once.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    a, b, c = _QUINTIC
    matrix = matrix / (matrix.norm() + 1e-12)
    gram = matrix @ matrix.T
    one = torch.eye(len(gram), device=gram.device)
    turned = one
    for _ in range(_TURNS):
        turn = a * one + b * gram + c * (gram @ gram)
        turned, gram = turn @ turned, turn @ gram @ turn
    return turned @ matrix
