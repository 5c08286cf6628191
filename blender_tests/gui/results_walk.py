"""Looks at what comes back in a real Blender window, with the extension installed: compares, measures, extracts."""

import sys
import time
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from bl_ext.user_default.srn.results import images, view
from bl_ext.user_default.srn.ui import (
    compare_live,
    fit_panel,
    geometry_panel,
    report_operators,
    report_panel,
    tasks,
)
from walking import (
    LIMIT,
    OUT,
    end_of,
    gui,
    open_tab,
    picture,
    press_button,
    run,
    scroll_by,
    settings,
    unfold,
    use_engine,
    wait_for,
)

BOTTOM = 80  # notches of the wheel that reach the end of the tab from anywhere
longest = {"tick": 0.0, "render": 0.0}  # seconds of processor time of one call


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
    use_engine()
    two_colours()
    scene = bpy.context.scene
    scene.cycles.use_denoising, scene.cycles.samples = False, 16  # some builds have no denoiser
    scene.render.resolution_x, scene.render.resolution_y = 480, 360
    scene.view_settings.view_transform = "Standard"
    chosen = settings()
    chosen.dataset_path, chosen.run_path = str(OUT / "dataset"), str(OUT / "run")
    chosen.train_views, chosen.val_views, chosen.test_views = 14, 1, 2
    chosen.size, chosen.samples, chosen.seconds = 64, 4, 15.0
    if not (OUT / "run" / "run.json").is_file():
        run(bpy.ops.srn.capture_views, "INVOKE_DEFAULT")
        yield from end_of("capture", 240)
        run(bpy.ops.srn.train, "INVOKE_DEFAULT")
        yield from end_of("train", 240)
    run(bpy.ops.srn.render_view, "INVOKE_DEFAULT")
    yield from end_of("render", 60)


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
    yield from scroll_by(BOTTOM)
    for number, mode in enumerate(("WIPE", "DIFFERENCE", "DEPTH", "DEPTH_ERROR", "LABELS", "MASK")):
        settings().compare_mode = mode
        if mode == "MASK":
            settings().compare_class = "red"
        yield 1.5  # with a compositor open the picture follows by itself
        yield from scroll_by(BOTTOM)  # the panel has grown
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
    yield from end_of(compare_live.KIND, 60)
    yield from rendered()
    assert view.is_of(view.seen_by(scene, scene.camera))
    assert bpy.data.is_dirty == dirty and not bpy.data.images[images.COLOUR].is_dirty
    told = {what: f"{1000 * seconds:.1f} ms" for what, seconds in longest.items()}
    gui.log("at most, of the processor; render is Blender's own start of one:", told)
    assert longest["tick"] < LIMIT
    yield from picture("08_live")
    settings().compare_live = False
    yield 0.3


def report():
    yield from scroll_by(BOTTOM)
    yield from press_button("srn.report(")
    yield from wait_for(lambda: tasks.running("report"), 10, "the report's start")
    yield from end_of("report", 200)
    yield from scroll_by(BOTTOM)
    yield from picture("09_report_made")
    assert report_operators.page_of(bpy.context.scene) is not None
    assert report_operators.means_of(bpy.context.scene)["psnr"] > 10


def extract():
    settings().mesh_resolution = 64
    yield from press_button("srn.extract_geometry(")
    yield from end_of("geometry", 120)
    made = bpy.data.objects["Cube Surface"]
    bpy.data.objects["Cube"].hide_set(True)
    gui.area().spaces.active.shading.color_type = "VERTEX"
    corners = np.array([made.matrix_world @ vertex.co for vertex in made.data.vertices])
    assert np.abs(np.abs(corners).max(0) - 1.0).max() < 0.25, "where the cube is, and as large"
    yield from scroll_by(BOTTOM)
    yield from picture("10_extracted")
    bpy.ops.ed.undo()
    yield 0.5
    assert "Cube Surface" not in bpy.data.objects, "one step back takes it away"
    yield from picture("11_undone")


def walk():
    unfold(report_panel.SRN_PT_report, fit_panel.SRN_PT_fit, geometry_panel.SRN_PT_geometry)
    yield 1.0
    yield from prepare()
    yield from open_tab()
    yield from compare()
    yield from live()
    yield from report()
    yield from extract()


gui.run(walk())
