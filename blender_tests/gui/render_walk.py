"""Renders with the engine SRN in a real Blender window: orbits in rendered mode, drags the slider, presses F12."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from bl_ext.user_default.srn.capture.instance import Instance
from bl_ext.user_default.srn.capture.session import capture
from bl_ext.user_default.srn.capture.settings import CaptureSettings
from bl_ext.user_default.srn.engine.engine import engine
from bl_ext.user_default.srn.results import render_engine_orders, viewport
from walking import INTERPRETER, LIMIT, OUT, find_in, gui, run, shot, use_engine, wait_for

ROOT = Path(__file__).resolve().parents[2]
draws: list[float] = []
cancelled: list[object] = []  # orders
pictures: list[tuple[float, float]] = []  # when each came, and how sharp it was


def watch():
    """Times each draw of the viewport, and notes the pictures that come."""
    draw, upload = viewport.Viewport.draw, viewport.Viewport._upload

    def timed(self, context, depsgraph):
        began = time.perf_counter()
        draw(self, context, depsgraph)
        draws.append(time.perf_counter() - began)

    def noted(self):
        if self._came is not None:
            pictures.append((time.perf_counter(), self._came[0].factor))
        upload(self)

    def cancel(self):
        cancelled.append(self)
        self.cancel_asked = True

    viewport.Viewport.draw, viewport.Viewport._upload = timed, noted
    render_engine_orders.Order.cancel = cancel


def pixels(name):
    """The viewport's part of a screenshot, (H, W, 3)."""
    image = bpy.data.images.load(str(OUT / f"{name}.png"))
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    region = gui.region("WINDOW")
    return values.reshape(height, width, 4)[region.y : region.y + region.height, region.x : region.x + 1000, :3]


def train():
    scene = bpy.context.scene
    cube = scene.objects["Cube"]
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4, radius=1.0, location=(0, 5, 0))
    ball = bpy.context.object
    for thing, name, colour in ((cube, "Orange", (0.8, 0.2, 0.02, 1)), (ball, "Teal", (0.02, 0.4, 0.3, 1))):
        material = bpy.data.materials.new(name)
        thing.data.materials.clear()
        thing.data.materials.append(material)
        if bpy.app.version < (5, 0):
            material.use_nodes = True
        material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = colour
    scene.cycles.use_denoising = False
    settings = CaptureSettings(OUT / "dataset", train_views=20, val_views=0, test_views=0, size=48, samples=4)
    for _ in capture(scene, [Instance("cube", "Cube", [cube]), Instance("ball", "Ball", [ball])], settings):
        yield 0.001
    program = [INTERPRETER, "-m", "blender_tests.small_run", OUT / "dataset", OUT / "run"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    training = subprocess.Popen(program, cwd=ROOT, env=environment)
    yield from wait_for(lambda: training.poll() is not None, 240, "the training's end")
    assert training.returncode == 0
    bpy.ops.object.select_all(action="SELECT")
    for thing in (cube, ball):
        bpy.data.objects.remove(thing)


def sharp():
    return bool(pictures) and pictures[-1][1] == 1.0 and time.perf_counter() - pictures[-1][0] > 0.5


def begin():
    scene = bpy.context.scene
    scene.srn.run_path = str(OUT / "run")
    scene.render.engine = "SRN"
    scene.view_settings.view_transform = "Standard"
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.2, 0.25, 0.3, 1)
    run(bpy.ops.srn.place_instance)
    use_engine()
    gui.area().spaces.active.shading.type = "RENDERED"
    yield from wait_for(sharp, 120, "a sharp picture")
    gui.move(400, 400)
    yield 0.5
    shot("01_rendered")


def orbit():
    """Turns the view with the middle button, as a person does."""
    del draws[:], pictures[:]
    region = gui.region("WINDOW")
    x, y = region.x + region.width // 2, region.y + region.height // 2
    window = gui.window()
    gui.move(x, y)
    window.event_simulate(type="MIDDLEMOUSE", value="PRESS", x=x, y=y)
    began = time.perf_counter()
    for step in range(60):
        x += 4 if step < 40 else -3
        gui.move(x, y)
        yield 0.03
        if step == 50:
            shot("02_orbiting")
    seconds = time.perf_counter() - began
    window.event_simulate(type="MIDDLEMOUSE", value="RELEASE", x=x, y=y)
    moving = len(pictures)
    gui.log(f"orbiting: {moving / seconds:.1f} pictures a second, {len(draws)} draws in {seconds:.1f} s,")
    gui.log(f"the longest draw {1000 * max(draws):.0f} ms, sharpness {np.mean([f for _, f in pictures]):.2f}")
    yield from wait_for(sharp, 60, "a sharp picture after orbiting")
    shot("03_still")
    gui.log(f"draws: median {1000 * np.median(draws):.1f} ms, longest {1000 * max(draws):.0f} ms")
    assert moving >= 5, "the view follows while it moves"
    assert np.median(draws) < LIMIT


def drag_the_slider():
    empty = bpy.context.object
    empty.srn.second = "ball"
    editor = gui.area("PROPERTIES")
    editor.spaces.active.context = "DATA"
    yield 1.0
    place = yield from find_in(editor, "srn.blend")
    window = gui.window()
    del pictures[:]
    x, y = int(place[0]), int(place[1])
    window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    for _ in range(30):
        x += 3
        gui.move(x, y)
        yield 0.05
    shot("04_slider_dragged")
    window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
    gui.log("blend", empty.srn.blend, "pictures while dragging", len(pictures))
    assert 0.05 < empty.srn.blend <= 1.0 and len(pictures) >= 2
    yield from wait_for(sharp, 60, "a sharp picture of the mix")
    shot("05_mixed")
    changed = np.abs(pixels("05_mixed") - pixels("03_still")).max(-1) > 0.2
    assert changed.sum() > 200, "the slider changes what is seen"
    empty.srn.blend = 0.0
    yield 0.5


def camera_view():
    del pictures[:]
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 640, 480
    scene.camera.data.shift_x = 0.1
    run(bpy.ops.view3d.view_camera)
    yield 1.0
    yield from wait_for(sharp, 60, "a sharp picture through the camera")
    shot("06_camera")
    run(bpy.ops.view3d.view_persportho)
    run(bpy.ops.view3d.view_camera)
    scene.camera.data.type = "ORTHO"
    run(bpy.ops.view3d.view_camera)
    yield 1.0
    shot("07_orthographic")
    scene.camera.data.type = "PERSP"
    yield 1.0


def press_f12():
    run(bpy.ops.render.render, "INVOKE_DEFAULT")
    yield 0.3
    yield from wait_for(lambda: not bpy.app.is_job_running("RENDER"), 120, "the render's end")
    yield 1.0
    shot("08_rendered_by_f12")
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 6000, 6000
    run(bpy.ops.render.render, "INVOKE_DEFAULT")
    yield 1.5
    shot("09_rendering")
    assert bpy.app.is_job_running("RENDER")
    # A simulated Esc does not reach Blender's own break; the cross in the status bar, at the job's right, does.
    began = time.perf_counter()
    del cancelled[:]
    for x in range(gui.window().width // 3, gui.window().width, 8):
        gui.click(x, 10)
        yield 0.05
        if not bpy.app.is_job_running("RENDER"):
            break
    yield 1.0
    shot("10_cancelled")
    gui.log(f"cancelled after {time.perf_counter() - began:.1f} s")
    assert cancelled and not bpy.app.is_job_running("RENDER"), "the render ends where it is cancelled"


def kill_the_engine():
    run(bpy.ops.render.render, "INVOKE_DEFAULT")
    yield 1.0
    for child in engine_processes():
        os.kill(child, signal.SIGKILL)
    yield from wait_for(lambda: not bpy.app.is_job_running("RENDER"), 30, "the lost render's end")
    yield 1.0
    shot("11_engine_killed")
    gui.log(engine().message)
    assert engine().state in ("failed", "starting", "ready")


def engine_processes():
    listed = Path("/proc/self/task").glob("*/children")
    found = [int(child) for one in listed for child in one.read_text().split()]
    return [pid for pid in found if b"srn_engine" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def walk():
    yield 1.0
    watch()
    yield from train()
    yield from begin()
    yield from orbit()
    yield from drag_the_slider()
    yield from camera_view()
    yield from press_f12()
    yield from kill_the_engine()


gui.run(walk())
