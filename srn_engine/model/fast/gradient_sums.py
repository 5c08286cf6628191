"""Where the threads of a backward pass through a grid add up their gradients."""

import torch
from torch import Tensor


class GradientSums:
    """One sum for each thread and each row of a grid, on the processor.

    Kept from step to step: a fresh array of this size would cost more in page faults than the marching itself.
    """

    def __init__(self) -> None:
        self._parts: tuple[Tensor, Tensor, Tensor] | None = None
        self._rows = 0

    def chunks(self, rows: int, channels: int) -> list[tuple[Tensor, ...]]:
        """For each thread: touched (rows,) uint8, density (rows,), features (rows, F), all zero."""
        count = torch.get_num_threads()
        if self._parts is None or self._parts[0].shape[0] != count or self._parts[0].shape[1] < rows:
            sums = torch.zeros(count, rows), torch.zeros(count, rows, channels)
            self._parts = (torch.zeros(count, rows, dtype=torch.uint8), *sums)
        self._rows = rows
        return list(zip(*(part[:, :rows] for part in self._parts), strict=True))

    def collect(self) -> tuple[Tensor, Tensor]:
        """The gradients (rows,) and (rows, F), summed over the threads; clears the sums for the next pass."""
        assert self._parts is not None
        touched, *sums = (part[:, : self._rows] for part in self._parts)
        rows = touched.any(dim=0).nonzero()[:, 0]
        gradients = []
        for part in sums:
            gradient = torch.zeros(part.shape[1:])
            gradient[rows] = part[:, rows].sum(dim=0)
            part.index_fill_(1, rows, 0.0)
            gradients.append(gradient)
        touched.zero_()
        return gradients[0], gradients[1]
