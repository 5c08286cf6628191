"""Reading a dataset: what it holds, and a sentence for whatever is wrong with it."""

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from srn_engine.data.dataset import over_white
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.tests.scenes import write_ball

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("made") / "ball", train=2, test=1, size=16)


@pytest.fixture
def ball(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ball"))


def test_the_tests_dataset_follows_the_schema(ball: Path):
    schema = json.loads((ROOT / "docs" / "dataset.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((ball / "dataset.json").read_text(encoding="utf-8")), schema)


def test_passes_come_with_shape_type_and_meaning(ball: Path):
    views = open_dataset(ball).views("train", "ball")
    assert len(views) == 2
    rgba, depth, normal, semantic = views.rgba(1), views.depth(1), views.normal(1), views.semantic(1)
    assert (rgba.shape, rgba.dtype) == ((16, 16, 4), np.uint8)
    assert (depth.shape, depth.dtype) == ((16, 16), np.float32)
    assert normal.shape == (16, 16, 3)
    assert set(np.unique(semantic)) == {0, 1, 2}
    assert depth[8, 8] == pytest.approx(2.2, abs=0.02)  # from 3 away to a ball of radius 0.8
    np.testing.assert_allclose(normal[8, 8], views.cameras[1].pose[:3, 3] / 3, atol=0.2)  # half a pixel
    assert depth[0, 0] == 0 and rgba[0, 0, 3] == 0
    np.testing.assert_array_equal(over_white(rgba)[0, 0], 1.0)


def test_instances_say_the_way_back_to_the_world(ball: Path):
    data = open_dataset(ball)
    instance = data.instance("ball")
    assert (instance.source, instance.centre, instance.scale) == ("arithmetic", (0, 0, 0), 1.0)
    with pytest.raises(UserError, match="no instance 'cube', but ball"):
        data.instance("cube")


def test_labels_may_stand_for_some_views_only(ball: Path):
    (train_folder(ball) / "semantic" / "000001.png").unlink()
    views = open_dataset(ball).views("train", "ball")
    assert views.has("semantic") and views.has("semantic", 0) and not views.has("semantic", 1)
    with pytest.raises(UserError, match="no pass semantic"):
        views.semantic(1)


def test_a_split_without_views_is_empty(ball: Path):
    shutil.rmtree(ball / "ball_val")
    assert len(open_dataset(ball).views("val", "ball")) == 0


def break_json(root: Path) -> None:
    (root / "dataset.json").write_text("{", encoding="utf-8")


def later_version(root: Path) -> None:
    data = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    (root / "dataset.json").write_text(json.dumps(data | {"version": 2}), encoding="utf-8")


def path_as_name(root: Path) -> None:
    data = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    (root / "dataset.json").write_text(json.dumps(data | {"name": "../ball"}), encoding="utf-8")


def lose_camera(root: Path) -> None:
    data = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    del data["camera"]
    (root / "dataset.json").write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "dataset.json").unlink(), "is no dataset"),
        (break_json, "cannot be read"),
        (later_version, "update the engine"),
        (path_as_name, "letters, digits"),
        (lose_camera, "camera"),
    ],
)
def test_what_is_wrong_with_dataset_json(ball: Path, spoil, words: str):
    spoil(ball)
    with pytest.raises(UserError, match=words):
        open_dataset(ball)


def train_folder(root: Path) -> Path:
    return root / "ball_train" / "ball"


def mirror_pose(root: Path) -> None:
    (train_folder(root) / "pose" / "000000.txt").write_text("1 0 0 0 0 1 0 0 0 0 -1 3 0 0 0 1", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (train_folder(root) / "pose" / "000000.txt").unlink(), "gaps"),
        (lambda root: (train_folder(root) / "rgb" / "000001.png").unlink(), "another number of pictures"),
        (lambda root: (train_folder(root) / "rgba" / "000001.png").unlink(), "000001.png is missing"),
        (lambda root: (train_folder(root) / "rgba" / "000001.png").write_bytes(b"no picture"), "no readable picture"),
        (lambda root: (train_folder(root) / "rgba" / "000001.png").write_bytes(
            (train_folder(root) / "rgba" / "000001.png").read_bytes()[:200]), "no readable picture"),
        (lambda root: (train_folder(root) / "depth" / "000001.exr").write_bytes(b"no picture"), "no readable EXR"),
        (lambda root: Image.new("RGBA", (8, 8)).save(train_folder(root) / "rgba" / "000001.png"), "8 x 8 pixels"),
        (lambda root: Image.new("L", (16, 16), 7).save(train_folder(root) / "semantic" / "000001.png"), "class 7"),
        (lambda root: (train_folder(root) / "pose" / "000000.txt").write_text("1 2 3"), "16 numbers"),
        (mirror_pose, "no rotation"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_view(ball: Path, spoil, words: str):
    spoil(ball)
    with pytest.raises(UserError, match=words):
        views = open_dataset(ball).views("train", "ball")
        for n in range(len(views)):
            views.rgba(n), views.depth(n), views.semantic(n)
