"""Clicks through the tab SRN in a real Blender window, with the extension installed, and takes pictures."""

import sys
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from bl_ext.user_default.srn.capture.labels import class_colour
from bl_ext.user_default.srn.engine.engine import engine
from bl_ext.user_default.srn.ui import tasks
from walking import (
    INTERPRETER,
    OUT,
    end_of,
    gui,
    open_tab,
    picture,
    press_button,
    run,
    settings,
    shot,
    so_far,
    wait_for,
)

VIEWS = 8


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
    yield from wait_for(lambda: so_far("capture") >= 0.2, 60, "the first views")
    gui.press("ESC", 400, 400)
    yield from end_of("capture", 10, tasks.CANCELLED)
    kept = len(list((OUT / "dataset").glob("*_train/*/pose/*.txt")))
    assert 0 < kept < VIEWS, f"{kept} views are kept"
    yield from picture("04_capture_cancelled")
    yield from press_button("srn.capture_views")
    yield from wait_for(lambda: so_far("capture") >= 0.7, 60, "more views")
    shot("05_capture_running")
    yield from end_of("capture", 60)
    yield from picture("06_captured")
    assert len(list((OUT / "dataset").glob("*_train/*/pose/*.txt"))) == VIEWS


def pixels_like(name, colour):
    """The share of a picture's pixels that have this sRGB colour."""
    image = bpy.data.images.load(str(OUT / f"{name}.png"))
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return (np.abs(pixels.reshape(-1, 4)[:, :3] - colour) < 0.03).all(1).mean()


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
    yield from end_of("inspect", 60)
    editor = gui.area("PROPERTIES")
    editor.type = "IMAGE_EDITOR"
    editor.spaces.active.image = bpy.data.images["SRN Inspect"]
    yield 0.5
    run(bpy.ops.image.view_all, in_area=editor, fit_view=True)
    yield from picture("15_inspected")
    editor.type = "PROPERTIES"


def train():
    settings().seconds = 15.0
    yield from press_button("srn.train(")  # not the views to train with, srn.train_views
    yield from wait_for(lambda: so_far("train") > 0.3, 90, "a third of the training")
    yield from picture("07_training")
    yield from end_of("train", 90)
    yield from picture("08_trained")


def render_and_compare():
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = 320, 240
    bpy.context.scene.cycles.samples = 16
    yield from press_button("srn.render_view")
    yield from end_of("render", 60)
    assert tuple(bpy.data.images["SRN Colour"].size) == (320, 240)
    yield from picture("09_rendered")
    yield from press_button("srn.compare()")
    yield from wait_for(lambda: "SRN Compare" in bpy.data.node_groups, 10, "the comparison")
    yield from picture("10_comparison_built")
    yield from press_button("render.render")
    yield 8.0
    shot("11_comparison")


def walk():
    yield 1.0
    yield from picture("00_before")
    yield from open_tab()
    yield from picture("01_tab")
    yield from start_engine()
    yield from capture()
    yield from show_labels()
    yield from inspect()
    yield from train()
    yield from render_and_compare()


gui.run(walk())
