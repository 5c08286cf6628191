"""A run with two instances, trained once, and scenes that place them, for what renders with the engine."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

import srn_blender
from blender_tests.engine_harness import ROOT, engine_interpreter, poll_until
from blender_tests.scenes import add_ball, add_camera, add_mesh, emission, read_image
from srn_blender import compat
from srn_blender.capture.camera import Camera, camera_from_blender
from srn_blender.capture.instance import Instance
from srn_blender.capture.session import capture
from srn_blender.capture.settings import CaptureSettings
from srn_blender.engine.engine import engine
from srn_blender.engine.errand import Errand, FolderRead, JobRequest
from srn_blender.engine.jobs import JobCallbacks

BOX_CENTRE, BALL_CENTRE, BALL_RADIUS = (1.0, 2.0, 0.5), (-3.0, 0.0, 0.0), 0.8
BOX_HALF, BOX_SCALE = (1.0, 1.0, 0.5), 1.5  # half its sides, and the radius of the sphere around it
RED, BLUE, GREEN = (0.6, 0.05, 0.02), (0.02, 0.08, 0.5), (0.05, 0.4, 0.1)


def add_box(scene: Any) -> Any:
    """A box with a red top and blue sides."""
    x, y, z = BOX_HALF
    corners = [(sx * x, sy * y, sz * z) for sz in (-1, 1) for sy in (-1, 1) for sx in (-1, 1)]
    faces = [(4, 5, 7, 6), (0, 2, 3, 1), (0, 1, 5, 4), (1, 3, 7, 5), (3, 2, 6, 7), (2, 0, 4, 6)]
    box = add_mesh(scene, corners, faces, name="Box", materials=[emission("Red", RED), emission("Blue", BLUE)])
    for face in box.data.polygons:
        face.material_index = int(face.index > 0)
    box.location = BOX_CENTRE
    return box


def add_both(scene: Any) -> tuple[Any, Any]:
    ball = add_ball(scene, BALL_RADIUS, BALL_CENTRE, "Ball", [emission("Green", GREEN)])
    return add_box(scene), ball


@functools.cache
def trained_run() -> Path:
    """A run that knows the box and the ball, with labels. Needs an empty file, and leaves one."""
    interpreter = engine_interpreter()
    folder = Path(tempfile.mkdtemp(prefix="srn-run-"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    box, ball = add_both(bpy.context.scene)
    settings = CaptureSettings(folder / "dataset", train_views=24, val_views=0, test_views=0, size=40, samples=4)
    for _ in capture(bpy.context.scene, [Instance("box", "Box", [box]), Instance("ball", "Ball", [ball])], settings):
        pass
    run = folder / "run"
    subprocess.run([interpreter, "-m", "blender_tests.small_run", settings.root, run], cwd=ROOT, check=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return run


def answer(request: JobRequest, seconds: float = 60.0) -> dict[str, Any]:
    """The arrays of a job that ends well."""
    ends: list[Any] = []
    callbacks = JobCallbacks(
        lambda news: None, lambda result, arrays: ends.append(dict(arrays)), ends.append, ends.append
    )
    Errand(engine(), request, callbacks)
    poll_until(engine(), lambda: bool(ends), seconds)
    assert isinstance(ends[0], dict), ends
    return ends[0]


@contextmanager
def registered(monkeypatch: Any) -> Iterator[Any]:
    """The add-on, registered, with an engine that it starts where it needs one; the scene is empty but for a camera."""
    monkeypatch.setenv("SRN_ENGINE_PYTHON", engine_interpreter())
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    srn_blender.register()
    try:
        yield prepared_scene()
    finally:
        srn_blender.unregister()


def prepared_scene() -> Any:
    """A scene of 64 x 48 pixels, rendered by SRN, seen from above."""
    scene = bpy.context.scene
    scene.render.engine = "SRN"
    scene.render.resolution_x, scene.render.resolution_y = 64, 48
    scene.render.film_transparent = True
    scene.render.dither_intensity = 0.0
    scene.view_settings.view_transform = "Standard"
    compat.use_cpu_compositor(scene)
    add_camera(scene, (BOX_CENTRE[0], BOX_CENTRE[1], 8.0))
    return scene


def place(scene: Any, run: Path, instance: str = "box", location: Any = BOX_CENTRE, **how: Any) -> Any:
    """An empty that stands for an instance."""
    empty = bpy.data.objects.new(f"Placed {instance}", None)
    scene.collection.objects.link(empty)
    empty.location = location
    empty.srn.run_path, empty.srn.instance = str(run), instance
    for name, value in how.items():
        setattr(empty.srn, name, value)
    return empty


def render(scene: Any, folder: Path) -> dict[str, np.ndarray]:
    """The passes of a render by name, (H, W) or (H, W, 3 or 4), row 0 at the top, as the compositor gets them."""
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = True
    scene.render.use_compositing = True
    tree: Any = compat.own_compositor_tree(scene)
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene, layers.layer = scene, layer.name
    tree.links.new(layers.outputs["Image"], compat.add_compositor_output(tree).inputs[0])
    names = {"Image": "RGBA", "Depth": "RGB", "Normal": "RGB", "Semantic": "RGB"}
    for name, mode in names.items():
        assert layers.outputs[name].enabled, f"the pass {name} reaches the compositor"
        compat.add_file_output(tree, layers.outputs[name], folder, name, "OPEN_EXR", mode)
    bpy.ops.render.render(scene=scene.name)
    arrays = {}
    for name in names:
        (path,) = (path for path in folder.iterdir() if path.name.startswith(name))
        pixels = read_image(path)
        path.unlink()
        arrays[name] = pixels if name == "Image" else pixels[..., :3] if name == "Normal" else pixels[..., 0]
    return arrays


def directly(run: Path, camera: Camera, scale: float = BOX_SCALE, **which: Any) -> dict[str, Any]:
    """What the engine gives for a camera in Blender units, with the box, or what `which` says, in the box's place."""
    seen = camera.normalised(BOX_CENTRE, scale)
    passes = ["colour", "depth", "normal", "semantic"]
    params = {**(which or {"instance": "box"}), "camera": seen.to_json(), "passes": passes}
    return answer(JobRequest("render", params, {"run": FolderRead(run)}))


def camera_of(scene: Any) -> Camera:
    return camera_from_blender(scene, scene.camera)


def linear(colour: np.ndarray) -> np.ndarray:
    """sRGB with straight alpha as premultiplied linear light, (..., 4)."""
    rgb = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)[..., :3]
    return np.concatenate([rgb * colour[..., 3:], colour[..., 3:]], -1)
