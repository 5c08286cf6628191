"""Live: the neural view follows the camera and the run by itself, once they stand still."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import bpy
import numpy as np
import pytest

from blender_tests import results_harness
from blender_tests.results_harness import Trained
from srn_blender.engine.engine import engine
from srn_blender.results import images, view
from srn_blender.ui import compare_live, tasks
from srn_blender.ui.compare_live import KIND, STILL_SECONDS
from srn_blender.ui.properties import settings_of


@pytest.fixture
def ball(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trained]:
    for made in results_harness.registered(monkeypatch):
        tasks.Task.latest.clear()
        monkeypatch.setattr(compare_live, "_state", compare_live._State())
        assert bpy.ops.srn.engine_start() == {"FINISHED"}
        yield made


class Clock:
    """Ticks as the window's timer does, without waiting between them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.longest = 0.0

    def tick(self, seconds: float = compare_live.WATCH_SECONDS) -> None:
        self.now += seconds
        bpy.context.view_layer.update()  # as the window does before it is drawn
        start = time.thread_time()  # of this thread alone: other programs may run beside it
        compare_live.tick(bpy.context.scene, self.now)
        self.longest = max(self.longest, time.thread_time() - start)

    def settle(self) -> None:
        """Until a view that is asked for has come."""
        self.tick()
        self.tick(1.5 * STILL_SECONDS)
        deadline = time.monotonic() + 60
        while tasks.running(KIND):
            assert time.monotonic() < deadline
            self.tick()
            time.sleep(0.01)


def shown() -> np.ndarray:
    return images.pixels_of(bpy.data.images[images.COLOUR]).copy()


def test_the_view_follows_the_camera(ball: Trained) -> None:
    scene, clock = bpy.context.scene, Clock()
    clock.settle()
    assert tasks.Task.latest[KIND].state == tasks.DONE
    assert view.is_of(view.seen_by(scene, scene.camera))
    first = shown()
    scene.camera.location.x += 0.4
    clock.settle()
    assert view.is_of(view.seen_by(scene, scene.camera))
    second = shown()
    assert np.abs(second - first).max() > 0.2, "the ball has moved to the left"
    columns = [(picture[..., 3] * np.arange(64)).sum() / picture[..., 3].sum() for picture in (first, second)]
    assert columns[1] < columns[0] - 3
    scene.camera.data.lens = 80.0
    clock.settle()
    assert shown()[..., 3].mean() > 1.5 * second[..., 3].mean(), "a longer lens"
    scene.render.resolution_percentage = 50
    clock.settle()
    assert shown().shape[:2] == (32, 32)


def test_nothing_is_asked_for_while_the_camera_moves_or_nothing_changed(ball: Trained) -> None:
    scene, clock = bpy.context.scene, Clock()
    for _ in range(30):
        scene.camera.location.x += 0.01
        clock.tick()
        assert KIND not in tasks.Task.latest
    clock.settle()
    task = tasks.Task.latest[KIND]
    for _ in range(30):
        clock.tick()
    assert tasks.Task.latest[KIND] is task


def test_what_is_no_longer_wanted_is_dropped(ball: Trained) -> None:
    scene, clock = bpy.context.scene, Clock()
    scene.render.resolution_x = scene.render.resolution_y = 1024  # takes a while
    clock.tick()
    clock.tick(1.5 * STILL_SECONDS)
    first = tasks.Task.latest[KIND]
    assert first.state == tasks.RUNNING
    scene.render.resolution_x = scene.render.resolution_y = 32
    clock.settle()
    deadline = time.monotonic() + 60
    while tasks.Task.latest[KIND] is first or tasks.running(KIND):
        assert time.monotonic() < deadline
        clock.tick()
        time.sleep(0.01)
    assert first.state == tasks.CANCELLED
    assert shown().shape[:2] == (32, 32)


def test_a_new_checkpoint_brings_a_new_view(ball: Trained) -> None:
    clock = Clock()
    clock.settle()
    before = tasks.Task.latest[KIND]
    checkpoint = ball.run / "checkpoint.safetensors"
    os.utime(checkpoint, ns=(time.time_ns(), time.time_ns()))
    clock.settle()
    after = tasks.Task.latest[KIND]
    assert after is not before and after.state == tasks.DONE


def test_it_makes_no_undo_step_and_the_file_counts_as_it_did(ball: Trained, tmp_path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    dirty = bpy.data.is_dirty
    Clock().settle()
    assert bpy.data.is_dirty == dirty
    assert not bpy.data.images[images.COLOUR].is_dirty


def test_no_tick_holds_up_the_window(ball: Trained) -> None:
    scene, clock = bpy.context.scene, Clock()
    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    clock.settle()
    print(f"longest tick: {1000 * clock.longest:.1f} ms")
    assert clock.longest < 0.05


def test_it_waits_for_the_engine_and_says_what_is_wrong(ball: Trained, tmp_path) -> None:
    clock = Clock()
    bpy.ops.srn.engine_stop()
    clock.settle()
    assert "start it" in compare_live.problem() and engine().state == "stopped"
    settings_of(bpy.context.scene).run_path = str(tmp_path)
    clock.settle()
    assert "Train first" in compare_live.problem()
    bpy.context.scene.camera = None
    settings_of(bpy.context.scene).run_path = str(ball.run)
    clock.settle()
    assert "Add a camera" in compare_live.problem()
    assert KIND not in tasks.Task.latest


def test_opening_a_file_ends_it(ball: Trained) -> None:
    clock = Clock()
    bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 1024
    clock.tick()
    clock.tick(1.5 * STILL_SECONDS)
    task = tasks.Task.latest[KIND]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    while task.state == tasks.RUNNING:
        task.step()
        time.sleep(0.01)
    assert task.state == tasks.CANCELLED
    assert images.COLOUR not in bpy.data.images
