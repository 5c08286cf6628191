"""Disturbs captures in a real Blender window, with the extension installed, as people do; takes pictures.

    blender --enable-event-simulate -P interrupted_captures.py -- DRIVER OUT

DRIVER: folder of gui_driver.py. OUT: an empty folder. Ends with exit status 0 when each disturbance got its sentence.
"""

import sys
from pathlib import Path

import bpy

DRIVER, OUT = (Path(argument) for argument in sys.argv[sys.argv.index("--") + 1 :])
sys.path.insert(0, str(DRIVER))

import gui_driver as gui  # noqa: E402
from bl_ext.user_default.srn.ui import tasks  # noqa: E402


def task():
    return tasks.Task.latest["capture"]


def start(name):
    """A capture in a folder of its own, as the button starts it, with a view or two taken."""
    settings = bpy.context.scene.srn
    settings.dataset_path = str(OUT / name)
    settings.train_views, settings.val_views, settings.test_views, settings.size, settings.samples = 20, 0, 0, 48, 1
    for one in bpy.context.scene.objects:
        one.select_set(one.type == "MESH")
    with bpy.context.temp_override(window=gui.window(), area=gui.area(), region=gui.region("WINDOW")):
        bpy.ops.srn.capture_views("INVOKE_DEFAULT")
    waited = 0.0
    while task().fraction < 0.05:
        assert waited < 60 and task().state == tasks.RUNNING, task().message
        yield 0.1
        waited += 0.1


def ended(sentence):
    waited = 0.0
    while task().state == tasks.RUNNING:
        assert waited < 60, task().message
        yield 0.1
        waited += 0.1
    gui.log(task().state, task().message)
    assert sentence in task().message, task().message
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    assert not [one for one in bpy.data.objects if one.name.startswith("SRN")]
    yield 0.3


def act(operator, *how, **what):
    with bpy.context.temp_override(window=gui.window(), area=gui.area(), region=gui.region("WINDOW")):
        return operator(*how, **what)


def walk():
    OUT.mkdir(parents=True, exist_ok=True)
    bpy.context.scene.cycles.use_denoising = False  # some builds have no denoiser
    yield 1.0
    gui.area().spaces.active.show_region_ui = True
    yield from gui.open_sidebar("SRN")
    editor = gui.area("DOPESHEET_EDITOR") if "DOPESHEET_EDITOR" in {a.type for a in gui.window().screen.areas} else None
    editor = editor or gui.area("PROPERTIES")
    editor.type = "IMAGE_EDITOR"
    yield from start("shown")
    gui.screenshot(str(OUT / "01_view_in_image_editor.png"))
    assert editor.spaces.active.image.name == "SRN Capture"
    gui.press("ESC", 400, 400)
    yield from ended("Cancelled:")

    act(bpy.ops.ed.undo_push, message="one")
    act(bpy.ops.ed.undo_push, message="two")
    yield from start("undone")
    act(bpy.ops.ed.undo)
    yield from ended("Ended by undo or redo")
    gui.screenshot(str(OUT / "02_after_undo.png"))

    yield from start("deleted")
    act(bpy.ops.object.delete)
    yield from ended("was deleted")
    gui.screenshot(str(OUT / "03_after_deleting.png"))
    act(bpy.ops.mesh.primitive_monkey_add)
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
