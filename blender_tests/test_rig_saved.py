"""Poses from files: transforms files as the NeRF family writes them, and what is wrong with others."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from blender_tests.scenes import placed_poses
from srn_blender.capture.camera import flip_axes
from srn_blender.capture.rigs.saved import divide, read_saved_poses
from srn_blender.errors import UserError

POSES = placed_poses({"train": 9}, 3.0)["train"]


def frames(poses=POSES, **more):
    return [
        {"file_path": f"images/{i:03d}.png", "transform_matrix": flip_axes(pose).tolist(), **more}
        for i, pose in enumerate(poses)
    ]


def write(path, data):
    path.write_text(json.dumps(data), "utf-8")
    return path


LENS = {"fl_x": 90.0, "fl_y": 91.0, "cx": 33.0, "cy": 23.0, "w": 64, "h": 48}


def test_every_nth_is_held_out_where_nothing_says_the_splits(tmp_path):
    backwards = {**LENS, "frames": frames()[::-1]}
    saved = read_saved_poses(write(tmp_path / "transforms.json", backwards), hold_out=4)
    assert (saved.poses["test"] == POSES[[3, 7]]).all() and (saved.poses["val"] == POSES[[1, 5]]).all()
    assert (saved.poses["train"] == POSES[[0, 2, 4, 6, 8]]).all()
    lens = saved.camera
    assert (lens.fl_x, lens.fl_y, lens.cx, lens.cy, lens.width, lens.height) == (90.0, 91.0, 33.0, 23.0, 64, 48)


@pytest.mark.parametrize(
    ("count", "hold_out", "val", "test"),
    [(7, 8, [3], []), (16, 8, [3, 11], [7, 15]), (6, 3, [0, 3], [2, 5]), (4, 2, [], [1, 3]), (5, 0, [], [])],
)
def test_how_splits_are_divided(count, hold_out, val, test):
    places = divide(count, hold_out)
    assert places["val"] == val and places["test"] == test
    assert sorted(place for some in places.values() for place in some) == list(range(count))


def test_nerfstudios_lists_of_names_are_its_splits(tmp_path):
    lists = {"train_filenames": ["images/000.png", "images/002.png"], "test_filenames": ["images/008.png"]}
    saved = read_saved_poses(write(tmp_path / "transforms.json", {**LENS, **lists, "frames": frames()}).parent, 8)
    assert (saved.poses["train"] == POSES[[0, 2]]).all() and (saved.poses["test"] == POSES[[8]]).all()
    assert saved.poses["val"].shape == (0, 4, 4)


def test_nerf_synthetic_says_an_angle_and_one_of_its_files_stands_for_all(tmp_path):
    for split, chosen in (("train", POSES[:4]), ("val", POSES[4:5]), ("test", POSES[5:])):
        write(tmp_path / f"transforms_{split}.json", {"camera_angle_x": 0.7, "frames": frames(chosen)})
    for path in (tmp_path, tmp_path / "transforms_test.json"):
        saved = read_saved_poses(path, 8)
        assert (saved.poses["train"] == POSES[:4]).all() and (saved.poses["test"] == POSES[5:]).all()
        assert 2 * math.atan(saved.camera.width / 2 / saved.camera.fl_x) == pytest.approx(0.7)
        assert saved.camera.width == saved.camera.height == 2 * saved.camera.cx


def test_distortion_is_left_out_and_a_lens_may_stand_in_the_frames(tmp_path):
    saved = read_saved_poses(write(tmp_path / "a.json", {"k1": 0.1, "frames": frames(**LENS)}), 0)
    assert saved.camera.fl_x == 90.0 and len(saved.poses["train"]) == 9


def mirrored():
    return [{**frame, "transform_matrix": np.diag([1, 1, -1, 1]).tolist()} for frame in frames()]


def stretched():
    return [{**frame, "transform_matrix": np.diag([2, 2, 2, 1]).tolist()} for frame in frames()]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({**LENS, "frames": []}, "no views"),
        ({**LENS}, "lacks or garbles 'frames'"),
        ([], "lacks or garbles"),
        ({"w": 64, "h": 48, "frames": frames()}, "fl_x"),
        ({**LENS, "fl_x": -1.0, "frames": frames()}, "the lens"),
        ({**LENS, "frames": mirrored()}, "rigid"),
        ({**LENS, "frames": stretched()}, "rigid"),
        ({**LENS, "frames": [*frames()[:5], *frames(fl_x=80.0)[5:]]}, r"'images/000\.png' and 'images/005\.png'"),
        ({**LENS, "camera_model": "OPENCV_FISHEYE", "frames": frames()}, "fisheyes"),
        ({"format": "srn-dataset", "version": 2}, "Update the add-on"),
        ({"format": "srn-dataset", "version": 1, "name": "../x", "instances": [{"id": "a"}]}, "the name"),
    ],
)
def test_what_will_not_do_gets_a_sentence(tmp_path, data, sentence):
    with pytest.raises(UserError, match=sentence):
        read_saved_poses(write(tmp_path / "transforms.json", data), 8)


def test_files_that_are_none_get_a_sentence(tmp_path):
    with pytest.raises(UserError, match="holds neither"):
        read_saved_poses(tmp_path, 8)
    with pytest.raises(UserError, match="cannot be read"):
        read_saved_poses(tmp_path / "missing.json", 8)
    (tmp_path / "transforms.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match="garbles"):
        read_saved_poses(tmp_path, 8)


def test_holding_out_everything_is_refused():
    with pytest.raises(UserError, match="Hold Out"):
        divide(5, 1)
