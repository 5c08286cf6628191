"""Looks at what comes back in a real Blender window, with the extension installed: compares, measures, extracts.

    blender --enable-event-simulate -P results_walk.py -- DRIVER INTERPRETER OUT

DRIVER: folder of gui_driver.py. INTERPRETER: the Python that the engine is installed in. OUT: an empty folder, or one
that an earlier walk has left its run in. Ends with exit status 0 when every step did what it
should. test_windows.py starts it.
"""

import sys
import time
from pathlib import Path

import bpy
import numpy as np

DRIVER, INTERPRETER, OUT = (Path(argument) for argument in sys.argv[sys.argv.index("--") + 1 :])
sys.path.insert(0, str(DRIVER))

import gui_driver as gui  # noqa: E402
from bl_ext.user_default.srn.engine.engine import engine  # noqa: E402
from bl_ext.user_default.srn.results import images, view  # noqa: E402
from bl_ext.user_default.srn.ui import (  # noqa: E402
    compare_live,
    fit_panel,
    geometry_panel,
    report_operators,
    report_panel,
    tasks,
)

PANELS = (report_panel.SRN_PT_report, fit_panel.SRN_PT_fit, geometry_panel.SRN_PT_geometry)
longest = {"tick": 0.0, "render": 0.0}  # seconds of processor time of one call


def wait_for(condition, seconds, what):
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            latest = {kind: task.message for kind, task in tasks.Task.latest.items()}
            raise RuntimeError(f"{what} did not happen within {seconds} s: {engine().message} {latest}")
        yield 0.1


def done(kind, seconds):
    yield from wait_for(lambda: kind in tasks.Task.latest and not tasks.running(kind), seconds, f"the end of {kind}")
    task = tasks.Task.latest[kind]
    gui.log(kind, task.state, task.message)
    assert task.state == tasks.DONE, task.message


def settings():
    return bpy.context.scene.srn


def run(operator, *how, in_area=None, **what):
    within = in_area or gui.area()
    with bpy.context.temp_override(window=gui.window(), area=within, region=gui.region("WINDOW", within)):
        return operator(*how, **what)


def press_button(operator):
    place = yield from gui.find_button(operator)
    gui.click(*place)
    yield 0.3


def picture(name):
    gui.move(400, 400)  # the pointer away from the buttons, so that no tooltip covers them
    yield 0.6
    gui.screenshot(str(OUT / f"{name}.png"))


def scroll_down():
    side = gui.region("UI")
    for _ in range(80):
        x, y = side.x + side.width // 2, side.y + side.height // 2
        gui.window().event_simulate(type="WHEELDOWNMOUSE", value="PRESS", x=x, y=y)
    yield 0.8


def two_colours():
    """The cube's upper half in another material than the lower one, and nothing but its own light."""
    cube = bpy.data.objects["Cube"]
    cube.data.materials.clear()
    for name, colour in (("red", (0.8, 0.1, 0.05, 1.0)), ("blue", (0.05, 0.2, 0.8, 1.0))):
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = colour
        cube.data.materials.append(material)
    for polygon in cube.data.polygons:
        polygon.material_index = int(polygon.normal.x > 0.5)


def prepare():
    """A trained run and a neural view, by script: other walks press these buttons."""
    preferences = bpy.context.preferences.addons["bl_ext.user_default.srn"].preferences
    preferences.source, preferences.interpreter = "INTERPRETER", str(INTERPRETER)
    two_colours()
    scene = bpy.context.scene
    scene.cycles.use_denoising, scene.cycles.samples = False, 16  # some builds have no denoiser
    scene.render.resolution_x, scene.render.resolution_y = 480, 360
    scene.view_settings.view_transform = "Standard"
    chosen = settings()
    chosen.dataset_path, chosen.run_path = str(OUT / "dataset"), str(OUT / "run")
    chosen.train_views, chosen.val_views, chosen.test_views = 14, 1, 2
    chosen.size, chosen.samples, chosen.seconds = 64, 4, 25.0
    if not (OUT / "run" / "run.json").is_file():
        run(bpy.ops.srn.capture_views, "INVOKE_DEFAULT")
        yield from done("capture", 240)
        run(bpy.ops.srn.train, "INVOKE_DEFAULT")
        yield from done("train", 240)
    run(bpy.ops.srn.render_view, "INVOKE_DEFAULT")
    yield from done("render", 60)


def open_editors():
    """The render in place of the properties, the compositor in place of the timeline."""
    editor = gui.area("PROPERTIES")
    editor.type = "IMAGE_EDITOR"
    others = [area for area in gui.window().screen.areas if area.type not in ("VIEW_3D", "IMAGE_EDITOR", "OUTLINER")]
    others[0].ui_type = "CompositorNodeTree"
    yield 0.5
    return editor


def rendered():
    """Waits for the comparison's render; the picture then is in the image editor."""
    yield 1.0
    yield from wait_for(lambda: not bpy.app.is_job_running("RENDER"), 90, "the render's end")
    yield 1.5


def show_result(editor):
    editor.spaces.active.image = bpy.data.images["Render Result"]
    yield 0.3
    run(bpy.ops.image.view_all, in_area=editor, fit_view=True)
    yield 0.3


def compare():
    editor = yield from open_editors()
    bpy.context.preferences.view.render_display_type = "NONE"
    run(bpy.ops.srn.compare, "INVOKE_DEFAULT")
    run(bpy.ops.render.render, "INVOKE_DEFAULT")
    yield from rendered()
    yield from show_result(editor)
    yield from scroll_down()
    for number, mode in enumerate(("WIPE", "DIFFERENCE", "DEPTH", "DEPTH_ERROR", "LABELS", "MASK")):
        settings().compare_mode = mode
        if mode == "MASK":
            settings().compare_class = "red"
        yield 1.5  # with a compositor open the picture follows by itself
        yield from scroll_down()  # the panel has grown
        yield from picture(f"{number + 1:02d}_{mode.lower()}")
    settings().compare_mode = "WIPE"
    settings().compare_wipe = 0.25
    yield 1.5
    yield from picture("07_wipe_moved")
    settings().compare_wipe = 0.5


def live():
    """Moves the camera: the neural view and the comparison follow by themselves."""
    scene = bpy.context.scene
    tick, render = compare_live.tick, compare_live._render_comparison

    def timed_render():
        began = time.thread_time()
        render()
        longest["render"] = max(longest["render"], time.thread_time() - began)

    def timed_tick(*arguments):
        began, rendered_before = time.thread_time(), longest["render"]
        tick(*arguments)
        own = time.thread_time() - began - (longest["render"] - rendered_before)
        longest["tick"] = max(longest["tick"], own)

    compare_live.tick, compare_live._render_comparison = timed_tick, timed_render
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "scene.blend"))
    settings().compare_live = True
    bpy.ops.wm.save_mainfile()
    yield 1.5
    before = compare_live.KIND in tasks.Task.latest
    assert not before, "nothing has changed yet"
    scene.camera.location.z += 1.5
    scene.camera.rotation_euler.x -= 0.15
    dirty = bpy.data.is_dirty
    yield from done(compare_live.KIND, 60)
    yield from rendered()
    assert view.is_of(view.seen_by(scene, scene.camera))
    assert bpy.data.is_dirty == dirty and not bpy.data.images[images.COLOUR].is_dirty
    told = {what: f"{1000 * seconds:.1f} ms" for what, seconds in longest.items()}
    gui.log("at most, of the processor; render is Blender's own start of one:", told)
    assert longest["tick"] < 0.05
    yield from picture("08_live")
    settings().compare_live = False
    yield 0.3


def report():
    yield from scroll_down()
    yield from press_button("srn.report(")
    yield from wait_for(lambda: tasks.running("report"), 10, "the report's start")
    yield from done("report", 200)
    yield from scroll_down()
    yield from picture("09_report_made")
    assert report_operators.page_of(bpy.context.scene) is not None
    assert report_operators.means_of(bpy.context.scene)["psnr"] > 10


def extract():
    settings().mesh_resolution = 64
    yield from press_button("srn.extract_geometry(")
    yield from done("geometry", 120)
    made = bpy.data.objects["Cube Surface"]
    bpy.data.objects["Cube"].hide_set(True)
    gui.area().spaces.active.shading.color_type = "VERTEX"
    corners = np.array([made.matrix_world @ vertex.co for vertex in made.data.vertices])
    assert np.abs(np.abs(corners).max(0) - 1.0).max() < 0.25, "where the cube is, and as large"
    yield from scroll_down()
    yield from picture("10_extracted")
    bpy.ops.ed.undo()
    yield 0.5
    assert "Cube Surface" not in bpy.data.objects, "one step back takes it away"
    yield from picture("11_undone")


def walk():
    OUT.mkdir(parents=True, exist_ok=True)
    for panel in PANELS:  # open, though they are closed at first
        bpy.utils.unregister_class(panel)
        panel.bl_options = set()
        bpy.utils.register_class(panel)
    yield 1.0
    yield from prepare()
    gui.area().spaces.active.show_region_ui = True
    yield from gui.open_sidebar("SRN")
    yield from compare()
    yield from live()
    yield from report()
    yield from extract()


gui.run(walk())
