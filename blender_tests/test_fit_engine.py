"""A new object from a few views, fitted by a real engine to a class of boxes that was learned for a moment."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.engine_harness import TOKEN, engine_interpreter, poll_until
from blender_tests.scenes import add_camera, add_mesh, emission
from blender_tests.test_fit import put_behind, render
from blender_tests.test_other_computer import Host
from srn_blender.engine.engine import engine
from srn_blender.results import images
from srn_blender.ui import fit_operators, tasks
from srn_blender.ui.properties import settings_of

_folder = tempfile.TemporaryDirectory(prefix="srn-fit-")


def box(scene, name: str, size, colour, location=(0.0, 0.0, 0.0)) -> bpy.types.Object:
    signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    corners = np.array(signs) * np.array(size) / 2
    made = add_mesh(scene, corners, faces, name, [emission(name, colour)])
    made.location = location
    return made


@functools.cache
def class_of_boxes() -> Path:
    os.environ["SRN_ENGINE_PYTHON"] = engine_interpreter()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.cycles.use_denoising = False
    random = np.random.default_rng(0)
    boxes = [
        box(scene, f"Box{n}", random.uniform(0.6, 1.2, 3), random.uniform(0.1, 0.9, 3), (2.0 * n, 0.0, 0.0))
        for n in range(4)
    ]
    bpy.context.view_layer.update()
    for one in boxes:
        one.select_set(True)
    bpy.context.view_layer.objects.active = boxes[0]
    settings = settings_of(scene)
    run = Path(_folder.name) / "boxes"
    settings.dataset_path, settings.run_path = str(run.with_name("set")), str(run)
    settings.instances, settings.labels = "objects", "none"
    settings.train_views, settings.val_views, settings.test_views = 10, 0, 0
    settings.size, settings.samples, settings.seconds = 48, 2, 15.0
    assert bpy.ops.srn.capture_views() == {"FINISHED"}
    assert bpy.ops.srn.train() == {"FINISHED"}
    return run


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The class of boxes as the run in mind, in a scene with another box, selected, and two cameras."""
    monkeypatch.setenv("SRN_ENGINE_PYTHON", engine_interpreter())
    srn_blender.register()
    try:
        run = class_of_boxes()
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
        scene.render.resolution_x = scene.render.resolution_y = 64
        scene.render.film_transparent, scene.view_settings.view_transform = True, "Standard"
        new = box(scene, "New Box", (0.8, 1.0, 0.7), (0.2, 0.7, 0.3), (5.0, 0.0, 1.0))
        for number, (x, y) in enumerate(((0.0, -4.0), (3.0, -2.5))):
            camera = add_camera(scene, (5.0 + x, y, 1.0), (np.pi / 2, 0.0, np.arctan2(x, -y)))
            camera.name = f"View{number}"
        scene.camera = bpy.data.objects["View0"]
        bpy.context.view_layer.update()
        new.select_set(True)
        bpy.context.view_layer.objects.active = new
        settings = settings_of(scene)
        settings.run_path, settings.dataset_path = str(run), str(run.with_name("unused"))
        settings.size, settings.samples = 64, 4
        yield run
    finally:
        srn_blender.unregister()


def test_a_new_object_through_the_scenes_cameras(boxes: Path) -> None:
    scene = bpy.context.scene
    settings = settings_of(scene)  # still those of the class: what is selected is fitted all the same
    settings.collection, settings.instances = bpy.data.collections.new("Class"), "collections"
    assert bpy.ops.srn.fit() == {"FINISHED"}
    said = tasks.Task.latest["fit"].message
    assert said.startswith("Fitted from 2 views: ") and "What no view shows is guessed" in said
    fitted = Path(settings_of(scene).run_path)
    assert fitted == boxes.with_name("boxes-New_Box") and (fitted / "checkpoint.safetensors").is_file()
    described = json.loads((fitted / "run.json").read_text(encoding="utf-8"))
    assert [one["source"] for one in described["instances"]] == ["New Box"]
    np.testing.assert_allclose(described["instances"][0]["centre"], (5.0, 0.0, 1.0), atol=1e-4)
    assert not settings_of(scene).dataset_path.endswith("views"), "the dataset in mind stays"
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    seen = images.pixels_of(bpy.data.images[images.COLOUR])
    truth = render(scene, fitted / "truth.png")
    covered = (seen[..., 3] > 0.5) & (truth[..., 3] > 0.5)
    union = (seen[..., 3] > 0.5) | (truth[..., 3] > 0.5)
    assert covered.sum() > 0.5 * union.sum(), "the box is where it is"
    assert bpy.ops.srn.fit.poll()


def test_a_new_object_from_pictures(boxes: Path, tmp_path: Path) -> None:
    scene, settings = bpy.context.scene, settings_of(bpy.context.scene)
    truth = render(scene, tmp_path / "photo.png")
    put_behind(scene.camera, bpy.data.images.load(str(tmp_path / "photo.png")))
    settings.fit_source, settings.fit_reference = "images", bpy.data.objects["New Box"]
    assert bpy.ops.srn.fit() == {"FINISHED"}
    assert tasks.Task.latest["fit"].message.startswith("Fitted from 1 view: ")
    fitted = Path(settings.run_path)
    assert fitted.name.startswith("boxes-New_Box")
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    seen = images.pixels_of(bpy.data.images[images.COLOUR])
    covered = (seen[..., 3] > 0.5) & (truth[..., 3] > 0.5)
    union = (seen[..., 3] > 0.5) | (truth[..., 3] > 0.5)
    assert covered.sum() > 0.5 * union.sum()


def begun_fit() -> tasks.Task:
    """What Fit New Object starts in a window, to be stepped here."""
    task = tasks.Task.latest["fit"] = fit_operators.SRN_OT_fit.begin(None, bpy.context)
    return task


def open_another_file(task: tasks.Task) -> None:
    """As in a window, where Blender takes the operators away first."""
    task.abandon()
    bpy.ops.wm.read_factory_settings(use_empty=True)


def test_another_file_while_the_views_are_taken_ends_the_fit(boxes: Path) -> None:
    task = begun_fit()
    while not task.fraction:
        task.step()
    open_another_file(task)
    assert (task.state, task.message) == (tasks.CANCELLED, fit_operators.CANCELLED)
    assert not tasks.running("fit") and not tasks.running("capture")
    assert bpy.ops.srn.fit.poll()


def test_a_fit_goes_on_while_another_file_is_opened(boxes: Path) -> None:
    task = begun_fit()
    while not (task._fits and task._now.fraction):
        assert task.state == tasks.RUNNING, task.message
        task.step()
    open_another_file(task)
    assert tasks.running("fit")
    poll_until(engine(), lambda: not tasks.running("fit"), 120.0)  # as the timer does; nobody steps any more
    ended = tasks.Task.latest["fit"]
    assert ended.state == tasks.DONE and ended.message.startswith("Fitted from 2 views: ")
    assert settings_of(bpy.context.scene).run_path == "//srn/run", "another scene"
    assert bpy.ops.srn.fit.poll()


def test_another_file_before_the_engine_has_the_fit_ends_it(boxes: Path) -> None:
    engine().close(20)
    task = begun_fit()
    while not task._fits:
        task.step()
    open_another_file(task)
    assert tasks.Task.latest["fit"].state == tasks.CANCELLED
    assert bpy.ops.srn.fit.poll()


def test_a_fit_on_another_computer_comes_back(boxes: Path, tmp_path: Path) -> None:
    scene, settings = bpy.context.scene, settings_of(bpy.context.scene)
    engine().close()  # the one here, which may still run
    host = Host(tmp_path / "storage")
    try:
        engine().connect("127.0.0.1", host.port, TOKEN)
        engine().wait_ready(60)
        assert bpy.ops.srn.fit() == {"FINISHED"}
        fitted = Path(settings.run_path)
        assert fitted.parent == boxes.parent and (fitted / "checkpoint.safetensors").is_file()
        assert bpy.ops.srn.render_view(camera=scene.camera.name) == {"FINISHED"}
    finally:
        engine().stop()
        host.kill()


def test_what_is_wrong_is_said_before_anything_is_written(boxes: Path, tmp_path: Path) -> None:
    settings = settings_of(bpy.context.scene)
    beside = sorted(path.name for path in boxes.parent.iterdir())
    settings.fit_source = "images"
    with pytest.raises(RuntimeError, match="Give camera 'View0' a background image"):
        bpy.ops.srn.fit()
    settings.fit_source = "cameras"
    bpy.data.objects["New Box"].select_set(False)
    with pytest.raises(RuntimeError, match="Select the object to fit"):
        bpy.ops.srn.fit()
    one = tmp_path / "one"
    one.mkdir()
    described = json.loads((boxes / "run.json").read_text(encoding="utf-8"))
    described["preset"]["kind"] = "fast"
    (one / "run.json").write_text(json.dumps(described), encoding="utf-8")
    settings.run_path = str(one)
    with pytest.raises(RuntimeError, match="Choose a run of several objects"):
        bpy.ops.srn.fit()
    assert sorted(path.name for path in boxes.parent.iterdir()) == beside
    assert bpy.ops.srn.fit.poll() and not tasks.running("capture")
