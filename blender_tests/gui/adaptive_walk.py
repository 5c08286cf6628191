"""Captures adaptively in a real Blender window, with the extension and a real engine, and cancels in the middle."""

import json
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

from bl_ext.user_default.srn.ui import adaptive_panel, tasks
from walking import OUT, end_of, gui, open_tab, picture, press_button, settings, shot, unfold, use_engine, wait_for


def task():
    return tasks.Task.latest["capture"]


def captured():
    return json.loads((OUT / "set" / "dataset.json").read_text("utf-8"))["splits"]["train"]["captured"]


def walk():
    yield 1.0
    unfold(adaptive_panel.SRN_PT_adaptive)
    use_engine()
    chosen = settings()
    chosen.dataset_path, chosen.size, chosen.samples = str(OUT / "set"), 32, 1
    chosen.val_views, chosen.test_views = 0, 2
    chosen.first_views, chosen.batch, chosen.most_views, chosen.ask_seconds = 5, 2, 9, 3.0
    bpy.context.scene.cycles.use_denoising = False  # some builds have no denoiser
    yield from open_tab()
    shot("01_settings")

    yield from press_button("srn.capture_adaptively")
    yield from wait_for(lambda: "Asking where" in task().message, 120, "a question to the engine")
    yield 1.0
    shot("02_asking")
    gui.press("ESC", 400, 400)
    yield from end_of("capture", 20, tasks.CANCELLED)
    assert "Capture Adaptively goes on" in task().message and captured() == 5

    yield from press_button("srn.capture_adaptively")
    yield from end_of("capture", 200)
    assert captured() == 9
    yield from picture("03_done")


gui.run(walk())
