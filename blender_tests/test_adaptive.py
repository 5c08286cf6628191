"""Adaptive capture: a dataset that grows where a model asks, with the real engine and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.engine_harness import engine_interpreter
from blender_tests.scenes import add_ball, capture_all, small_settings
from srn_blender.capture.adaptive import CANDIDATES, Proposal, Wish, adaptive_steps
from srn_blender.capture.instance import Instance
from srn_blender.capture.session import CaptureProgress
from srn_blender.engine.engine import engine
from srn_blender.errors import CaptureChanged, UserError
from srn_blender.ui import tasks

WISH = Wish(first_views=4, batch=2, most_views=8)


class Asked:
    """Answers as the engine would, always for the candidates in turn, and remembers what it was asked."""

    def __init__(self, psnr: float = 20.0) -> None:
        self.psnr = psnr
        self.counts: list[int] = []
        self.cameras: list[Any] = []

    def __call__(self, instance, cameras, count):
        yield "Thinking."
        self.counts.append(count)
        start = len(self.cameras)
        views = list(range(start, start + count))
        self.cameras += [cameras[number] for number in views]
        return Proposal(views, self.psnr)


def run(root: Path, ask: Asked, wish: Wish = WISH, objects=None, **changes) -> list[CaptureProgress]:
    """The progress of a whole adaptive capture of a ball."""
    things = objects or [one for one in bpy.data.objects if one.type == "MESH"] or [add_ball(bpy.context.scene, 1.0)]
    settings = small_settings(root, samples=1, **changes)
    steps = adaptive_steps(bpy.context.scene, [Instance("thing", "Thing", things)], settings, wish, ask)
    return [step for step in steps if isinstance(step, CaptureProgress)]


def manifest_of(root: Path) -> dict:
    return json.loads((root / "dataset.json").read_text("utf-8"))


def poses_of(root: Path) -> list[np.ndarray]:
    paths = sorted((root / "capture_train" / "thing" / "pose").iterdir())
    return [np.array(path.read_text().split(), float).reshape(4, 4) for path in paths]


def test_the_dataset_grows_by_the_views_that_are_asked_for(tmp_path):
    ask = Asked()
    progress = run(tmp_path, ask)
    assert ask.counts == [2, 2]
    manifest = manifest_of(tmp_path)
    assert manifest["splits"]["train"] == {"planned": 8, "captured": 8}
    poses = poses_of(tmp_path)
    assert len(poses) == 8
    for camera, pose in zip(ask.cameras, poses[4:], strict=True):
        np.testing.assert_allclose(pose, camera.pose, atol=1e-12)
    frames = json.loads((tmp_path / "transforms_train.json").read_text())["frames"]
    assert len(frames) == 8
    assert progress[-1].total == progress[-1].done == 8 + 1 + 2
    assert [one.done for one in progress] == sorted(one.done for one in progress)
    assert all(one.total == 11 for one in progress)


def test_it_ends_once_the_model_is_content(tmp_path):
    ask = Asked(psnr=31.0)
    run(tmp_path, ask, Wish(first_views=4, batch=2, most_views=20, quality=30.0))
    assert len(ask.counts) == 1 and manifest_of(tmp_path)["splits"]["train"]["captured"] == 4


def test_a_capture_cut_short_goes_on(tmp_path):
    """In the midst of a batch: what was asked for and not captured is asked for again."""
    ball = add_ball(bpy.context.scene, 1.0)
    settings = small_settings(tmp_path, samples=1)
    thing = [Instance("thing", "Thing", [ball])]
    steps = adaptive_steps(bpy.context.scene, thing, settings, WISH, Asked())
    taken = 0
    for step in steps:
        taken += isinstance(step, CaptureProgress)
        if taken == 4 + 1 + 2 + 2:  # the even views, their end, and the first of the first batch
            break
    steps.close()
    assert manifest_of(tmp_path)["splits"]["train"] == {"planned": 6, "captured": 5}
    before = poses_of(tmp_path)
    ask = Asked()
    run(tmp_path, ask, objects=[ball])
    assert ask.counts == [2, 1]
    after = poses_of(tmp_path)
    assert len(after) == 8
    np.testing.assert_array_equal(before, after[:5])
    run(tmp_path, ask, objects=[ball])
    assert ask.counts == [2, 1], "all is there"


def test_an_even_capture_of_as_many_views_keeps_those_that_were_added(tmp_path):
    ball = add_ball(bpy.context.scene, 1.0)
    run(tmp_path, Asked(), objects=[ball])
    progress = capture_all([ball], small_settings(tmp_path, samples=1, train_views=4))
    assert len(progress) == 1 and manifest_of(tmp_path)["splits"]["train"] == {"planned": 8, "captured": 8}


def test_something_else_is_not_mixed_in(tmp_path):
    ball = add_ball(bpy.context.scene, 1.0)
    run(tmp_path, Asked(), Wish(first_views=4, batch=2, most_views=6), objects=[ball])
    ball.data.vertices[0].co.z += 0.3
    with pytest.raises(CaptureChanged, match="shape"):
        run(tmp_path, Asked(), objects=[ball])


def test_candidates_stand_on_the_rig_apart_from_the_views_to_measure_with(tmp_path):
    seen = []

    def ask(instance, cameras, count):
        yield ""
        seen.extend(cameras)
        return Proposal([0], 99.0)

    wish = Wish(4, 1, 5, quality=10.0)
    run(tmp_path, ask, wish, rig="hemisphere", val_views=3, test_views=5)
    places = np.array([camera.position for camera in seen])
    assert CANDIDATES - 20 <= len(seen) <= CANDIDATES and (places[:, 2] > 0).all()
    measured = [
        np.array(path.read_text().split(), float).reshape(4, 4)[:3, 3]
        for path in tmp_path.glob("capture_[vt]*[lt]/thing/pose/*.txt")
    ]
    assert len(measured) == 8
    apart = np.linalg.norm(places[:, None] - np.array(measured), axis=-1) / np.linalg.norm(places[0])
    assert apart.min() > 0.017


@pytest.mark.parametrize(
    ("wish", "changes", "words"),
    [
        (Wish(8, 4, 6), {}, "Most Views"),
        (Wish(4, 0, 8), {}, "Batch"),
        (WISH, {"rig": "cameras"}, "Set Rig"),
    ],
)
def test_what_does_not_do_gets_a_sentence(tmp_path, wish, changes, words):
    with pytest.raises(UserError, match=words):
        run(tmp_path, Asked(), wish, **changes)


def test_a_gap_among_added_views_gets_a_sentence(tmp_path):
    ball = add_ball(bpy.context.scene, 1.0)
    run(tmp_path, Asked(), objects=[ball])
    (tmp_path / "capture_train" / "thing" / "pose" / "000005.txt").unlink()
    with pytest.raises(UserError, match="number 5 is missing"):
        run(tmp_path, Asked(), objects=[ball])


@pytest.fixture
def add_on(empty_file: None) -> Iterator[None]:
    srn_blender.register()
    tasks.Task.latest.clear()
    yield
    engine().close()
    srn_blender.unregister()


def test_the_operator_asks_the_real_engine(add_on, tmp_path, monkeypatch):
    monkeypatch.setenv("SRN_ENGINE_PYTHON", engine_interpreter())
    ball = add_ball(bpy.context.scene, 1.0)
    bpy.context.view_layer.objects.active = ball
    ball.select_set(True)
    chosen = bpy.context.scene.srn
    chosen.dataset_path, chosen.size, chosen.samples = str(tmp_path / "set"), 32, 4
    chosen.val_views, chosen.test_views = 1, 2
    chosen.first_views, chosen.batch, chosen.most_views, chosen.ask_seconds = 5, 2, 8, 2.0
    assert bpy.ops.srn.capture_adaptively() == {"FINISHED"}
    task = tasks.Task.latest["capture"]
    assert "11 views are captured" in task.message and "dB" in task.message
    manifest = manifest_of(tmp_path / "set")
    assert manifest["splits"]["train"] == {"planned": 8, "captured": 8}
    paths = sorted((tmp_path / "set").glob("capture_train/*/pose/*.txt"))
    places = np.array([np.array(path.read_text().split(), float).reshape(4, 4)[:3, 3] for path in paths])
    directions = places / np.linalg.norm(places, axis=1, keepdims=True)
    apart = np.arccos((directions @ directions.T).clip(-1, 1))[~np.eye(8, dtype=bool)]
    assert np.degrees(apart).min() > 15, "no two views of one place"


def test_an_engine_that_is_not_there_is_told(add_on, tmp_path, monkeypatch):
    monkeypatch.setenv("SRN_ENGINE_PYTHON", str(tmp_path / "nowhere"))
    ball = add_ball(bpy.context.scene, 1.0)
    ball.select_set(True)
    bpy.context.scene.srn.dataset_path = str(tmp_path / "set")
    with pytest.raises(RuntimeError, match=r"nowhere"):
        bpy.ops.srn.capture_adaptively()
    assert not (tmp_path / "set").exists()
