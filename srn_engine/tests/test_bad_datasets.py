"""What is wrong with a foreign dataset gets a sentence."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from srn_engine.data.dataset import SPLITS
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.tests import foreign


def edit(path: Path, change: Callable[[dict], object]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def look_away(data: dict) -> None:
    for frame in data["frames"]:
        frame["transform_matrix"] = (np.array(frame["transform_matrix"]) @ np.diag([-1, 1, -1, 1])).tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.pop("fl_x") and data.pop("fl_y"), "focal length"),
        (lambda data: data.update(w=31), "32 x 32 pixels where its camera says 31 x 32"),
        (lambda data: data.update(w=100_000), "1 to 8192 pixels"),
        (lambda data: data.update(fl_x=-1), "focal lengths must be positive"),
        (lambda data: data.update(k1=-9), "folds the picture over"),
        (lambda data: data.update(camera_model="EQUIRECTANGULAR"), "EQUIRECTANGULAR"),
        (lambda data: data.pop("frames"), "lack or garble 'frames'"),
        (lambda data: data.update(frames=[]), "names no pictures"),
        (lambda data: data.update(frames=[1]), "lack or garble"),
        (lambda data: data.update(frames=data["frames"][:2]), "1 train views; an object needs at least two"),
        (lambda data: data["frames"][3].pop("transform_matrix"), "transform_matrix"),
        (lambda data: data["frames"][3].update(transform_matrix=[[1, 2], [3]]), "lack or garble"),
        (lambda data: data["frames"][3]["transform_matrix"][0].__setitem__(0, 7.0), "no rotation"),
        (lambda data: data["frames"][3].update(file_path="images/none.png"), r"none\.png is missing"),
        (lambda data: data["frames"][3].update(file_path="images/../../secret.png"), "lies elsewhere"),
        (lambda data: data["frames"][3].update(file_path="..\\secret.png"), "lies elsewhere"),
        (lambda data: data["frames"][3].update(mask_path="/etc/secret.png"), "lies elsewhere"),
        (lambda data: data.update(test_filenames=["images/none.png"]), "has no frame of it"),
        (look_away, "look away"),
    ],
)
def test_what_is_wrong_with_transforms(tmp_path: Path, change: Callable[[dict], object], words: str):
    root = foreign.write_transforms(tmp_path / "phone", foreign.PIXELS)
    edit(root / "transforms.json", change)
    with pytest.raises(UserError, match=words):
        data = open_dataset(root)
        for split in SPLITS:
            views = data.views(split, "phone")
            [views.rgba(n) for n in range(len(views))]


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("cameras", "PINHOLE", "THIN_PRISM_FISHEYE", "broken"),
        ("cameras", "PINHOLE 32 32 38 38 16 16", "FOV 32 32 38 38 16 16 1", "FOV is not read"),
        ("cameras", "PINHOLE 32 32 38 38", "PINHOLE 32 32 38", "3 parameters"),
        ("cameras", "1 PINHOLE", "2 PINHOLE", "no camera 1"),
        ("cameras", "32 32 38 38", "64 32 38 38", "32 x 32 pixels and its camera 64 x 32"),
        ("images", "photo 02.png", "photo 77.png", "77.png is missing"),
        ("images", "photo 02.png", "../photo 02.png", "lies elsewhere"),
        ("images", " 1 photo 02.png", " photo 02.png", "broken"),
    ],
)
def test_what_is_wrong_with_a_colmap_model(tmp_path: Path, file: str, old: str, new: str, words: str):
    root = foreign.write_colmap(tmp_path / "garden")
    rewrite(root / f"sparse/0/{file}.txt", old, new)
    with pytest.raises(UserError, match=words):
        open_dataset(root)


def test_a_colmap_model_that_ends_too_soon_gets_a_sentence(tmp_path: Path):
    root = foreign.write_colmap(tmp_path / "garden")
    (root / "sparse/0/cameras.bin").write_bytes(struct.pack("<QiiQQ", 1, 1, 1, 32, 32))
    (root / "sparse/0/images.bin").write_bytes(b"")
    with pytest.raises(UserError, match="broken"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda one: (one / "rgb/000001.png").unlink(), "4 poses and 3 pictures"),
        (lambda one: (one / "intrinsics.txt").write_text("38 16\n"), "must hold the lines"),
        (lambda one: (one / "intrinsics.txt").write_text("38 16 16 0.\n0. 0. 0.\n1.\n0 32\n"), "0 pixels"),
        (lambda one: (one / "pose/000001.txt").write_text("1 0 0"), "16 numbers"),
        (lambda one: (one / "pose/000001.txt").write_text("2 0 0 0 0 2 0 0 0 0 2 9 0 0 0 1"), "no rotation"),
        (lambda one: (one / "rgb/000001.png").write_bytes(b"\x89PNG"), "no readable picture"),
    ],
)
def test_what_is_wrong_with_srn_folders(tmp_path: Path, spoil: Callable[[Path], object], words: str):
    root = foreign.write_instances(tmp_path / "srn", {"cars_train": "a"})
    spoil(root / "cars_train/a")
    with pytest.raises(UserError, match=words):
        open_dataset(root)


def test_what_is_no_dataset_at_all(tmp_path: Path):
    with pytest.raises(UserError, match="does not exist"):
        open_dataset(tmp_path / "nowhere" / "at all")
    with pytest.raises(UserError, match=r"holds no dataset\.json"):
        open_dataset(tmp_path)
    (tmp_path / "transforms.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        open_dataset(tmp_path)
