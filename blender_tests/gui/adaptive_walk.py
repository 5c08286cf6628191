"""Captures adaptively in a real Blender window, with the extension and a real engine, and cancels in the middle.

    blender --enable-event-simulate -P adaptive_walk.py -- DRIVER INTERPRETER OUT

DRIVER: folder of gui_driver.py. INTERPRETER: the Python that the engine is installed in. OUT: an empty folder.
Ends with exit status 0 when every step did what it should. test_windows.py starts it.
"""

import json
import sys
from pathlib import Path

import bpy

DRIVER, INTERPRETER, OUT = (Path(argument) for argument in sys.argv[sys.argv.index("--") + 1 :])
sys.path.insert(0, str(DRIVER))

import gui_driver as gui  # noqa: E402
from bl_ext.user_default.srn.ui import adaptive_panel, tasks  # noqa: E402


def task():
    return tasks.Task.latest["capture"]


def wait_for(condition, seconds, what):
    waited = 0.0
    while not condition():
        assert waited < seconds, f"{what} did not happen: {task().message}"
        yield 0.1
        waited += 0.1


def press():
    place = yield from gui.find_button("srn.capture_adaptively")
    gui.click(*place)
    yield 0.5


def captured():
    return json.loads((OUT / "set" / "dataset.json").read_text("utf-8"))["splits"]["train"]["captured"]


def walk():
    OUT.mkdir(parents=True, exist_ok=True)
    yield 1.0
    adaptive_panel.unregister()  # panels open by a click on their header alone
    adaptive_panel.SRN_PT_adaptive.bl_options = set()
    adaptive_panel.register()
    preferences = bpy.context.preferences.addons["bl_ext.user_default.srn"].preferences
    preferences.source, preferences.interpreter = "INTERPRETER", str(INTERPRETER)
    chosen = bpy.context.scene.srn
    chosen.dataset_path, chosen.size, chosen.samples = str(OUT / "set"), 32, 1
    chosen.val_views, chosen.test_views = 0, 2
    chosen.first_views, chosen.batch, chosen.most_views, chosen.ask_seconds = 5, 2, 9, 3.0
    bpy.context.scene.cycles.use_denoising = False  # some builds have no denoiser
    gui.area().spaces.active.show_region_ui = True
    yield from gui.open_sidebar("SRN")
    gui.screenshot(str(OUT / "01_settings.png"))

    yield from press()
    yield from wait_for(lambda: "Asking where" in task().message, 120, "a question to the engine")
    yield 1.0
    gui.screenshot(str(OUT / "02_asking.png"))
    gui.press("ESC", 400, 400)
    yield from wait_for(lambda: task().state == tasks.CANCELLED, 20, "the end")
    gui.log(task().message)
    assert "Capture Adaptively goes on" in task().message and captured() == 5

    yield from press()
    yield from wait_for(lambda: task().state != tasks.RUNNING, 200, "the rest")
    gui.log(task().message)
    assert task().state == tasks.DONE, task().message
    assert captured() == 9
    yield 1.5  # panels glide into their places
    gui.screenshot(str(OUT / "03_done.png"))


gui.run(walk())
