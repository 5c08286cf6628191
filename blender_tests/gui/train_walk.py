"""Trains in a real Blender window, with the extension installed, as a person does: watches the preview change, pauses,
goes on, quits in mid-training, opens the file again and goes on; takes pictures.

PART: "quit", then "again".
"""

import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from bl_ext.user_default.srn.engine import pump
from bl_ext.user_default.srn.engine.engine import Engine
from bl_ext.user_default.srn.results import images
from bl_ext.user_default.srn.ui import (
    panels,
    runs_list,
    runs_panel,
    tasks,
    train_panel,
    train_task,
    train_watch,
)
from walking import LIMIT, OUT, PART, gui, open_tab, picture, press_button, run, settings, shot, use_engine, wait_for

FILE = OUT / "scene.blend"
SECONDS = 70.0  # of training in all
PREVIEW = "SRN Preview"
longest: dict[str, tuple[float, float]] = {}  # by function, the most processor time of a call, and its wall time


@contextmanager
def measured(what):
    """Notes how long something takes."""
    began, wall = time.thread_time(), time.perf_counter()
    yield
    took = time.thread_time() - began, time.perf_counter() - wall
    longest[what] = max(longest.get(what, (0.0, 0.0)), took)


def watched(owner, name):
    """Measures each call of a function."""
    function = getattr(owner, name)

    def timed(*arguments, **named):
        with measured(f"{owner.__name__}.{name}".rpartition("srn.")[2]):
            return function(*arguments, **named)

    setattr(owner, name, timed)


def watched_panel(cls):
    """Blender counts the arguments of what it calls."""
    draw = cls.draw

    def timed(self, context):
        with measured(f"{cls.__name__}.draw"):
            draw(self, context)

    cls.draw = timed


def watched_list(cls):
    draw_item = cls.draw_item

    def timed(self, context, layout, data, item, icon, active_data, active_property):
        with measured(f"{cls.__name__}.draw_item"):
            draw_item(self, context, layout, data, item, icon, active_data, active_property)

    cls.draw_item = timed


def watch_calls():
    """Everything of ours that the window calls while a training runs."""
    watched(train_task.TrainTask, "step")
    watched(train_task.TrainTask, "_on_preview")
    watched(Engine, "poll")
    watched_panel(train_panel.SRN_PT_train)
    watched_panel(train_panel.SRN_PT_train_progress)
    watched_list(runs_panel.SRN_UL_runs)
    for module, name in ((train_watch, "_timer"), (panels, "_watch"), (pump, "_pump")):
        bpy.app.timers.unregister(getattr(module, name))
        watched(module, name)
        bpy.app.timers.register(getattr(module, name), persistent=True)


def tell_calls():
    for name, (processor, wall) in sorted(longest.items()):
        gui.log(f"{name}: at most {1e3 * processor:.1f} ms of the processor, {1e3 * wall:.1f} ms by the clock")
    (OUT / f"calls_{PART}.json").write_text(json.dumps(longest, indent=1))
    assert len(longest) > 6 and max(processor for processor, _ in longest.values()) < LIMIT, longest


def training():
    return train_task.latest_training()


def ended():
    return training() is not None and training().state != tasks.RUNNING


def over_white(pixels):
    return pixels[..., :3] * pixels[..., 3:] + 1.0 - pixels[..., 3:]


def shown():
    """The preview that is shown, (H, W, 3) over white; None while there is none."""
    image = bpy.data.images.get(PREVIEW)
    return over_white(images.pixels_of(image)) if image is not None and image.size[0] else None


def has_changed(before):
    return lambda: shown() is not None and (before is None or not np.array_equal(shown(), before))


def make_scene():
    """A monkey in colours, and what Cycles makes of it through the camera, in the preview's size."""
    scene = bpy.context.scene
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.mesh.primitive_monkey_add()
    monkey = bpy.context.object
    for colour in ((0.8, 0.2, 0.1, 1.0), (0.1, 0.3, 0.8, 1.0)):
        material = bpy.data.materials.new("Colour")
        material.diffuse_color = colour
        monkey.data.materials.append(material)
    for polygon in monkey.data.polygons:
        polygon.material_index = int(polygon.center.z > 0.1)
    scene.render.resolution_x, scene.render.resolution_y = 256, 144
    chosen = settings()
    chosen.dataset_path, chosen.run_path = str(OUT / "dataset"), str(OUT / "runs" / "monkey")
    chosen.engine = "workbench"
    chosen.train_views, chosen.val_views, chosen.test_views, chosen.size = 24, 3, 0, 96
    bpy.ops.srn.capture_views()


def open_editor():
    """An empty image editor in place of the properties."""
    editor = gui.area("PROPERTIES")
    editor.type = "IMAGE_EDITOR"
    yield 0.3


def apart(one, other):
    return float(np.abs(one - other).mean())


def train():
    settings().seconds = SECONDS
    yield from press_button("srn.train(")
    yield from wait_for(has_changed(None), 90, "the first preview")
    first = shown()
    yield from picture("01_first_preview")
    yield from wait_for(lambda: training().fraction > 0.2, 90, "a quarter of the training")
    second = shown()
    yield from picture("02_later_preview")
    np.save(OUT / "previews.npy", np.stack([first, second]))
    bpy.context.scene.camera.rotation_euler.z += 0.15
    yield from wait_for(lambda: apart(shown(), second) > 0.02, 30, "the preview through the moved camera")
    yield from picture("03_camera_moved")
    bpy.context.scene.camera.rotation_euler.z -= 0.15
    yield from press_button("srn.train_pause")
    yield from wait_for(ended, 60, "the pause")
    assert training().state == tasks.CANCELLED and "Paused at step" in training().message, training().message
    yield from wait_for(lambda: runs_list.summary_in_mind(bpy.context.scene) is not None, 10, "the run in the list")
    yield 1.5
    yield from picture("04_paused")


def continue_and_quit():
    yield from press_button("srn.train_continue")
    yield from wait_for(
        lambda: training().state == tasks.RUNNING and training().fraction > 0.45, 120, "nearly half of it"
    )
    assert training().history.step > len(training().history.loss.curve) / 50
    yield from picture("05_goes_on")
    tell_calls()
    bpy.ops.wm.save_as_mainfile(filepath=str(FILE))
    bpy.ops.wm.quit_blender()
    yield 60.0  # it quits before that


def go_on_again():
    yield from wait_for(lambda: len(runs_list.runs_of(bpy.context).items) == 1, 20, "the list of runs")
    left = runs_list.summary_in_mind(bpy.context.scene)
    gui.log(left)
    assert left.state == "paused" and 0.45 <= left.fraction < 1.0, "what was learned until Blender was closed"
    yield 1.0
    yield from picture("06_opened_again")
    yield from press_button("srn.train_continue")
    yield from wait_for(has_changed(None), 90, "a preview after the file was opened again")
    yield from wait_for(ended, 120, "the training's end")
    assert training().state == tasks.DONE, training().message
    yield 1.5
    yield from picture("07_trained")
    first, second = np.load(OUT / "previews.npy")
    last = shown()
    gui.log("apart from the last preview:", apart(first, last), apart(second, last))
    assert apart(second, last) < 0.7 * apart(first, last), "the preview sharpens"
    yield from press_button("srn.train_plot")
    yield from wait_for(lambda: "SRN Training" in bpy.data.images, 5, "the plot as an image")
    editor = gui.area("IMAGE_EDITOR")
    run(bpy.ops.image.view_all, in_area=editor, fit_view=True)
    yield from picture("08_plot")


def manage_runs():
    """Renames, begins a new one, and deletes."""
    run(bpy.ops.srn.run_rename, "INVOKE_DEFAULT")
    yield 0.5
    shot("09_rename")
    gui.press("ESC", 800, 900)
    yield 0.5
    run(bpy.ops.srn.run_rename, name="suzanne")
    run(bpy.ops.srn.run_new)
    assert (OUT / "runs" / "suzanne" / "run.json").is_file()
    assert settings().run_path.endswith("suzanne-2"), settings().run_path
    settings().seconds = 8.0
    yield 1.5
    yield from press_button("srn.train(")
    yield from wait_for(lambda: training().state == tasks.RUNNING and training().number is not None, 60, "a second run")
    yield from wait_for(ended, 90, "the second run's end")
    yield 1.5
    yield from picture("10_two_runs")
    settings().active_run = 0
    yield 1.5
    assert settings().run_path.endswith("suzanne"), settings().run_path
    yield from picture("11_other_run_picked")


def walk():
    yield 1.0
    use_engine()
    bpy.context.preferences.system.viewport_aa = "OFF"  # else each change is drawn eight times over
    watch_calls()
    if PART == "quit":
        make_scene()
    yield from open_tab()
    if PART == "quit":
        yield from open_editor()
        yield from train()
        yield from continue_and_quit()
        return
    yield from go_on_again()
    yield from manage_runs()
    tell_calls()
    os.sync()


if PART == "again":  # here, because opening a file ends the driver's timer
    bpy.ops.wm.open_mainfile(filepath=str(FILE))
gui.run(walk())
