"""What `inspect` says and draws: nothing about a good dataset, the right sentence about each bad one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from srn_engine.cli import main
from srn_engine.data.inspect import inspect, summary
from srn_engine.data.inspect_pictures import draw, moved_picture
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.progress import silent
from srn_engine.tests import foreign
from srn_engine.tests.scenes import look_at_middle, write_ball


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("made") / "ball", train=8, test=2, size=32)


@pytest.fixture
def ball(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ball"))


def test_a_good_dataset(made: Path):
    result = summary(*inspect(made, silent))
    assert result["problems"] == []
    assert result["instances"] == 1 and result["splits"]["train"] == {"instances": 1, "views": 8}
    assert result["sizes"] == [{"width": 32, "height": 32, "views": 12}]
    assert result["passes"] == ["rgb", "rgba", "depth", "normal", "semantic"] and result["labelled_views"] == 12
    assert result["camera_distance"]["median"] == pytest.approx(3)
    assert result["focal_length"] == {"least": 38.4, "median": 38.4, "most": 38.4}
    assert result["agreement"]["least"] > 0.99
    shares = [one["share"] for one in result["classes"]]
    assert sum(shares) == pytest.approx(1) and shares[0] > 0.5


def poses(root: Path, split: str = "train") -> list[Path]:
    return sorted((root / f"ball_{split}/ball/pose").glob("*.txt"))


def write_pose(path: Path, pose: np.ndarray) -> None:
    path.write_text(" ".join(map(repr, map(float, pose.flat))), encoding="utf-8")


def shift_pose(root: Path) -> None:
    for path in poses(root)[::2]:
        pose = np.loadtxt(path).reshape(4, 4)
        pose[:3, 3] += 0.4 * pose[:3, 0]
        write_pose(path, pose)


def turn_pose(root: Path) -> None:
    write_pose(poses(root)[2], np.loadtxt(poses(root)[2]).reshape(4, 4) @ np.diag([-1.0, 1.0, -1.0, 1.0]))


def camera_inside(root: Path) -> None:
    write_pose(poses(root)[2], look_at_middle(np.array([0.3, 0.2, 0.1])))
    Image.new("RGBA", (32, 32), (200, 0, 0, 255)).save(root / "ball_train/ball/rgba/000002.png")


def double_depth(root: Path) -> None:
    for path in (root / "ball_train/ball/depth").glob("*[02468].exr"):
        with OpenEXR.File(str(path), separate_channels=False) as file:
            depth = file.channels()["V"].pixels * np.float32(1.2)
        OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION}, {"V": depth}).write(str(path))


def train_on_the_test(root: Path) -> None:
    shutil.copyfile(poses(root)[0], poses(root, "test")[1])


def shrink(root: Path) -> None:
    for folder in (root / "ball_train/ball").iterdir():
        for path in folder.glob("00000[1-9].*"):
            path.unlink()


def label_beyond(root: Path) -> None:
    Image.new("L", (32, 32), 9).save(root / "ball_train/ball/semantic/000003.png")


def label_little(root: Path) -> None:
    for path in root.rglob("semantic/*.png"):
        Image.new("L", (32, 32), 1).save(path)


def zoom_in(root: Path) -> None:
    for path in (root / "ball_train/ball/rgba").glob("*.png"):
        Image.open(path).crop((12, 8, 28, 24)).resize((32, 32)).save(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shift_pose, "disagree about"),
        (double_depth, "disagree about"),
        (turn_pose, "looks away from the object"),
        (camera_inside, "from inside the object"),
        (lambda root: Image.new("RGBA", (32, 32)).save(root / "ball_train/ball/rgba/000001.png"), "is empty"),
        (train_on_the_test, "has the pose of a train view, as 1 of 2 have"),
        (shrink, "has 1 train views of 1 instances"),
        (label_beyond, "class 9"),
        (label_little, "No pixel is labelled 'blue half'"),
        (zoom_in, "reaches the edge of 8 pictures"),
        (lambda root: (root / "ball_val/ball/depth/000000.exr").write_bytes(b""), "no readable EXR"),
    ],
)
def test_what_is_wrong_is_said(ball: Path, spoil: Callable[[Path], object], words: str):
    spoil(ball)
    found = inspect(ball, silent)[1]
    assert any(words in problem for problem in found.problems), found.problems
    assert all(problem.endswith(".") and "\n" not in problem for problem in found.problems)


def test_without_depth_silhouettes_tell_of_wrong_poses(tmp_path: Path):
    root = foreign.write_nerf(tmp_path / "good", (12, 0, 2))
    assert inspect(root, silent)[1].problems == []
    path = root / "transforms_train.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for frame in data["frames"][::3]:
        pose = np.array(frame["transform_matrix"])
        pose[:3, 3] += 2.5 * pose[:3, 0]
        frame["transform_matrix"] = pose.tolist()
    path.write_text(json.dumps(data), encoding="utf-8")
    assert any("other views see background" in problem for problem in inspect(root, silent)[1].problems)


def test_many_problems_do_not_fill_the_screen(ball: Path):
    data, found = inspect(ball, silent)
    found.problems = [f"Sentence {number}." for number in range(100)]
    said = summary(data, found)["problems"]
    assert len(said) == 31 and said[-1] == "There are 70 more of these."


def test_pictures_are_drawn(made: Path, tmp_path: Path):
    drawn = draw(open_dataset(made), tmp_path / "out")
    assert [path.name for path in drawn] == ["contact.png", "cameras.png", "reprojection.png"]
    contact, cameras, _ = (np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) for path in drawn)
    assert ((contact[:, 0] > 180) & (contact[:, 2] < 60)).sum() > 500, "the ball's red half is on the sheet"
    assert ((cameras[:, 2] > 150) & (cameras[:, 0] < 90)).sum() > 100, "train cameras are blue"
    without_depth = draw(open_dataset(foreign.write_nerf(tmp_path / "nerf")), tmp_path / "more")
    assert [path.name for path in without_depth] == ["contact.png", "cameras.png"]


def test_a_picture_moved_by_depth_is_the_picture_there(made: Path):
    views = open_dataset(made).views("train", "ball")
    positions = np.stack([camera.pose[:3, 3] for camera in views.cameras])
    source = int(np.argsort(np.linalg.norm(positions - positions[0], axis=1))[1])
    moved, seen = moved_picture(views, source, 0)
    assert 20 < seen.sum() < seen.size
    truth = views.rgba(0)[..., :3] / 255
    assert np.median(np.abs(moved - truth)[seen]) < 0.03
    assert (moved[~seen] == 1).all()


def test_a_folder_that_takes_no_pictures_gets_a_sentence(made: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        draw(open_dataset(made), tmp_path / "file" / "out")


def test_the_command(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", str(made), "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "train     8 views of 1 instances" in text and "Nothing is wrong with it." in text
    assert main(["inspect", str(made), "--json", "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pictures"]) == 3
    assert main(["inspect", str(tmp_path / "none"), "--device", "cpu"]) == 1
    assert "does not exist" in capsys.readouterr().err
