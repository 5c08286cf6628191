"""The operators, run from a script as a window would run them; the panels' helpers; registering and leaving."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from srn_blender.capture.instance import Instance
from srn_blender.capture.session import capture_steps
from srn_blender.capture.settings import CaptureSettings
from srn_blender.engine.engine import engine
from srn_blender.results import compositor, images, view
from srn_blender.ui import panel_parts, tasks
from srn_blender.ui.capture_operator import begin_capture, what_to_capture
from srn_blender.ui.capture_task import CaptureTask
from srn_blender.ui.engine_choice import interpreter_of
from srn_blender.ui.long_work import HeldWindow
from srn_blender.ui.properties import settings_of

ROOT = Path(__file__).resolve().parents[1]
INTERPRETERS = [ROOT / ".venv/engine" / python for python in ("bin/python", "Scripts/python.exe")]
OPERATORS = ["cancel", "capture_anew", "capture_views", "compare", "compare_remove"]
OPERATORS += ["engine_start", "engine_stop", "fetch_run", "render_view", "train"]


@pytest.fixture(autouse=True)
def add_on(empty_file: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The add-on, registered as a script does it, in Blender's own first scene; no interpreter is known."""
    monkeypatch.delenv("SRN_ENGINE_PYTHON", raising=False)
    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    tasks.Task.latest.clear()
    yield
    srn_blender.unregister()


@pytest.fixture
def settings(tmp_path: Path):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x, scene.render.resolution_y = 64, 48
    settings = settings_of(scene)
    settings.dataset_path, settings.run_path = str(tmp_path / "dataset"), str(tmp_path / "run")
    settings.train_views, settings.val_views, settings.test_views = 6, 1, 0
    settings.size, settings.samples, settings.seconds = 48, 1, 2.0
    return settings


def traces() -> dict[str, object]:
    """What the add-on could leave behind."""
    lists = [value for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)]
    own = [handler for handlers in lists for handler in handlers if handler.__module__.startswith("srn_blender")]
    return {
        "classes": sorted(name for name in dir(bpy.types) if name.startswith("SRN")),
        "operators": sorted(name for name in dir(bpy.ops.srn) if name in OPERATORS),
        "property": hasattr(bpy.types.Scene, "srn"),
        "handlers": [handler.__name__ for handler in own],
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


def test_leaving_leaves_nothing() -> None:
    there = traces()
    assert there["property"] and there["operators"] == OPERATORS
    srn_blender.unregister()
    left = traces()
    assert left["classes"] == [] and not left["property"]
    assert there["handlers"] and left["handlers"] == []
    assert left["threads"] == there["threads"]
    srn_blender.register()
    assert traces() == there


def test_every_default_of_a_capture_stands_in_one_place() -> None:
    settings = settings_of(bpy.context.scene)
    fields = {field.name: field.default for field in dataclasses.fields(CaptureSettings)}
    for name in ("rig", "train_views", "val_views", "test_views", "size", "samples", "seed", "labels"):
        assert getattr(settings, name) == fields[name]


def test_everything_has_a_tooltip() -> None:
    for name in OPERATORS:
        kind = getattr(bpy.ops.srn, name).get_rna_type()
        assert kind.description, name
        assert all(item.description for item in kind.properties if item.identifier != "rna_type"), name
    own = [
        item for item in settings_of(bpy.context.scene).bl_rna.properties if item.identifier not in ("name", "rna_type")
    ]
    assert len(own) > 12
    assert all(item.description for item in own)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda settings: setattr(settings, "dataset_path", "//srn/dataset"), "Save the file first"),
        (lambda settings: setattr(settings, "dataset_path", " "), "Choose a folder under Dataset"),
        (lambda settings: setattr(settings, "dataset_path", "relative"), "absolute folder"),
    ],
)
def test_a_folder_that_does_not_do_gets_a_sentence(settings, spoil, sentence: str) -> None:
    spoil(settings)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.srn.capture_views()
    assert not tasks.running("capture")


def test_beside_a_saved_file_the_default_folder_works(settings, tmp_path: Path) -> None:
    settings.dataset_path = "//srn/dataset"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert bpy.ops.srn.capture_views() == {"FINISHED"}
    assert (tmp_path / "srn" / "dataset" / "dataset.json").is_file()


def test_without_a_selection_nothing_is_captured(settings) -> None:
    bpy.ops.object.select_all(action="DESELECT")
    assert not bpy.ops.srn.capture_views.poll()
    settings.collection = bpy.data.objects["Cube"].users_collection[0]
    assert bpy.ops.srn.capture_views.poll()


def test_training_says_what_is_missing(settings) -> None:
    with pytest.raises(RuntimeError, match="Capture views first"):
        bpy.ops.srn.train()
    bpy.ops.srn.capture_views()
    with pytest.raises(RuntimeError, match="choose the interpreter"):
        bpy.ops.srn.train()
    assert not tasks.running("train") and not Path(settings.run_path).exists()


def test_rendering_says_what_is_missing(settings) -> None:
    with pytest.raises(RuntimeError, match="Train first"):
        bpy.ops.srn.render_view()
    assert images.COLOUR not in bpy.data.images
    assert not bpy.ops.srn.compare.poll()


def test_cancelling_with_nothing_to_cancel() -> None:
    assert not bpy.ops.srn.cancel.poll()


def test_a_cancelled_capture_keeps_its_views_and_goes_on(settings) -> None:
    task = begin_capture(bpy.context)
    tasks.Task.latest[task.kind] = task
    step_until(task, lambda: task.message == "View 2 of 7" and task.fraction > 0.2)
    bpy.ops.srn.cancel(kind="capture")
    while task.state == tasks.RUNNING:
        task.step()
    assert task.state == tasks.CANCELLED
    assert "2 of 7 views are kept" in task.message
    assert len(list(Path(settings.dataset_path).glob("*_train/*/pose/*.txt"))) == 2
    assert bpy.ops.srn.capture_views() == {"FINISHED"}
    assert len(list(Path(settings.dataset_path).glob("*_train/*/pose/*.txt"))) == 6


def test_saving_during_a_capture_saves_the_scene_as_it_was(settings, tmp_path: Path) -> None:
    objects, source = what_to_capture(bpy.context)
    plan = CaptureSettings(tmp_path / "dataset", train_views=4, val_views=0, test_views=0, size=16, samples=1)
    task = CaptureTask(capture_steps(bpy.context.scene, [Instance("cube", source, objects)], plan))
    tasks.Task.latest["capture"] = task
    step_until(task, lambda: task.fraction > 0)
    assert len(bpy.data.scenes) == 2
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"), copy=True)
    assert task.state == tasks.CANCELLED and "1 of 4 views are kept" in task.message
    with bpy.data.libraries.load(str(tmp_path / "saved.blend")) as (saved, _):
        assert list(saved.scenes) == ["Scene"] and list(saved.cameras) == ["Camera"]


def test_a_capture_that_saving_ends_says_what_went_wrong_with_the_disk(settings, tmp_path: Path) -> None:
    task = begin_capture(bpy.context)
    tasks.Task.latest[task.kind] = task
    step_until(task, lambda: task.fraction > 0)
    manifest = Path(settings.dataset_path) / "dataset.json"
    manifest.unlink()
    manifest.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"), copy=True)
    assert task.state == tasks.FAILED and "cannot be written" in task.message


def test_the_status_bar_of_each_workspace_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str | None]] = []
    workspace = bpy.types.WorkSpace
    say = workspace.status_text_set

    def note(self, text: str | None) -> None:
        assert bpy.context.workspace == self  # whose status bar Blender changes
        said.append((self.name, text))
        say(self, text)

    monkeypatch.setattr(workspace, "status_text_set", note)
    task = tasks.EngineTask(lambda: None)
    held = HeldWindow(bpy.context, 0.1)
    for name in ("Layout", "Modeling", "Layout"):
        with bpy.context.temp_override(workspace=bpy.data.workspaces[name]):
            held.show(bpy.context, task)
    text = "The engine is starting. (0%)   |   Esc: Cancel"
    assert said == [("Layout", text), ("Modeling", text)]
    said.clear()
    held.release()
    assert said == [("Layout", None), ("Modeling", None)]
    assert HeldWindow.all == []


def test_clock_reads_as_people_do() -> None:
    assert [panel_parts.clock(seconds) for seconds in (-1, 0.4, 42.4, 200, 7500)] == [
        "0 s",
        "0 s",
        "42 s",
        "3 min 20 s",
        "2 h 5 min",
    ]


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> Path:
    found = next((path for path in INTERPRETERS if path.exists()), None)
    if found is None:
        pytest.skip("no .venv/engine beside the checkout")
    monkeypatch.setenv("SRN_ENGINE_PYTHON", str(found))
    return found


def test_an_interpreter_without_the_engine_gets_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SRN_ENGINE_PYTHON", sys.executable)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="install the engine into it"):
        bpy.ops.srn.engine_start()
    assert tasks.Task.latest["engine"].state == tasks.FAILED
    assert bpy.ops.srn.engine_start.poll(), "it can be tried again"


def test_a_cancelled_training_keeps_what_it_learned(settings, interpreter: Path) -> None:
    from srn_blender.ui.train_operators import begin_training

    bpy.ops.srn.capture_views()
    settings.seconds = 300.0
    task = begin_training(bpy.context)
    tasks.Task.latest[task.kind] = task
    step_until(task, lambda: "Step" in task.message)
    bpy.ops.srn.cancel()
    step_until(task, lambda: task.state != tasks.RUNNING)
    assert task.state == tasks.CANCELLED
    assert "kept" in task.message
    assert bpy.ops.srn.render_view() == {"FINISHED"}


def step_until(task: tasks.Task, reached) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline, task.message
        task.step()
        time.sleep(task.pause)


def test_the_whole_loop(settings, interpreter: Path) -> None:
    assert interpreter_of(bpy.context) == str(interpreter)
    scene = bpy.context.scene
    bpy.ops.srn.capture_views()
    assert "7 views are captured" in tasks.Task.latest["capture"].message
    assert bpy.ops.srn.train() == {"FINISHED"}, "starts the engine by itself"
    assert "PSNR" in tasks.Task.latest["train"].message
    assert engine().state == "ready"
    offered = settings.bl_rna.properties["preset"].enum_items.keys()
    assert offered == engine().info["presets"], "no preset that the engine lacks, and none that it has is left out"
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    colour = bpy.data.images[images.COLOUR]
    assert tuple(colour.size) == (64, 48)
    assert colour.preview.image_size[:] == (64, 48)
    assert view.is_of(view.seen_by(scene, scene.camera))
    pixels = images.pixels_of(colour)
    assert pixels[24, 32, 3] > 0.5 and pixels[0, 0, 3] < 0.5, "the cube in the middle, nothing in the corner"
    hit = images.pixels_of(bpy.data.images[images.DEPTH])[24, 32, 0]
    assert hit == pytest.approx(scene.camera.location.length - 1.0, abs=1.0), "in Blender units"
    assert bpy.ops.srn.compare() == {"FINISHED"}
    assert compositor.is_built(scene)
    assert view.strangers(scene) == []
    bpy.ops.mesh.primitive_plane_add(size=20.0)
    assert view.strangers(scene) == ["Plane"]
    again_with_another_camera(scene)
    bpy.ops.srn.engine_stop()
    assert engine().state == "stopped"


def again_with_another_camera(scene) -> None:
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    other.location = (0.0, 0.0, 12.0)
    bpy.context.view_layer.update()
    dataset = Path(settings_of(scene).dataset_path)
    dataset.rename(dataset.with_name("elsewhere"))  # a run needs nothing but its own folder
    bpy.ops.srn.render_view(camera="Other")
    assert not view.is_of(view.seen_by(scene, scene.camera))
    depth = images.pixels_of(bpy.data.images[images.DEPTH])[24, 32, 0]
    assert depth == pytest.approx(11.0, abs=1.0)
    before = images.pixels_of(bpy.data.images[images.COLOUR]).copy()
    other.data.type = "ORTHO"
    with pytest.raises(RuntimeError, match="Perspective"):
        bpy.ops.srn.render_view(camera="Other")
    with pytest.raises(RuntimeError, match="none named 'Missing'"):
        bpy.ops.srn.render_view(camera="Missing")
    np.testing.assert_array_equal(images.pixels_of(bpy.data.images[images.COLOUR]), before)


def test_a_script_that_never_unregisters_ends_well() -> None:
    code = "import bpy, srn_blender; srn_blender.register()"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
