"""Trainings on the real engine as the operators run them: the live preview, pausing, going on, and picking runs."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.engine_harness import ROOT, TOKEN, engine_interpreter
from srn_blender.engine.engine import engine
from srn_blender.results import images, preview
from srn_blender.results.runs import PAUSED, THERE, TRAINED, read_run
from srn_blender.ui import runs_list, runs_panel, tasks, train_icons, train_panel, train_watch
from srn_blender.ui.properties import settings_of
from srn_blender.ui.train_operators import begin_training, continue_training, describe_pause
from srn_blender.ui.train_task import TrainTask, latest_training

LIMIT = 0.05  # seconds of the main thread that one step may take
LONG = 300.0  # seconds of a training that is never waited for


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Views of Blender's cube."""
    folder = tmp_path_factory.mktemp("captured") / "dataset"
    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    settings = settings_of(bpy.context.scene)
    settings.dataset_path, settings.engine = str(folder), "workbench"
    settings.train_views, settings.val_views, settings.test_views, settings.size = 8, 1, 0, 32
    bpy.ops.srn.capture_views()
    srn_blender.unregister()
    return folder


@pytest.fixture
def settings(dataset: Path, empty_file: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator:
    monkeypatch.setenv("SRN_ENGINE_PYTHON", engine_interpreter())
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    tasks.Task.latest.clear()
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 180
    settings = settings_of(scene)
    settings.dataset_path, settings.run_path = str(dataset), str(tmp_path / "runs" / "run")
    yield settings
    srn_blender.unregister()


def start(seconds: float) -> TrainTask:
    settings_of(bpy.context.scene).seconds = seconds
    task = tasks.Task.latest["train"] = begin_training(bpy.context)
    return task


def step_until(task: TrainTask, reached: Callable[[], bool], seconds: float = 120.0) -> float:
    """Steps until something is reached; the longest that a step took of the main thread."""
    deadline, longest = time.monotonic() + seconds, 0.0
    while not reached():
        assert time.monotonic() < deadline, task.message
        assert task.state == tasks.RUNNING, task.message
        began = time.thread_time()
        task.step()
        longest = max(longest, time.thread_time() - began)
        time.sleep(0.01)
    return longest


def shown() -> np.ndarray | None:
    image = bpy.data.images.get(preview.NAME)
    return images.pixels_of(image).copy() if image is not None else None


def learned(task: TrainTask, step: int) -> Callable[[], bool]:
    return lambda: task.history.step >= step


def step_until_end(task: TrainTask, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while task.state == tasks.RUNNING:
        assert time.monotonic() < deadline, task.message
        task.step()
        time.sleep(0.01)


def test_the_preview_follows_the_training_and_the_camera(settings) -> None:
    scene = bpy.context.scene
    task = start(LONG)
    longest = step_until(task, lambda: shown() is not None)
    first = shown()
    assert first.shape == (144, 256, 4) and 0 < first[..., 3].mean() < 1, "of the render's shape, the cube on nothing"
    assert train_icons.icon(train_icons.PREVIEW) is not None
    longest = max(longest, step_until(task, lambda: not np.array_equal(shown(), first)))
    later = shown()
    assert np.abs(later - first).mean() < 0.2, "the same view, further learned"
    scene.camera.rotation_euler.z += 0.2
    step_until(task, lambda: np.abs(shown()[..., 3] - later[..., 3]).mean() > 0.05)
    other = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    scene.collection.objects.link(other)
    other.location = (0.0, 0.0, 12.0)
    settings.preview_camera = other
    step_until(task, lambda: shown()[60:84, 116:140, 3].min() > 0.3)
    assert shown()[:10, :, 3].max() < 0.3, "the cube in the middle, nothing above it"
    other.data.type = "ORTHO"
    step_until(task, lambda: "Perspective" in task.preview_problem)
    other.data.type = "PERSP"
    step_until(task, lambda: task.preview_problem == "")
    assert longest < LIMIT
    settings.preview = False
    step_until(task, lambda: task._wanted == {"camera": None})
    step = task.history.step
    step_until(task, learned(task, step + 2))
    unseen = shown()
    step_until(task, learned(task, task.history.step + 3))
    assert np.array_equal(shown(), unseen), "nobody looks"
    first_line, second_line = train_panel.describe(task)
    assert first_line.startswith("Step ") and first_line.endswith("steps/s") and second_line.startswith("Loss ")
    task.message = "Step 9, PSNR 20.1 dB; learning to guess new instances; no preview: too large."  # as of a class
    assert train_panel.describe(task)[2:] == ["Learning to guess new instances", "No preview: too large."]
    bpy.ops.srn.cancel(kind="train")
    step_until_end(task)
    assert "kept" in task.message


def test_a_training_is_paused_goes_on_and_can_be_given_more(settings) -> None:
    scene, folder = bpy.context.scene, Path(settings.run_path)
    task = start(12.0)
    step_until(task, lambda: task.fraction > 0.2)
    assert not bpy.ops.srn.run_delete.poll() and not bpy.ops.srn.run_rename.poll(), "while it is written"
    assert bpy.ops.srn.train_pause() == {"FINISHED"}
    step_until_end(task)
    assert task.state == tasks.CANCELLED and task.message.startswith("Paused at step ")
    paused = read_run(folder)
    assert paused.state == PAUSED and 0.2 < paused.fraction < 1.0 and paused.steps > 0
    assert bpy.ops.srn.train_continue() == {"FINISHED"}
    whole = read_run(folder)
    assert whole.state == TRAINED and whole.steps > paused.steps and whole.seconds >= 12.0
    assert not (folder / "previous").exists(), "it is the same run"
    with pytest.raises(RuntimeError, match=r"more than \d+ s in all"):
        bpy.ops.srn.train_continue()
    assert bpy.ops.srn.train_continue(seconds=whole.seconds + 4.0) == {"FINISHED"}
    more = read_run(folder)
    assert more.steps > whole.steps and more.seconds >= whole.seconds + 4.0 and more.preset == "fast"
    task = latest_training()
    assert task.history.psnr.curve[0, 0] < paused.steps + 1 and task.history.step == more.steps
    train_watch.look(scene)
    assert runs_list.summary_in_mind(scene) == more
    assert more.name in [run.name for run in runs_list.seen().runs] and runs_list.seen().picture is not None
    assert "steps in" in runs_panel.describe(more)


def test_what_was_learned_when_the_engine_ends_goes_on_after_it(settings) -> None:
    task = start(LONG)
    step_until(task, learned(task, 3))
    client = engine()._client
    engine().stop()  # as Blender does when it quits
    client.join(30.0)
    assert task.state == tasks.FAILED
    run = read_run(Path(settings.run_path))
    assert run.state == PAUSED and run.steps >= 3
    tasks.Task.latest.clear()  # a new Blender knows of nothing
    assert bpy.ops.srn.train_continue(seconds=run.seconds + 3.0) == {"FINISHED"}
    assert read_run(run.folder).steps > run.steps


def test_training_again_never_overwrites_from_the_panel(settings) -> None:
    first = Path(settings.run_path)
    settings.seconds = 1.0
    assert bpy.ops.srn.train(new_run=True) == {"FINISHED"}
    assert Path(settings.run_path) == first, "nothing was there"
    kept = (first / "checkpoint.safetensors").read_bytes()
    assert bpy.ops.srn.train(new_run=True) == {"FINISHED"}
    assert Path(settings.run_path) == first.with_name("run-2")
    assert (first / "checkpoint.safetensors").read_bytes() == kept and not (first / "previous").exists()
    train_watch.look(bpy.context.scene)
    assert [item.name for item in runs_list.runs_of(bpy.context).items] == ["run", "run-2"] and settings.active_run == 1
    settings.active_run = 0
    assert Path(settings.run_path) == first
    assert bpy.ops.srn.run_rename(name="cube") == {"FINISHED"}
    assert Path(settings.run_path) == first.with_name("cube") and settings.active_run == 0
    assert bpy.ops.srn.run_new() == {"FINISHED"} and Path(settings.run_path) == first.with_name("cube-2")
    assert settings.active_run == -1, "there is no such run yet"
    for place in (-1, 2, 2**31 - 1):  # there are two
        settings.active_run = place
        assert Path(settings.run_path) == first.with_name("cube-2"), "no such place, no other run"
    assert bpy.ops.srn.run_new(name="other") == {"FINISHED"} and Path(settings.run_path) == first.with_name("other")
    settings.run_path = str(first.with_name("run-2"))
    assert bpy.ops.srn.run_delete() == {"FINISHED"} and not first.with_name("run-2").exists()
    assert [item.name for item in runs_list.runs_of(bpy.context).items] == ["cube"]
    assert "train" not in tasks.Task.latest, "its end is told no more"


def test_what_cannot_go_on_says_why(settings, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Train first"):
        bpy.ops.srn.train_continue()
    assert not bpy.ops.srn.train_pause.poll()
    folder = Path(settings.run_path)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    with pytest.raises(RuntimeError, match="describes none"):
        bpy.ops.srn.train_continue()
    with pytest.raises(RuntimeError, match="nothing to plot"):
        bpy.ops.srn.train_plot()
    with pytest.raises(RuntimeError, match="Choose another name"):
        bpy.ops.srn.run_rename(name="a/b")


def test_opening_another_file_leaves_the_training_and_its_preview_alone(settings, tmp_path: Path) -> None:
    task = start(LONG)
    step_until(task, lambda: shown() is not None)
    run_path = settings.run_path
    bpy.ops.wm.read_factory_settings(use_empty=False)
    step_until(task, lambda: task._wanted == {"camera": None})
    step_until(task, learned(task, task.history.step + 2))
    assert preview.NAME not in bpy.data.images
    settings_of(bpy.context.scene).run_path = run_path
    step_until(task, lambda: shown() is not None)
    task.halt(describe_pause)
    step_until_end(task)
    assert "Paused at step" in task.message


class SharedEngine:
    """An engine that somebody else has started, and that goes on without us."""

    def __init__(self, *options: str) -> None:
        program = [engine_interpreter(), "-m", "srn_engine", "serve", "--device", "cpu", "--token-stdin", *options]
        self.process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        self.process.stdin.write(f"{TOKEN}\n".encode())
        self.process.stdin.flush()
        self.port = json.loads(self.process.stdout.readline())["port"]

    def connect(self) -> None:
        engine().connect("127.0.0.1", self.port, TOKEN)
        engine().wait_ready()


@pytest.mark.parametrize("has_storage", [False, True], ids=["sees our disk", "has a storage"])
def test_a_training_on_a_shared_engine_is_found_again(settings, tmp_path: Path, has_storage: bool) -> None:
    shared = SharedEngine(*(["--storage", str(tmp_path / "storage")] if has_storage else []))
    try:
        shared.connect()
        task = start(LONG)
        step_until(task, learned(task, 2))
        number = task.number
        engine().stop()
        assert task.state == tasks.FAILED
        tasks.Task.latest.clear()
        for image in list(bpy.data.images):
            bpy.data.images.remove(image)
        shared.connect()
        with pytest.raises(RuntimeError, match="press Continue to follow it"):
            bpy.ops.srn.train()
        if has_storage:
            assert read_run(Path(settings.run_path)).state == THERE
        following = continued()
        step_until(following, lambda: shown() is not None)
        assert following.number == number, "the same training"
        bpy.ops.srn.train_pause()
        step_until_end(following)
        assert following.message.startswith("Paused at step"), following.message
        run = read_run(Path(settings.run_path))
        assert run.steps >= 2 and run.can_continue and run.state == PAUSED and run.on_host is has_storage
        assert bpy.ops.srn.train_continue(seconds=run.seconds + 3.0) == {"FINISHED"}
        assert read_run(run.folder).steps > run.steps
        engine().stop()
        if has_storage:
            with pytest.raises(RuntimeError, match="trained on another computer"):
                bpy.ops.srn.train_continue(seconds=LONG)
    finally:
        engine().stop()
        shared.process.kill()
        shared.process.communicate()


def continued() -> TrainTask:
    """What Continue starts, to be stepped here."""
    task = tasks.Task.latest["train"] = continue_training(bpy.context)
    return task
