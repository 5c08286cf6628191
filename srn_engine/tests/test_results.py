"""What a run gives back as files: views from any cameras, labels, the way between two instances."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.cli import main
from srn_engine.data.dataset import Instance, LabelClass
from srn_engine.data.images import read_exr
from srn_engine.errors import UserError
from srn_engine.limits import PASSES
from srn_engine.model.presets import Choice, FastPreset
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.results.poses import in_dataset_units, read_cameras
from srn_engine.results.rigs import Stand, around, orbit, stand_of
from srn_engine.results.views import instance_of, interpolate, render_views
from srn_engine.tests.scenes import CLASSES, write_ball
from srn_engine.tests.shapes import Balls
from srn_engine.train import options
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run, RunInfo
from srn_engine.train.trainer import train

CPU = torch.device("cpu")
TINY = FastPreset(stages=((0.0, 24), (0.3, 48)), prune_every=20, rays=1024)
SQUARE = Intrinsics(40.0, 40.0, 16.0, 16.0, 32, 32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=20)


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ball"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "PRESETS", {"fast": Choice(TINY, TINY)})
        train(dataset, folder, TrainOptions(steps=200), CPU, silent)
    return folder


def run_of(networks: Balls, *names: str) -> Run:
    """A run of exact balls, never saved."""
    classes = tuple(LabelClass(name, colour) for name, colour in CLASSES)
    instances = tuple(Instance(name, "arithmetic") for name in names)
    return Run(Path("balls"), RunInfo(Path("nowhere"), TrainOptions(), TINY, instances, classes), networks)


def test_rendered_files_hold_the_passes(trained: Path, tmp_path: Path):
    run = Run.load(trained, CPU)
    cameras = orbit(stand_of(run), 2, 24, 20.0)
    assert render_views(run, "ball", cameras, PASSES, tmp_path, silent) == {"out": str(tmp_path), "views": 2}
    expected = run.render("ball", cameras[1], PASSES)
    colour = np.asarray(Image.open(tmp_path / "colour" / "000001.png"))
    assert np.abs(colour / 255 - expected["colour"]).max() <= 0.5 / 255 + 1e-6
    np.testing.assert_array_equal(read_exr(tmp_path / "depth" / "000001.exr", 1, (24, 24)), expected["depth"])
    np.testing.assert_array_equal(read_exr(tmp_path / "normal" / "000001.exr", 3, (24, 24)), expected["normal"])
    ids = np.asarray(Image.open(tmp_path / "semantic" / "000001.png"))
    np.testing.assert_array_equal(ids, expected["semantic"])
    shown = np.asarray(Image.open(tmp_path / "semantic_colour" / "000001.png"))
    blue = np.round(np.array(CLASSES[2][1]) * 255)  # the far half, as the second camera stands behind
    np.testing.assert_array_equal((shown == blue).all(axis=-1), ids == 2)
    assert (ids == 2).any() and not list(tmp_path.rglob("*.part*"))


def test_a_stopped_rendering_keeps_whole_views(trained: Path, tmp_path: Path):
    def stop_at_the_third(progress: Progress) -> None:
        if progress.fraction >= 0.5:
            raise Cancelled

    run = Run.load(trained, CPU)
    with pytest.raises(Cancelled) as stopped:
        render_views(run, "ball", orbit(Stand(), 4, 8, 0.0), ("colour", "depth"), tmp_path, stop_at_the_third)
    assert stopped.value.result == {"out": str(tmp_path), "views": 2}
    assert sorted(file.name for file in tmp_path.rglob("*.*")) == [
        "000000.exr",
        "000000.png",
        "000001.exr",
        "000001.png",
    ]


def test_an_orbit_looks_at_the_middle_from_its_elevation():
    up = (0.0, 1.0, 0.0)
    cameras = orbit(Stand(distance=2.0, up=up), 8, 16, 30.0)
    places = np.stack([camera.pose[:3, 3] for camera in cameras])
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 2.0)
    np.testing.assert_allclose(places @ up, 1.0)  # the sine of 30 degrees
    for camera in cameras:
        np.testing.assert_allclose(camera.pose[:3, 2], -camera.pose[:3, 3] / 2, atol=1e-12)
        assert camera.pose[:3, 1] @ up < 0, "down in the picture is down"
    assert len({tuple(place.round(6)) for place in places}) == 8


def test_cameras_around_see_every_side_and_all_of_it():
    cameras = around(Stand(distance=2.0).holding_all(), 30, 16)
    places = np.stack([camera.pose[:3, 3] for camera in cameras])
    assert abs(places.mean(axis=0)).max() < 0.1
    angle = np.arctan(cameras[0].intrinsics.width / 2 / cameras[0].intrinsics.fl_x)
    assert np.sin(angle) > 1 / np.linalg.norm(places[0])


def test_the_stand_of_a_run_is_that_of_its_dataset(trained: Path):
    run = Run.load(trained, CPU)
    stand = stand_of(run)
    assert stand.distance == pytest.approx(3.0)
    assert stand.field_of_view == pytest.approx(2 * np.arctan(1 / 2.4))
    assert np.dot(stand.up, (0, 0, 1)) > 0.9
    assert stand_of(run_of(Balls(0.8), "ball")) == Stand(), "without its dataset the unit sphere fits"


def write_transforms(path: Path, cameras: list[Camera], **intrinsics: float) -> None:
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    frames = [{"file_path": "x", "transform_matrix": (camera.pose @ flip).tolist()} for camera in cameras]
    path.write_text(json.dumps({**intrinsics, "frames": frames}))


def test_cameras_are_the_same_from_every_kind_of_file(tmp_path: Path):
    cameras = [Camera(camera.pose, SQUARE) for camera in orbit(Stand(), 3, 32, 10.0)]
    np.save(tmp_path / "poses.npy", np.stack([camera.pose for camera in cameras]))
    numbers = {"fl_x": 40.0, "fl_y": 40.0, "cx": 16.0, "cy": 16.0, "w": 32, "h": 32}
    write_transforms(tmp_path / "transforms.json", cameras, **numbers)
    write_transforms(tmp_path / "angle.json", cameras, camera_angle_x=2 * np.arctan(16 / 40))
    (tmp_path / "it" / "pose").mkdir(parents=True)
    (tmp_path / "it" / "intrinsics.txt").write_text("40. 16. 16. 0.\n0. 0. 0.\n1.\n32 32")
    for number, camera in enumerate(cameras):
        text = " ".join(map(repr, map(float, camera.pose.reshape(-1))))
        (tmp_path / "it" / "pose" / f"{number:06d}.txt").write_text(text)
    for source in ("poses.npy", "transforms.json", "angle.json", "it/pose"):
        read = read_cameras(tmp_path / source, 64, SQUARE)
        assert [camera.intrinsics for camera in read] == [Intrinsics(80.0, 80.0, 32.0, 32.0, 64, 64)] * 3, source
        for camera, expected in zip(read, cameras, strict=True):
            np.testing.assert_allclose(camera.pose, expected.pose, atol=1e-12)


def test_an_oblong_picture_keeps_its_field_of_view(tmp_path: Path):
    write_transforms(
        tmp_path / "t.json", orbit(Stand(), 1, 32, 0.0), fl_x=100.0, fl_y=90.0, cx=50.0, cy=20.0, w=99, h=50
    )
    found = read_cameras(tmp_path / "t.json", 64, SQUARE)[0].intrinsics
    assert (found.width, found.height) == (64, 32)
    assert found.fl_x / found.width == pytest.approx(100 / 99) and found.cy / found.height == pytest.approx(20 / 50)


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("p.npy", lambda path: np.save(path, np.zeros((3, 4))), "needed"),
        ("p.npy", lambda path: np.save(path, np.zeros((1, 4, 4))), "no rotation"),
        ("p.npy", lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "no readable"),
        ("p.npy", lambda path: np.save(path, np.zeros((0, 4, 4))), "no poses"),
        ("p.json", lambda path: path.write_text("[]"), "JSON"),
        ("p.json", lambda path: path.write_text('{"frames": [{}]}'), "transform_matrix"),
        ("p.json", lambda path: path.write_text('{"camera": 1}'), "no frames"),
        ("p.txt", lambda path: path.write_text("1 2 3"), "no transforms.json"),
        ("p", lambda path: path.mkdir(), "no poses"),
    ],
)
def test_broken_poses_get_a_sentence(tmp_path: Path, name: str, write, words: str):
    write(tmp_path / name)
    with pytest.raises(UserError, match=words):
        read_cameras(tmp_path / name, 64, SQUARE)


def test_poses_in_world_units_are_moved_with_the_instance():
    instance = Instance("it", "it", (1.0, 2.0, 3.0), 2.0)
    camera = orbit(Stand(distance=3.0), 1, 16, 0.0)[0]
    world = camera.pose.copy()
    world[:3, 3] = world[:3, 3] * 2 + (1, 2, 3)
    np.testing.assert_allclose(in_dataset_units(Camera(world, SQUARE), instance).pose, camera.pose)


def test_the_way_between_instances_ends_at_them(tmp_path: Path):
    run = run_of(Balls(0.3, 0.8, 0.5), "small", "large", "middle")
    cameras = orbit(Stand(), 1, 32, 0.0) * 5
    result = interpolate(run, ("small", "large", "middle"), cameras, tmp_path, silent)
    cover = [np.asarray(Image.open(tmp_path / "colour" / f"{n:06d}.png"))[..., 3].sum() / 255 for n in range(5)]
    # A ball's outline covers what its radius squared says.
    radii = np.sqrt(np.array(cover) / cover[2])
    np.testing.assert_allclose(radii * 0.8, [0.3, 0.55, 0.8, 0.65, 0.5], atol=0.05)
    with Image.open(result["animation"]) as animation:
        assert animation.n_frames == 5 and animation.size == (32, 32)


@pytest.mark.parametrize(
    ("radii", "between", "frames", "words"),
    [
        ((0.8,), ("a", "a"), 5, "one instance"),
        ((0.8, 0.5), ("a",), 5, "at least two"),
        ((0.8, 0.5), ("a", "c"), 5, "knows no instance"),
        ((0.8, 0.5), ("a", "b"), 1, "2 frames"),
    ],
)
def test_impossible_ways_get_a_sentence(tmp_path: Path, radii, between, frames: int, words: str):
    run = run_of(Balls(*radii), *"ab"[: len(radii)])
    with pytest.raises(UserError, match=words):
        interpolate(run, between, orbit(Stand(), frames, 8, 0.0), tmp_path, silent)


def test_an_instance_must_be_named_where_there_are_several():
    run = run_of(Balls(0.8, 0.5), "a", "b")
    assert instance_of(run, "b").id == "b"
    assert instance_of(run_of(Balls(0.8), "a"), None).id == "a"
    with pytest.raises(UserError, match="name one"):
        instance_of(run, None)


def test_the_commands_render_and_mesh(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run, device = str(trained), ["--device", "cpu", "--json"]
    arguments = ["--orbit", "2", "--size", "16", "--passes", "depth", "--out", str(tmp_path / "views")]
    assert main(["render", run, *arguments, *device]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(tmp_path / "views"), "views": 2}
    assert len(list((tmp_path / "views" / "depth").iterdir())) == 2
    mesh = str(tmp_path / "it.ply")
    assert main(["mesh", run, "--resolution", "32", "--out", mesh, *device]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["out"] == mesh and found["vertices"] > 500 and found["watertight"]
    assert main(["mesh", run, "--resolution", "32", "--points", "70", "--out", mesh, *device]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": mesh, "vertices": 70, "triangles": 0, "watertight": False}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["render", "--orbit", "0", "--out", "x"], "one camera or more"),
        (["render", "--orbit", "1", "--size", "99999", "--out", "x"], "pixels a side"),
        (["render", "--orbit", "1", "--passes", "smell", "--out", "x"], "no pass smell"),
        (["render", "--orbit", "1", "--instance", "cube", "--out", "x"], "no instance 'cube'"),
        (["render", "--poses", "nowhere.json", "--out", "x"], "does not exist"),
        (["interpolate", "--between", "ball", "ball", "--out", "x"], "holds one instance"),
        (["mesh", "--out", "x.stl"], "must end in"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
):
    monkeypatch.chdir(tmp_path)
    assert main([arguments[0], str(trained), *arguments[1:], "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
