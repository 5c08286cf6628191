"""Tensors in files, as safetensors lays them out (https://github.com/huggingface/safetensors), one in memory at a time:
the codes of many instances take up more than what the training needs at once."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """All tensors of a file, and what it says about them; SafetensorError where there are none.

    The file is opened once, so that they belong together where a training replaces it meanwhile.
    """
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a file by name, each read when it is asked for; SafetensorError where there are none.

    The file is open only while it is read: Windows would refuse to replace it when the next training saves.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with safe_open(path, "pt") as file:
            self._names = frozenset(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self._path, "pt") as file:
            value: Tensor = file.get_tensor(name)
            return value.clone()  # what was read from is mapped

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Writes what TensorFile and the safetensors library read; OSError where it cannot be written."""
    kinds = {name: (value.dtype, tuple(value.shape)) for name, value in tensors.items()}
    order = sorted(kinds, key=lambda name: (-kinds[name][0].itemsize, name))  # so that none begins off its alignment
    header: dict[str, object] = {"__metadata__": dict(about)}
    end = 0
    for name in order:
        dtype, shape = kinds[name]
        start, end = end, end + dtype.itemsize * torch.Size(shape).numel()
        header[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            value = tensors[name].detach().cpu().contiguous()
            file.write(value.reshape(-1).view(torch.uint8).numpy().data)
