"""Clicks through the tab SRN in a real Blender window, with the extension installed, and takes pictures.

    blender --enable-event-simulate -P click_through.py -- DRIVER INTERPRETER OUT

DRIVER: folder of gui_driver.py. INTERPRETER: the Python that the engine is installed in. OUT: an empty folder.
Ends with exit status 0 when every step did what it should. test_windows.py starts it.
"""

import sys
from pathlib import Path

import bpy
import numpy as np

DRIVER, INTERPRETER, OUT = (Path(argument) for argument in sys.argv[sys.argv.index("--") + 1 :])
sys.path.insert(0, str(DRIVER))

import gui_driver as gui  # noqa: E402
from bl_ext.user_default.srn.capture.labels import class_colour  # noqa: E402
from bl_ext.user_default.srn.engine.engine import engine  # noqa: E402
from bl_ext.user_default.srn.ui import tasks  # noqa: E402

VIEWS = 8


def wait_for(condition, seconds, what):
    waited = 0.0
    while not condition():
        if waited > seconds:
            latest = {kind: task.message for kind, task in tasks.Task.latest.items()}
            raise RuntimeError(f"{what} did not happen within {seconds} s: {engine().message} {latest}")
        yield 0.1
        waited += 0.1


def press_button(operator):
    place = yield from gui.find_button(operator)
    gui.click(*place)
    yield 0.3


def ended(kind):
    return lambda: kind in tasks.Task.latest and tasks.Task.latest[kind].state != tasks.RUNNING


def picture(name):
    # The pointer away from the buttons, so that no tooltip covers them.
    gui.move(400, 400)
    yield 0.6
    gui.screenshot(str(OUT / f"{name}.png"))


def expect_state(kind, state):
    task = tasks.Task.latest[kind]
    gui.log(kind, task.state, task.message)
    assert task.state == state, f"{kind} is {task.state}, not {state}: {task.message}"


def settings():
    return bpy.context.scene.srn


def start_engine():
    preferences = bpy.context.preferences.addons["bl_ext.user_default.srn"].preferences
    preferences.source = "INTERPRETER"
    yield from picture("02_engine_without_interpreter")
    preferences.interpreter = str(INTERPRETER)
    yield 0.3
    yield from press_button("srn.engine_start")
    yield from wait_for(lambda: engine().state in ("ready", "failed"), 90, "the engine's start")
    yield from picture("03_engine_ready")
    assert engine().state == "ready", engine().message


def capture():
    scene = settings()
    scene.dataset_path, scene.run_path = str(OUT / "dataset"), str(OUT / "run")
    scene.train_views, scene.val_views, scene.test_views = VIEWS, 1, 1
    scene.size, scene.samples = 64, 4
    bpy.context.scene.cycles.use_denoising = False  # some builds have no denoiser
    yield from press_button("srn.capture_views")
    yield from wait_for(lambda: tasks.Task.latest["capture"].fraction >= 0.2, 60, "the first views")
    gui.press("ESC", 400, 400)
    yield from wait_for(ended("capture"), 10, "the cancelled capture's end")
    expect_state("capture", tasks.CANCELLED)
    kept = len(list((OUT / "dataset").glob("*_train/*/pose/*.txt")))
    assert 0 < kept < VIEWS, f"{kept} views are kept"
    yield from picture("04_capture_cancelled")
    yield from press_button("srn.capture_views")
    yield from wait_for(lambda: tasks.Task.latest["capture"].fraction >= 0.7, 60, "more views")
    gui.screenshot(str(OUT / "05_capture_running.png"))
    yield from wait_for(ended("capture"), 60, "the capture's end")
    expect_state("capture", tasks.DONE)
    yield from picture("06_captured")
    assert len(list((OUT / "dataset").glob("*_train/*/pose/*.txt"))) == VIEWS


def pixels_like(name, colour):
    """The share of a picture's pixels that have this sRGB colour."""
    image = bpy.data.images.load(str(OUT / f"{name}.png"))
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return (np.abs(pixels.reshape(-1, 4)[:, :3] - colour) < 0.03).all(1).mean()


def run(operator, *how):
    with bpy.context.temp_override(window=gui.window(), area=gui.area(), region=gui.region("WINDOW")):
        operator(*how)


def show_labels():
    yield from picture("12_without_labels")
    run(bpy.ops.srn.label_preview)
    yield from picture("13_labels")
    colour = class_colour(0)
    assert pixels_like("12_without_labels", colour) < 1e-4 < pixels_like("13_labels", colour), "the cube in its class"
    run(bpy.ops.srn.label_preview)
    yield from picture("14_without_labels_again")
    assert pixels_like("14_without_labels_again", colour) < 1e-4


def inspect():
    run(bpy.ops.srn.inspect, "INVOKE_DEFAULT")
    yield from wait_for(ended("inspect"), 60, "the inspection's end")
    expect_state("inspect", tasks.DONE)
    editor = gui.area("PROPERTIES")
    editor.type = "IMAGE_EDITOR"
    editor.spaces.active.image = bpy.data.images["SRN Inspect"]
    yield 0.5
    with bpy.context.temp_override(window=gui.window(), area=editor, region=gui.region("WINDOW", editor)):
        bpy.ops.image.view_all(fit_view=True)
    yield from picture("15_inspected")
    editor.type = "PROPERTIES"


def train():
    settings().seconds = 25.0
    yield from press_button("srn.train(")  # not the views to train with, srn.train_views
    yield from wait_for(lambda: "train" in tasks.Task.latest, 10, "the button's answer")
    yield from wait_for(lambda: tasks.Task.latest["train"].fraction > 0.3, 90, "a third of the training")
    yield from picture("07_training")
    yield from wait_for(ended("train"), 90, "the training's end")
    expect_state("train", tasks.DONE)
    yield from picture("08_trained")


def render_and_compare():
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = 320, 240
    bpy.context.scene.cycles.samples = 16
    yield from press_button("srn.render_view")
    yield from wait_for(ended("render"), 60, "the neural view")
    expect_state("render", tasks.DONE)
    assert tuple(bpy.data.images["SRN Colour"].size) == (320, 240)
    yield from picture("09_rendered")
    yield 1.0  # the panels move: the thumbnail needs room
    yield from press_button("srn.compare()")
    yield from wait_for(lambda: "SRN Compare" in bpy.data.node_groups, 10, "the comparison")
    yield from picture("10_comparison_built")
    yield from press_button("render.render")
    yield 8.0
    gui.screenshot(str(OUT / "11_comparison.png"))


def walk():
    OUT.mkdir(parents=True, exist_ok=True)
    yield 1.0
    yield from picture("00_before")
    gui.area().spaces.active.show_region_ui = True
    yield from gui.open_sidebar("SRN")
    yield from picture("01_tab")
    yield from start_engine()
    yield from capture()
    yield from show_labels()
    yield from inspect()
    yield from train()
    yield from render_and_compare()


gui.run(walk())
