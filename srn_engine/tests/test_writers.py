"""Written layouts, read as their consumers read them, and back; nothing is left of what cannot be written."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srn_engine.cli import main
from srn_engine.commands.convert import LAYOUTS
from srn_engine.data import writers
from srn_engine.data.dataset import SPLITS, Dataset
from srn_engine.data.readers import open_dataset
from srn_engine.data.writers import WRITERS, convert
from srn_engine.data.writers.colmap import quaternion
from srn_engine.errors import UserError
from srn_engine.progress import silent
from srn_engine.tests import foreign
from srn_engine.tests.scenes import RADIUS, write_ball

CENTRE, SCALE = np.array([1.0, -2.0, 3.0]), 2.5
SPLIT_SIZES = {"train": 9, "val": 2, "test": 2}


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_ball(tmp_path_factory.mktemp("made") / "ball", train=9, test=2, size=24)
    place(root, [*CENTRE], SCALE)
    return root


def place(root: Path, centre: list[float], scale: float) -> None:
    data = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    for instance in data["instances"]:
        instance.update(centre=centre, scale=scale)
    (root / "dataset.json").write_text(json.dumps(data), encoding="utf-8")


def world_poses(data: Dataset, split: str) -> np.ndarray:
    """(V, 4, 4) in the units of the dataset's files."""
    instance = data.instances[0]
    poses = np.stack([camera.pose for camera in data.views(split, instance.id).cameras])
    poses[:, :3, 3] = poses[:, :3, 3] * instance.scale + instance.centre
    return poses


@pytest.mark.parametrize("to", LAYOUTS)
def test_there_and_back_the_views_are_the_same(ball: Path, tmp_path: Path, to: str):
    result = convert(ball, tmp_path / "out", to, silent)
    assert result == {"out": str(tmp_path / "out"), "to": to, "instances": 1, "views": 13}
    own, back = open_dataset(ball), open_dataset(tmp_path / "out")
    for split in ("train", "test") if to == "colmap" else SPLITS:
        mine, theirs = own.views(split, "ball"), back.views(split, back.instances[0].id)
        poses = world_poses(own, split)
        if to != "colmap":  # those stay in the unit sphere
            poses[:, :3, 3] = (poses[:, :3, 3] - CENTRE) / SCALE
        np.testing.assert_allclose(world_poses(back, split), poses, atol=1e-6)
        for n, camera in enumerate(mine.cameras):
            assert theirs.cameras[n].intrinsics == camera.intrinsics
            if to != "srn":  # which has no alpha
                np.testing.assert_array_equal(theirs.rgba(n), mine.rgba(n))


def test_from_one_foreign_layout_to_another(tmp_path: Path):
    """NeRF to nerfstudio to SRN to NeRF: the relative poses and the field of view are those at the start."""
    data = open_dataset(foreign.write_nerf(tmp_path / "0"))
    first, scale = world_poses(data, "train"), 1.0
    for number, to in enumerate(("nerfstudio", "srn", "nerf")):
        scale *= data.instances[0].scale
        convert(tmp_path / str(number), tmp_path / str(number + 1), to, silent)
        data = open_dataset(tmp_path / str(number + 1))
    last = world_poses(data, "train")
    np.testing.assert_allclose(last[:, :3, :3], first[:, :3, :3], atol=1e-9)
    apart = (first[:, :3, 3] - first[0, :3, 3]) / scale
    np.testing.assert_allclose(last[:, :3, 3] - last[0, :3, 3], apart, atol=1e-6)


def test_nerf_as_its_authors_and_gaussian_splatting_read_it(ball: Path, tmp_path: Path):
    """camera_angle_x, file_path without its .png, OpenGL axes: the ball's middle and its outline where they belong."""
    convert(ball, tmp_path / "out", "nerf", silent)
    for split in SPLITS:
        data = json.loads((tmp_path / "out" / f"transforms_{split}.json").read_text(encoding="utf-8"))
        assert len(data["frames"]) == SPLIT_SIZES[split]
        for frame in data["frames"]:
            picture = np.asarray(Image.open(tmp_path / "out" / (frame["file_path"] + ".png")))
            focal = 0.5 * picture.shape[1] / np.tan(0.5 * data["camera_angle_x"])
            to_camera = np.linalg.inv(np.array(frame["transform_matrix"]))
            x, y, z, _ = to_camera @ [0, 0, 0, 1]
            assert z < 0, "OpenGL looks down -z"
            column, row = 12 - focal * x / z, 12 + focal * y / z
            np.testing.assert_allclose((column, row), 12, atol=1e-6)
            seen = (picture[..., 3] > 127).sum()
            radius = focal * np.tan(np.arcsin(RADIUS / 3))
            assert seen == pytest.approx(np.pi * radius**2, rel=0.05)


def test_nerfstudio_as_its_reader_has_it(ball: Path, tmp_path: Path):
    convert(ball, tmp_path / "out", "nerfstudio", silent)
    data = json.loads((tmp_path / "out" / "transforms.json").read_text(encoding="utf-8"))
    assert {"fl_x", "fl_y", "cx", "cy", "w", "h", "camera_model"} <= data.keys()
    named = [frame["file_path"] for frame in data["frames"]]
    assert len(set(named)) == 13 and all((tmp_path / "out" / name).is_file() for name in named)
    for split, count in SPLIT_SIZES.items():
        assert len(data[f"{split}_filenames"]) == count and set(data[f"{split}_filenames"]) <= set(named)
    # file = scale * (transform @ world), so that nerfstudio's own exports lead back to the world
    applied = np.array(data["applied_transform"])
    world = np.array([0.3, 0.4, 0.5])
    np.testing.assert_allclose(data["applied_scale"] * (applied @ [*world, 1]), (world - CENTRE) / SCALE)


def test_nerfstudio_says_every_camera_where_they_differ(ball: Path, tmp_path: Path):
    root = foreign.write_colmap(tmp_path / "colmap", camera="PINHOLE 32 32 38 40 15 16")
    convert(root, tmp_path / "one", "nerfstudio", silent)
    data = json.loads((tmp_path / "one" / "transforms.json").read_text(encoding="utf-8"))
    assert data["fl_y"] == 40 and not any("fl_y" in frame for frame in data["frames"])
    text = (root / "sparse/0/cameras.txt").read_text(encoding="utf-8")
    (root / "sparse/0/cameras.txt").write_text(f"{text}2 SIMPLE_PINHOLE 32 32 50 16 16\n", encoding="utf-8")
    images = (root / "sparse/0/images.txt").read_text(encoding="utf-8")
    (root / "sparse/0/images.txt").write_text(images.replace(" 1 photo 05", " 2 photo 05"), encoding="utf-8")
    convert(root, tmp_path / "two", "nerfstudio", silent)
    data = json.loads((tmp_path / "two" / "transforms.json").read_text(encoding="utf-8"))
    assert "fl_y" not in data and sorted({frame["fl_x"] for frame in data["frames"]}) == [38, 50]
    back = open_dataset(tmp_path / "two")
    assert sorted({camera.intrinsics.fl_y for camera in back.views("train", "two").cameras}) == [40, 50]
    for to, words in {"nerf": "several focal|shifted lens", "srn": "differ in size or focal"}.items():
        with pytest.raises(UserError, match=words):
            convert(root, tmp_path / to, to, silent)
        assert not (tmp_path / to).exists()


def test_srn_as_pixelnerf_reads_it(ball: Path, tmp_path: Path):
    convert(ball, tmp_path / "out", "srn", silent)
    for split in SPLITS:
        folder = tmp_path / "out" / f"ball_{split}" / "ball"
        lines = (folder / "intrinsics.txt").read_text(encoding="utf-8").splitlines()
        focal, cx, cy, _ = map(float, lines[0].split())
        height, width = map(int, lines[-1].split())
        assert (focal, cx, cy, height, width) == pytest.approx((28.8, 12, 12, 24, 24))
        pictures, poses = sorted((folder / "rgb").glob("*")), sorted((folder / "pose").glob("*"))
        assert [one.stem for one in pictures] == [one.stem for one in poses] and len(poses) == SPLIT_SIZES[split]
        pixels = np.asarray(Image.open(pictures[0]))
        assert pixels.shape == (24, 24, 3) and (pixels[0, 0] == 255).all()
        pose = np.loadtxt(poses[0]).reshape(4, 4)
        np.testing.assert_allclose(pose[:3, :3] @ [0, 0, 1], -pose[:3, 3] / 3, atol=1e-6)
    back = open_dataset(tmp_path / "out")
    assert [one.name for one in back.classes] == ["background", "red half", "blue half"]
    np.testing.assert_array_equal(
        back.views("val", "ball").semantic(1), open_dataset(ball).views("val", "ball").semantic(1)
    )


def test_colmap_as_colmap_reads_it(ball: Path, tmp_path: Path):
    """A whole model: every point on the ball in the world, in its colour, where each picture says that it is."""
    pycolmap = pytest.importorskip("pycolmap")
    convert(ball, tmp_path / "out", "colmap", silent)
    scene = pycolmap.Reconstruction(str(tmp_path / "out" / "sparse" / "0"))
    assert (scene.num_cameras(), scene.num_images()) == (1, 11)
    points = np.stack([point.xyz for point in scene.points3D.values()])
    colours = np.stack([point.color for point in scene.points3D.values()]).astype(int)
    assert len(points) > 500
    np.testing.assert_allclose(
        np.linalg.norm(points - CENTRE, axis=1), RADIUS * SCALE, rtol=0.02
    )  # depth lies beside the pixel middle
    red = points[:, 0] > CENTRE[0]
    assert (colours[red, 0] > colours[red, 2]).mean() > 0.97 and (colours[~red, 0] < colours[~red, 2]).mean() > 0.97
    scene.update_point_3d_errors()
    assert scene.compute_mean_reprojection_error() < 1e-6
    assert scene.compute_mean_track_length() > 2
    names = {image.name for image in scene.images.values()}
    assert names == {path.name for path in (tmp_path / "out" / "images").iterdir()}
    held_out = (tmp_path / "out/sparse/0/test.txt").read_text(encoding="utf-8").splitlines()
    assert held_out == ["test_000000.png", "test_000001.png"] and set(held_out) <= names


def test_quaternions_of_all_turns():
    random = np.random.default_rng(0)
    turns = [np.linalg.qr(random.normal(size=(3, 3)))[0] for _ in range(50)]
    half_turns = [np.diag(signs) for signs in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1])]
    for turn in [*(one * np.linalg.det(one) for one in turns), *half_turns]:
        ours, theirs = quaternion(turn), foreign.quaternion(turn)
        assert ours[0] >= 0 and abs(ours @ theirs) == pytest.approx(1, abs=1e-9)


def test_several_instances_get_a_folder_each(tmp_path: Path):
    root = write_ball(tmp_path / "balls", train=3, test=1, size=16, balls={"a": 0.5, "b": 0.8})
    convert(root, tmp_path / "nerf", "nerf", silent)
    assert sorted(path.name for path in (tmp_path / "nerf").iterdir()) == ["a", "b"]
    assert len(open_dataset(tmp_path / "nerf" / "b").views("train", "b")) == 3
    convert(root, tmp_path / "srn", "srn", silent)
    assert [one.id for one in open_dataset(tmp_path / "srn").instances] == ["a", "b"]


def test_distortion_and_masks_are_gone_from_what_is_written(tmp_path: Path):
    root = foreign.write_colmap(tmp_path / "bent", camera="SIMPLE_RADIAL 32 32 38 16 16 0.1")
    convert(root, tmp_path / "out", "nerfstudio", silent)
    straight, bent = open_dataset(tmp_path / "out"), open_dataset(root)
    theirs, ours = straight.views("train", "out"), bent.views("train", "bent")
    assert theirs.views[0].colour.lens is None and ours.views[0].colour.lens is not None
    np.testing.assert_array_equal(theirs.rgba(2), ours.rgba(2))
    assert theirs.cameras[2].intrinsics == ours.cameras[2].intrinsics


def test_points_need_depth(tmp_path: Path):
    root = foreign.write_nerf(tmp_path / "nerf")
    with pytest.raises(UserError, match="has no depth"):
        convert(root, tmp_path / "out", "colmap", silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nerf"]


def test_what_stands_there_is_kept(ball: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    convert(ball, tmp_path / "out", "nerf", silent)  # an empty folder is as good as none
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        convert(ball, tmp_path / "out", "nerf", silent)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("to", LAYOUTS)
def test_a_conversion_that_fails_leaves_nothing(ball: Path, tmp_path: Path, to: str):
    root = Path(shutil.copytree(ball, tmp_path / "ball"))
    (root / "ball_test/ball/rgba/000001.png").unlink()
    with pytest.raises((UserError), match=re.escape("000001.png")):
        convert(root, tmp_path / "out", to, silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball"]


def test_a_disk_that_takes_no_more_gets_a_sentence(ball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "WRITERS", {"nerf": full})
    with pytest.raises(UserError, match="free some space"):
        convert(ball, tmp_path / "out", "nerf", silent)
    assert not list(tmp_path.iterdir())


def test_the_command(ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert set(LAYOUTS) == set(WRITERS)
    assert main(["convert", str(ball), str(tmp_path / "out"), "--to", "nerf", "--device", "cpu"]) == 0
    assert "13 views of 1 instances" in capsys.readouterr().out
    assert main(["convert", str(ball), str(tmp_path / "out"), "--to", "nerf", "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert "is not empty" in error and len(error.splitlines()) == 1
