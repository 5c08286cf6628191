"""The dataset's files, as the programs that read them do it, and what happens when a disk misbehaves."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from blender_tests.scenes import placed_poses, read_image
from srn_blender.capture.camera import Camera, flip_axes
from srn_blender.capture.dataset import DatasetWriter, View, over_white
from srn_blender.capture.exr import encode_exr
from srn_blender.capture.plan import SPLITS, InstancePlan, Plan, ViewKey
from srn_blender.capture.png import encode_png
from srn_blender.capture.settings import LabelClass
from srn_blender.errors import CaptureChanged, UserError

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "dataset.schema.json"
PASSES = ["rgb", "rgba", "depth", "normal", "semantic"]


def plan_for(train=3, val=0, test=2, seed=0, ids=("cup-1",), passes=PASSES, shape="round"):
    poses = placed_poses({"train": train, "val": val, "test": test}, 3.0, seed)
    return Plan(
        name="set",
        instances=[InstancePlan(one, "Cup 1 (Ümläut)", [1.0, 2.0, 3.0], 2.5, poses, {"shape": shape}) for one in ids],
        camera=Camera(np.eye(4), 40.0, 40.0, 16.0, 12.0, 32, 24),
        passes=passes,
        classes=[LabelClass("background", (0.0, 0.0, 0.0), ()), LabelClass("Glas", (1.0, 0.5, 0.25), ())],
        rig={"kind": "sphere", "seed": seed, "radius": 3.0},
        blender="5.2.3",
        fingerprint={"settings": f"{train}-{seed}", "lights": "sun"},
    )


def view_like(number):
    random = np.random.default_rng(number)
    return View(
        rgba=random.integers(0, 256, (24, 32, 4)).astype(np.uint8),
        depth=random.uniform(0, 4, (24, 32, 1)).astype(np.float32),
        normal=random.normal(size=(24, 32, 3)).astype(np.float32),
        semantic=random.integers(0, 2, (24, 32, 1)).astype(np.uint8),
    )


def write_all(root, plan, count=None, **how):
    with DatasetWriter(root, plan, **how) as writer:
        for view in writer.missing()[:count]:
            writer.write_view(view, view_like(view.index))


def everything_in(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_holds_what_was_written(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (19, 33, channels)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(pixels))
    read = np.rint(read_image(tmp_path / "a.png") * 255)
    wanted = np.repeat(pixels, 3, -1) if channels == 1 else pixels
    assert (read[..., : wanted.shape[-1]] == wanted).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (16, 8), (37, 50)])
def test_exr_holds_what_was_written(tmp_path, channels, size):
    pixels = np.random.default_rng(0).normal(size=(*size, channels)).astype(np.float32)
    pixels[0] = 0  # something to compress
    (tmp_path / "a.exr").write_bytes(encode_exr(pixels))
    assert (read_image(tmp_path / "a.exr")[..., :channels] == pixels).all()


def test_writers_refuse_what_the_format_cannot_hold():
    with pytest.raises(ValueError, match="uint8"):
        encode_png(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="float32"):
        encode_exr(np.zeros((4, 4, 2), np.float32))


def test_white_shows_through_exactly_where_there_is_nothing():
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51], [255, 255, 255, 7]]], np.uint8)
    assert over_white(rgba).tolist() == [[[255, 255, 255], [10, 20, 30], [204, 204, 204], [255, 255, 255]]]


def test_the_srn_family_reads_it(tmp_path):
    """As strict as pixelNeRF: paired by sorted order, counted, the intrinsics' last line taken as H W."""
    plan = plan_for()
    write_all(tmp_path, plan)
    for split, count in (("train", 3), ("test", 2)):
        folder = tmp_path / f"set_{split}" / "cup-1"
        assert sorted(p.name for p in folder.iterdir()) == sorted(["intrinsics.txt", "pose", *PASSES])
        lines = (folder / "intrinsics.txt").read_text().splitlines()
        assert len(lines) == 4 and [float(n) for n in lines[0].split()] == [40.0, 16.0, 12.0, 0.0]
        assert [int(n) for n in lines[-1].split()] == [24, 32]
        images, poses = sorted((folder / "rgb").glob("*")), sorted((folder / "pose").glob("*"))
        assert [p.name for p in images] == [f"{i:06d}.png" for i in range(count)]
        assert [p.stem for p in images] == [p.stem for p in poses]
        for index, path in enumerate(poses):
            pose = np.array([float(number) for number in path.read_text().strip().split(" ")]).reshape(4, 4)
            assert (pose == plan.pose(ViewKey("cup-1", split, index))).all()
        assert (np.rint(read_image(images[1])[..., :3] * 255) == over_white(view_like(1).rgba)).all()
    assert not (tmp_path / "set_val").exists() and not (tmp_path / "transforms_val.json").exists()


def test_the_nerf_family_reads_it(tmp_path):
    plan = plan_for()
    write_all(tmp_path, plan)
    for split, count in (("train", 3), ("test", 2)):
        transforms = json.loads((tmp_path / f"transforms_{split}.json").read_text("utf-8"))
        assert transforms["camera_angle_x"] == pytest.approx(2 * math.atan(16 / 40))
        wanted = {"fl_x": 40, "fl_y": 40, "cx": 16, "cy": 12, "w": 32, "h": 24}
        assert {key: transforms[key] for key in wanted} == wanted
        assert len(transforms["frames"]) == count
        for index, frame in enumerate(transforms["frames"]):
            assert (tmp_path / (frame["file_path"] + ".png")).is_file()
            matrix = np.array(frame["transform_matrix"])
            assert np.allclose(flip_axes(matrix), plan.pose(ViewKey("cup-1", split, index)))
            # OpenGL: the camera looks along its own -z, here at the origin.
            assert np.allclose(-matrix[:3, 2] * 3, -matrix[:3, 3])


def test_dataset_json_follows_its_schema(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    write_all(tmp_path, plan_for(), count=2)
    manifest = json.loads((tmp_path / "dataset.json").read_text("utf-8"))
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text("utf-8")))
    assert manifest["splits"]["train"] == {"planned": 3, "captured": 2}
    assert manifest["instances"][0]["source"] == "Cup 1 (Ümläut)"


def test_a_capture_goes_on_where_it_stopped(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    write_all(whole, plan_for())
    write_all(parts, plan_for(), count=2)
    first = (parts / "set_train/cup-1/rgb/000000.png").stat().st_mtime_ns
    write_all(parts, plan_for())
    assert (parts / "set_train/cup-1/rgb/000000.png").stat().st_mtime_ns == first
    assert everything_in(parts) == everything_in(whole)
    for name in everything_in(whole):
        if (whole / name).is_file():
            assert (parts / name).read_bytes() == (whole / name).read_bytes()


def test_a_view_without_its_pose_or_a_pass_is_written_again(tmp_path):
    write_all(tmp_path, plan_for())
    folder = tmp_path / "set_train/cup-1"
    (folder / "pose/000002.txt").unlink()
    (folder / "depth/000001.exr").unlink()
    with DatasetWriter(tmp_path, plan_for()) as writer:
        assert writer.missing() == [ViewKey("cup-1", "train", 1), ViewKey("cup-1", "train", 2)]
        # Of a view that is not whole nothing stays that a reader could pair with another view's pose.
        assert [path.name for path in (folder / "rgb").iterdir()] == ["000000.png"]


def test_another_capture_is_not_mixed_into_a_folder(tmp_path):
    write_all(tmp_path, plan_for())
    before = everything_in(tmp_path)
    with pytest.raises(CaptureChanged, match="changed: settings"), DatasetWriter(tmp_path, plan_for(seed=1)):
        pass
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("content", ["{", "[]", '{"fingerprint": 3}', "\udcff"])
def test_a_damaged_manifest_is_refused(tmp_path, content):
    (tmp_path / "dataset.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match="Choose another folder or delete"), DatasetWriter(tmp_path, plan_for()):
        pass


def test_someone_elses_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "set_train").mkdir()
    with pytest.raises(UserError, match="Choose another folder or delete"), DatasetWriter(tmp_path, plan_for()):
        pass


def test_a_damaged_pose_is_named(tmp_path):
    write_all(tmp_path, plan_for())
    pose = tmp_path / "set_train/cup-1/pose/000001.txt"
    pose.write_text("1 2 three", "utf-8")
    with pytest.raises(UserError, match=r"000001\.txt"):
        DatasetWriter(tmp_path, plan_for()).read_camera(ViewKey("cup-1", "train", 1))


def test_nothing_is_left_where_no_view_was_written(tmp_path):
    with DatasetWriter(tmp_path / "new" / "deep", plan_for()):
        pass
    assert everything_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(UserError, match="Choose another folder"):
        write_all(tmp_path / "file" / "root", plan_for())
    assert everything_in(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("view", [0, 1])
def test_a_full_disk_stops_after_the_last_whole_view(tmp_path, view, monkeypatch):
    root = tmp_path / "root"
    (root / ".partial").mkdir(parents=True)
    # The file that the disk has no room for is neither the first nor the last of its view.
    monkeypatch.setattr("srn_blender.capture.dataset.uuid.uuid4", lambda: SimpleNamespace(hex="x"))
    monkeypatch.setattr(DatasetWriter, "_clear_partial", lambda self: None)
    os.symlink("/dev/full", root / ".partial" / f"x-{view:06d}.exr")
    with pytest.raises(UserError, match="Free some space"):
        write_all(root, plan_for())
    if view == 0:
        assert everything_in(root) == []
        return
    folder = root / "set_train/cup-1"
    assert all([path.stem for path in (folder / what).iterdir()] == ["000000"] for what in ("pose", *PASSES))
    assert len(json.loads((root / "transforms_train.json").read_text("utf-8"))["frames"]) == 1
    assert not (root / ".partial").exists()
    write_all(root, plan_for())
    assert len(list((folder / "pose").iterdir())) == 3


def test_a_dataset_without_labels_has_no_semantic_folder(tmp_path):
    with DatasetWriter(tmp_path, plan_for(passes=PASSES[:-1])) as writer:
        writer.write_view(ViewKey("cup-1", "train", 0), replace(view_like(0), semantic=None))
        assert writer.captured("cup-1", "train") == 1
    assert not (tmp_path / "set_train/cup-1/semantic").exists()


def test_splits_are_those_of_the_schema():
    properties = json.loads(SCHEMA.read_text("utf-8"))["properties"]
    assert list(SPLITS) == properties["splits"]["required"]
