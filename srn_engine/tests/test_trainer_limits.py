"""Before a training begins: its reading can be watched and stopped, and too little memory is a sentence."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.memory import is_shortage
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.tests.scenes import write_ball
from srn_engine.train.options import TrainOptions
from srn_engine.train.trainer import WATCHED_VIEWS, _Validation, train

CPU = torch.device("cpu")
LARGE = 4096  # pixels a side: a picture of 64 MiB

# Trains with little more memory than the interpreter has by then: enough to read what the dataset says of itself.
CRAMPED = """
import resource, sys
from pathlib import Path
from srn_engine.cli import main
import srn_engine.train.trainer
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (300 << 20), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=3, test=1, size=16)


def told_and_stopped_at(words: str, ball: Path, run: Path) -> list[str]:
    """What a training says until it is stopped at the first message that begins with `words`."""
    said: list[str] = []

    def report(progress: Progress) -> None:
        said.append(progress.message)
        if progress.message.startswith(words):
            raise Cancelled

    with pytest.raises(Cancelled):
        train(ball, run, TrainOptions(steps=2), CPU, report)
    return said


@pytest.mark.parametrize("words", ["Reading the views to watch", "Reading view 2 of 3", "Carving with view 2 of 3"])
def test_reading_and_carving_are_told_view_by_view_and_can_be_stopped(ball: Path, tmp_path: Path, words: str):
    assert told_and_stopped_at(words, ball, tmp_path / "run")[-1].startswith(words)
    assert not (tmp_path / "run").exists(), "there is nothing to keep"


def test_many_instances_are_told_one_by_one(tmp_path: Path):
    data = write_ball(tmp_path / "balls", train=2, test=0, size=16, balls={"a": 0.5, "b": 0.6, "c": 0.7})
    said = told_and_stopped_at("Carving instance 2 of 3", data, tmp_path / "run")
    assert "Carving instance 1 of 3" in said


def test_a_training_is_watched_with_a_few_of_many_views_as_the_files_have_them(tmp_path: Path):
    data = write_ball(tmp_path / "ball", train=2, test=47, size=8)
    watched = _Validation.read(open_dataset(data), silent).views
    assert WATCHED_VIEWS / 2 < len(watched) <= WATCHED_VIEWS
    assert {picture.dtype.name for _, _, picture in watched} == {"uint8"}
    val = open_dataset(data).views("val", "ball").cameras
    assert [(camera.pose == val[3 * n].pose).all() for n, (_, camera, _) in enumerate(watched)] == [True] * len(watched)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process as Linux does")
def test_too_little_memory_is_a_sentence_that_says_what_to_do(ball: Path, tmp_path: Path):
    root = Path(shutil.copytree(ball, tmp_path / "large"))
    for path in root.rglob("rgb*/*.png"):
        Image.open(path).resize((LARGE, LARGE), Image.Resampling.NEAREST).save(path, compress_level=1)
    data = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    data["passes"] = ["rgb", "rgba"]
    data["camera"] = {name: value * LARGE // 16 for name, value in data["camera"].items()}
    (root / "dataset.json").write_text(json.dumps(data), encoding="utf-8")
    command = ["train", str(root), "--out", str(tmp_path / "run"), "--steps", "2", "--device", "cpu"]
    alone = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}  # each thread takes address space
    ended = subprocess.run(
        [sys.executable, "-c", CRAMPED, *command], capture_output=True, text=True, check=False, env=alone
    )
    assert ended.returncode == 1, ended.stderr
    assert "too little memory to train on cpu: the 3 views" in ended.stderr
    assert f"{LARGE} x {LARGE} pixels, take about 0.65 GB" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_counts_as_too_little_memory():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60)
    assert is_shortage(refused.value)
    assert is_shortage(MemoryError())
    assert is_shortage(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_shortage(OSError(errno.ENOSPC, "No space left on device"))
    assert is_shortage(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"))
    assert not is_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_shortage(UserError("There is too little memory."))
