"""Inspecting good and broken datasets, the picture of what was found, and exports read by their readers' own code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.engine_harness import engine_interpreter
from blender_tests.scenes import add_ball, capture_all, small_settings
from srn_blender.capture import inspect_picture
from srn_blender.capture.inspect import Inspection, describe, inspect_dataset, report
from srn_blender.capture.plan import ViewKey
from srn_blender.capture.png import encode_png
from srn_blender.capture.rigs.drawing import SPLIT_COLOURS, TROUBLE_COLOUR
from srn_blender.errors import UserError
from srn_blender.results import images
from srn_blender.ui import tasks
from srn_blender.ui.inspect_operators import NAME
from srn_blender.ui.properties import settings_of

TRAIN = 14
BALL = 1.5  # its radius, in Blender units
# What COLMAP's own reader finds in a model.
COLMAP = """
import json, sys, numpy as np, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
apart = [np.linalg.norm(image.project_point(model.points3D[seen.point3D_id].xyz) - seen.xy)
         for image in model.images.values() for seen in image.points2D[::7] if seen.has_point3D()]
points = [list(map(float, point.xyz)) for point in list(model.points3D.values())[::9]]
found = {"images": len(model.images), "points": len(model.points3D), "error": float(max(apart)), "some": points}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    root = tmp_path_factory.mktemp("captured") / "set"
    settings = small_settings(root, size=48, samples=1, train_views=TRAIN, test_views=1, labels="none")
    capture_all([add_ball(bpy.context.scene, BALL, (2, 3, 4))], settings)
    return root


@pytest.fixture
def root(captured: Path, tmp_path: Path) -> Path:
    """A copy, to be spoiled."""
    return Path(shutil.copytree(captured, tmp_path / "set"))


def finish(root: Path) -> Inspection:
    steps = inspect_dataset(root)
    fractions = []
    while True:
        try:
            fractions.append(next(steps).fraction)
        except StopIteration as ended:
            assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] < 1
            return ended.value


def pose_file(root: Path, index: int, split: str = "train") -> Path:
    return root / f"capture_{split}/thing/pose/{index:06d}.txt"


def train(index: int) -> ViewKey:
    return ViewKey("thing", "train", index)


def test_nothing_is_wrong_with_a_good_dataset(captured: Path) -> None:
    found = finish(captured)
    assert found.problems == [] and found.troubled == set()
    assert found.counts == {"train": (TRAIN, TRAIN), "val": (1, 1), "test": (1, 1)}
    assert len(found.poses) == len(found.tiles) == TRAIN + 2
    assert TRAIN / 2 <= len(found.pairs) <= TRAIN and found.pairs[0].agreeing == min(
        pair.agreeing for pair in found.pairs
    )
    assert found.pairs[0].agreeing > 0.8
    assert describe(found).startswith(f"{TRAIN + 2} views; depth agrees") and "Nothing is wrong" in describe(found)


def test_a_missing_view_and_a_missing_file_are_told(root: Path) -> None:
    pose_file(root, 4).unlink()
    (root / "capture_test/thing/normal/000000.exr").unlink()
    problems = finish(root).problems
    assert f"1 of {TRAIN} train views are missing: press Capture Views to go on." in problems
    assert any(text.startswith("View 000004 (train) of thing is missing between others") for text in problems)
    assert any(text.startswith("View 000000 (test) of thing lacks normal") for text in problems)
    assert len(problems) == 3


@pytest.mark.parametrize("spoil", ["scale", "mirror", "words", "nan"])
def test_a_pose_that_is_no_rotation_is_told(root: Path, spoil: str) -> None:
    path = pose_file(root, 2)
    pose = np.array(path.read_text().split(), float).reshape(4, 4)
    if spoil == "scale":
        pose[:3, :3] *= 1.01
    elif spoil == "mirror":
        pose[:3, 0] *= -1
    elif spoil == "nan":
        pose[0, 3] = np.nan
    path.write_text("no pose" if spoil == "words" else " ".join(map(str, pose.flat)))
    found = finish(root)
    assert [text for text in found.problems if "no rotation" in text] == found.problems and len(found.problems) == 1
    assert found.troubled == {train(2)} and train(2) not in found.poses


def test_an_empty_picture_and_one_of_another_size_are_told(root: Path) -> None:
    (root / "capture_train/thing/rgba/000003.png").write_bytes(encode_png(np.zeros((48, 48, 4), np.uint8)))
    (root / "capture_train/thing/rgba/000005.png").write_bytes(encode_png(np.full((24, 48, 4), 255, np.uint8)))
    (root / "capture_train/thing/rgba/000006.png").write_bytes(b"no picture")
    found = finish(root)
    assert found.troubled == {train(3), train(5), train(6)}
    assert any("is empty" in text for text in found.problems)
    assert any("has 48 x 24 pixels, not 48 x 48" in text for text in found.problems)
    assert any("000006.png" in text for text in found.problems)


def test_a_pose_that_disagrees_with_its_picture_is_found_by_its_depth(root: Path) -> None:
    path = pose_file(root, 1)
    pose = np.array(path.read_text().split(), float).reshape(4, 4)
    pose[:3, 3] *= 1.05
    path.write_text(" ".join(map(repr, map(float, pose.flat))))
    found = finish(root)
    assert found.pairs[0].agreeing < 0.3 and found.pairs[-1].agreeing > 0.9
    assert all(train(1) in pair[:2] for pair in found.pairs if pair.agreeing < 0.6)
    assert found.troubled == {train(1)}, "not its neighbours, which disagree with it"
    assert len(found.problems) == 1 and "agrees with a view beside it about only" in found.problems[0]


def test_a_camera_that_looks_away_and_a_view_in_two_splits_are_told(root: Path) -> None:
    path = pose_file(root, 0, "val")
    pose = np.array(path.read_text().split(), float).reshape(4, 4)
    turned = pose @ np.diag([-1.0, 1.0, -1.0, 1.0])
    path.write_text(" ".join(map(str, turned.flat)))
    pose_file(root, 0, "test").write_bytes(pose_file(root, 7).read_bytes())
    problems = finish(root).problems
    assert len(problems) == 2
    assert "View 000000 (val) of thing looks away" in problems[0]
    assert "View 000000 (test) of thing has the pose of a train view" in problems[1]


def test_what_is_no_dataset_gets_a_sentence(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Capture views first"):
        finish(tmp_path)
    said = json.loads((root / "dataset.json").read_text("utf-8"))
    for change in ({"camera": {}}, {"name": "../.."}, {"splits": {}}):
        (root / "dataset.json").write_text(json.dumps({**said, **change}), "utf-8")
        with pytest.raises(UserError, match=r"Capture again: .*dataset\.json"):
            finish(root)


def test_the_picture_shows_each_view_framed_in_its_splits_colour(root: Path) -> None:
    (root / "capture_train/thing/rgba/000001.png").write_bytes(encode_png(np.zeros((48, 48, 4), np.uint8)))
    found = finish(root)
    sheet = inspect_picture.contact_sheet(found)
    cell, frame = inspect_picture.CELL, inspect_picture.FRAME
    assert sheet.shape == (2 * cell, 8 * cell, 4), len(found.tiles)
    for place, view in enumerate(found.tiles):
        top, left = place // 8 * cell, place % 8 * cell
        colour = TROUBLE_COLOUR if view == train(1) else SPLIT_COLOURS[view.split]
        np.testing.assert_allclose(sheet[top, left], colour, atol=1e-6)
        inside = sheet[top + frame : top + frame + 96 : 2, left + frame : left + frame + 96 : 2, :3]  # twice as large
        tile = found.tiles[view]
        solid = tile[..., 3] == 1
        np.testing.assert_allclose(inside[solid], tile[..., :3][solid], atol=1e-6)
        assert np.allclose(inside[tile[..., 3] == 0], inspect_picture.PAPER)
    drawn = inspect_picture.cameras(found)
    assert drawn.shape == (8 * cell // 2, 8 * cell, 4)
    half = drawn.shape[1] // 2
    reach = 1.1 * max(np.abs(pose[:3, 3]).max() for pose in found.poses.values())
    for view, pose in found.poses.items():
        x, y, z = pose[:3, 3] / reach
        colour = TROUBLE_COLOUR if view in found.troubled else SPLIT_COLOURS[view.split]
        for left, up in ((0, y), (half, z)):
            column, row = (round(float((value + 1) / 2 * (half - 1))) for value in (x, -up))
            around = drawn[row - 1 : row + 2, left + column - 1 : left + column + 2, :3]
            assert np.isclose(around, colour[:3], atol=1e-6).all(-1).any(), f"{view} is where it stands"


@pytest.fixture
def settings(empty_file: None, root: Path) -> Iterator:
    srn_blender.register()
    tasks.Task.latest.clear()
    settings = settings_of(bpy.context.scene)
    settings.dataset_path = str(root)
    yield settings
    srn_blender.unregister()


def test_the_operator_shows_what_it_found(settings, root: Path) -> None:
    assert bpy.ops.srn.inspect() == {"FINISHED"}
    image = bpy.data.images[NAME]
    assert tuple(image.size) == (8 * inspect_picture.CELL, 6 * inspect_picture.CELL)
    shown = {tuple(colour) for colour in np.unique(images.pixels_of(image)[..., :3].reshape(-1, 3), axis=0).round(2)}
    assert {tuple(np.float32(colour[:3]).round(2)) for colour in SPLIT_COLOURS.values()} <= shown
    assert "Nothing is wrong with it." in bpy.data.texts[NAME].as_string()
    assert not tasks.Task.latest["inspect"].warns
    pose_file(root, 4).unlink()
    assert bpy.ops.srn.inspect() == {"FINISHED"}
    assert tasks.Task.latest["inspect"].warns
    assert "View 000004 (train) of thing is missing" in bpy.data.texts[NAME].as_string()
    assert len([image for image in bpy.data.images if image.name.startswith(NAME)]) == 1


def test_an_inspection_can_be_cancelled_and_one_of_nothing_fails(settings, tmp_path: Path) -> None:
    from srn_blender.ui.inspect_operators import InspectTask

    task = tasks.Task.latest["inspect"] = InspectTask(Path(settings.dataset_path))
    task.step()
    bpy.ops.srn.cancel(kind="inspect")
    assert task.state == tasks.CANCELLED and NAME not in bpy.data.images
    settings.dataset_path = str(tmp_path / "nothing")
    with pytest.raises(RuntimeError, match="Capture views first"):
        bpy.ops.srn.inspect()
    with pytest.raises(RuntimeError, match="Capture views first"):
        bpy.ops.srn.dataset_export()


def test_the_report_names_pairs_the_worst_first(captured: Path) -> None:
    lines = report(finish(captured)).splitlines()
    shares = [float(line.split("%")[0]) for line in lines if "%" in line]
    assert len(shares) > 5 and shares == sorted(shares)


def test_an_export_is_read_by_colmap_itself_and_lies_where_the_object_lies(
    settings, root: Path, tmp_path: Path
) -> None:
    interpreter = engine_interpreter()
    target = tmp_path / "colmap"
    assert bpy.ops.srn.dataset_export(layout="colmap", directory=str(target)) == {"FINISHED"}
    assert f"{TRAIN + 2} views are written to {target}" in tasks.Task.latest["export"].message
    with pytest.raises(RuntimeError, match="is not empty"):
        bpy.ops.srn.dataset_export(layout="colmap", directory=str(target))
    done = subprocess.run([interpreter, "-c", COLMAP, target / "sparse" / "0"], capture_output=True, text=True)
    if "No module named 'pycolmap'" in done.stderr:
        pytest.skip("the engine's Python lacks pycolmap")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["images"] == TRAIN + 1 and said["points"] > 500, "train and test views; points unprojected from depth"
    assert said["error"] < 0.6, "pixels between a point and where a picture says that it is"
    radii = np.linalg.norm(np.array(said["some"]) - (2, 3, 4), axis=1)
    assert np.abs(radii / BALL - 1).max() < 0.05, "on the ball, in Blender's world"


def test_an_export_without_an_engine_gets_a_sentence(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRN_ENGINE_PYTHON", raising=False)
    with pytest.raises(RuntimeError, match="choose the interpreter"):
        bpy.ops.srn.dataset_export(layout="nerf")
    monkeypatch.setenv("SRN_ENGINE_PYTHON", sys.executable)
    with pytest.raises(RuntimeError, match="no srn_engine"):
        bpy.ops.srn.dataset_export(layout="nerf")
    assert not Path(f"{settings.dataset_path}_nerf").exists()
