"""Disturbs captures in a real Blender window, with the extension installed, as people do; takes pictures."""

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))

from bl_ext.user_default.srn.ui import tasks
from walking import OUT, gui, open_tab, run, settings, shot, wait_for


def task():
    return tasks.Task.latest["capture"]


def start(name):
    """A capture in a folder of its own, as the button starts it, with a view or two taken."""
    chosen = settings()
    chosen.dataset_path = str(OUT / name)
    chosen.train_views, chosen.val_views, chosen.test_views, chosen.size, chosen.samples = 20, 0, 0, 48, 1
    for one in bpy.context.scene.objects:
        one.select_set(one.type == "MESH")
    run(bpy.ops.srn.capture_views, "INVOKE_DEFAULT")
    yield from wait_for(lambda: task().fraction >= 0.05 or task().state != tasks.RUNNING, 60, "the first view")
    assert task().state == tasks.RUNNING, task().message


def ended(sentence):
    yield from wait_for(lambda: task().state != tasks.RUNNING, 60, "the end")
    gui.log(task().state, task().message)
    assert sentence in task().message, task().message
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    assert not [one for one in bpy.data.objects if one.name.startswith("SRN")]
    yield 0.3


def walk():
    bpy.context.scene.cycles.use_denoising = False  # some builds have no denoiser
    yield 1.0
    yield from open_tab()
    editor = gui.area("DOPESHEET_EDITOR") if "DOPESHEET_EDITOR" in {a.type for a in gui.window().screen.areas} else None
    editor = editor or gui.area("PROPERTIES")
    editor.type = "IMAGE_EDITOR"
    yield from start("shown")
    shot("01_view_in_image_editor")
    assert editor.spaces.active.image.name == "SRN Capture"
    gui.press("ESC", 400, 400)
    yield from ended("Cancelled:")

    run(bpy.ops.ed.undo_push, message="one")
    run(bpy.ops.ed.undo_push, message="two")
    yield from start("undone")
    run(bpy.ops.ed.undo)
    yield from ended("Ended by undo or redo")
    shot("02_after_undo")

    yield from start("deleted")
    run(bpy.ops.object.delete)
    yield from ended("was deleted")
    shot("03_after_deleting")
    run(bpy.ops.mesh.primitive_monkey_add)
    yield 0.5

    yield from start("renamed")
    bpy.context.view_layer.objects.active.name = "Another name"
    with bpy.context.temp_override(window=gui.window()):
        bpy.ops.wm.window_new()  # a second window, closed again, in the middle of a capture
    yield 1.0
    second = bpy.context.window_manager.windows[-1]
    with bpy.context.temp_override(window=second):
        bpy.ops.wm.window_close()
    yield from ended("20 views are captured")

    yield from start("after_all")
    gui.press("ESC", 400, 400)
    yield from ended("Cancelled:")


gui.run(walk())
