"""Codes in a file while they are learned, and tensors written one at a time."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from srn_engine.errors import UserError
from srn_engine.model.fast.code_file import MEAN, SQUARE, VALUE, CodeFile, Tensors
from srn_engine.train.tensor_files import TensorFile, read_tensors, write_tensors


def test_a_record_holds_a_code_and_its_moments(tmp_path: Path):
    codes = CodeFile(tmp_path / "run", [3, 1, 5], 4)
    assert len(codes) == 3 and [tuple(codes[n].shape) for n in range(3)] == [(3, 4), (1, 4), (5, 4)]
    assert not codes[2].any()
    numbers = {(n, part): torch.randn(count, 4) for n, count in ((0, 3), (2, 5)) for part in (VALUE, MEAN, SQUARE)}
    for (n, part), value in numbers.items():
        codes.write(n, part, value)
    assert all(codes.read(n, part).equal(value) for (n, part), value in numbers.items())
    names = Tensors({**codes.parts("a.", VALUE), "b": torch.ones(2)})
    assert list(names) == ["a.0", "a.1", "a.2", "b"] and names["a.2"].equal(numbers[2, VALUE])
    with pytest.raises(ValueError, match="instance 0"):
        codes.write(0, VALUE, numbers[2, VALUE])
    codes.close()
    assert not list((tmp_path / "run").iterdir()), "nothing stays behind"


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    codes = CodeFile(tmp_path, [2], 4)

    class Full:
        def __getattr__(self, name: str):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(codes, "_file", Full())
    with pytest.raises(UserError, match="free some space"):
        codes.write(0, VALUE, torch.zeros(2, 4))


def test_tensors_are_written_as_the_library_writes_them(tmp_path: Path):
    kinds = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32)
    tensors = {f"t{n}": torch.arange(6).view(2, 3).to(kind) for n, kind in enumerate(kinds)}
    tensors |= {"bytes": torch.arange(5, dtype=torch.uint8), "none": torch.zeros(0, 4), "yes": torch.tensor(True)}
    tensors["turned"] = torch.arange(6.0).view(2, 3).T
    write_tensors(tmp_path / "ours", tensors, {"steps": "3"})
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "theirs", {"steps": "3"})
    for name in ("ours", "theirs"):
        read = TensorFile(tmp_path / name)
        assert set(read) == set(tensors) and len(read) == len(tensors)
        assert all(read[key].equal(value) and read[key].dtype == value.dtype for key, value in tensors.items())
        assert all(value.equal(tensors[key]) for key, value in load_file(tmp_path / name).items())
        every, about = read_tensors(tmp_path / name)
        assert set(every) == set(tensors) and every["bytes"].equal(tensors["bytes"]) and about == {"steps": "3"}
    with pytest.raises(KeyError):
        TensorFile(tmp_path / "ours")["other"]


def test_writing_holds_one_tensor_at_a_time(tmp_path: Path):
    held: list[int] = []

    def one(number: int) -> torch.Tensor:
        held.append(number)
        return torch.from_numpy(np.full(4, number, np.float32))

    write_tensors(tmp_path / "file", Tensors({f"{n}": lambda n=n: one(n) for n in range(3)}), {})
    assert held == [0, 1, 2, 0, 1, 2], "once for what the header says, once for the numbers"
    assert load_file(tmp_path / "file")["2"].tolist() == [2.0] * 4
