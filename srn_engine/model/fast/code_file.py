"""Latent codes of many instances in a file, so that what is in memory does not grow with their number."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from srn_engine.errors import UserError

VALUE, MEAN, SQUARE = range(3)  # a record: the code, and Adam's moments of it
_NUMBER = 4  # bytes


class CodeFile(nn.Module):
    """For each instance a record of float32 numbers, three times (K, C): its code, and Adam's moments of it.

    counts: the K of each instance. visits (instances,): how many steps each code has learned for. All
    begin as zero. The file has no name and is gone when it is closed. UserError where `folder` cannot be written.
    """

    visits: Tensor

    def __init__(self, folder: Path, counts: Sequence[int], channels: int) -> None:
        super().__init__()
        self.register_buffer("visits", torch.zeros(len(counts)), persistent=False)
        self._shapes = [(count, channels) for count in counts]
        self._starts = np.cumsum([0, *counts]) * channels * 3 * _NUMBER
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Windows shows it while it is open; what ends so is not the run's.
            self._file = tempfile.TemporaryFile(dir=folder, suffix=".part")  # noqa: SIM115  (`close` does)
            self._file.truncate(int(self._starts[-1]))
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, instance: int) -> Tensor:
        """An instance's code (K, C)."""
        return self.read(instance, VALUE)

    def read(self, instance: int, part: int) -> Tensor:
        """A part of a record, (K, C), on the device that the module was moved to."""
        numbers = np.empty(self._shapes[instance], np.float32)
        self._file.seek(self._place(instance, part))
        self._file.readinto(numbers.data.cast("B"))
        return torch.from_numpy(numbers).to(self.visits.device)

    def write(self, instance: int, part: int, numbers: Tensor) -> None:
        """Replaces a part of a record; UserError where there is no room."""
        if tuple(numbers.shape) != self._shapes[instance]:
            raise ValueError(f"a code of {tuple(numbers.shape)} is none of instance {instance}")
        try:
            self._file.seek(self._place(instance, part))
            self._file.write(numbers.detach().cpu().contiguous().numpy().data)
        except OSError as error:
            raise self._unwritable(error) from error

    def parts(self, prefix: str, part: int) -> dict[str, Callable[[], Tensor]]:
        """What reads a part of each record, under `prefix` and the instance's number."""
        return {f"{prefix}{number}": partial(self.read, number, part) for number in range(len(self))}

    def _place(self, instance: int, part: int) -> int:
        return int(self._starts[instance]) + part * int(np.prod(self._shapes[instance])) * _NUMBER

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self._folder} cannot be written ({error}); free some space or choose another folder.")


class Tensors(Mapping[str, Tensor]):
    """Tensors by name, of which some are read each time they are asked for."""

    def __init__(self, tensors: Mapping[str, Tensor | Callable[[], Tensor]]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        held = self._tensors[name]
        return held if isinstance(held, Tensor) else held()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
