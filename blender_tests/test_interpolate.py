"""The latent slider and animations: whose frames really advance, whoever renders them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blender_tests.engine_harness import ROOT
from blender_tests.render_harness import (
    BOX_CENTRE,
    camera_of,
    directly,
    linear,
    place,
    render,
)
from blender_tests.scenes import read_image
from srn_blender import compat
from srn_blender.results.placed_run import placed_run

FRAMES = 5
RENDER_ONE = """
import sys
import bpy
import srn_blender
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
srn_blender.register()
scene = bpy.context.scene
scene.frame_set(int(sys.argv[2]))
scene.render.filepath = sys.argv[3]
bpy.ops.render.render(write_still=True)
"""


def test_the_slider_mixes_two_instances(scene: Any, run: Path, tmp_path: Path) -> None:
    empty = place(scene, run, second="ball")
    box = render(scene, tmp_path)["Image"]
    empty.srn.blend = 0.5
    mixed = render(scene, tmp_path)["Image"]
    empty.srn.blend = 1.0
    ball = render(scene, tmp_path)["Image"]
    for one, other in ((box, mixed), (mixed, ball), (box, ball)):
        assert np.abs(one - other).max() > 0.1
    empty.srn.instance, empty.srn.second = "ball", ""
    np.testing.assert_array_equal(render(scene, tmp_path)["Image"], ball)


def test_a_mix_is_the_engines_in_the_mean_size(scene: Any, run: Path, tmp_path: Path) -> None:
    empty = place(scene, run, second="ball", blend=0.25)
    scales = placed_run(run).scales
    size = 0.75 * scales["box"] + 0.25 * scales["ball"]
    seen = render(scene, tmp_path)
    raw = directly(run, camera_of(scene), mix={"box": 0.75, "ball": 0.25}, scale=size)
    np.testing.assert_allclose(seen["Image"], linear(raw["colour"]), atol=2e-3)
    hit = raw["depth"] > 0
    np.testing.assert_allclose(seen["Depth"][hit], raw["depth"][hit] * size, rtol=1e-3)
    share = empty.srn.further.add()
    share.instance, share.weight = "ball", 0.5
    more = render(scene, tmp_path)["Image"]
    empty.srn.further.clear()
    empty.srn.blend = 0.5  # 0.75 of the ball beside 0.75 of the box
    np.testing.assert_allclose(more, render(scene, tmp_path)["Image"], atol=1e-5)


def test_a_driver_moves_the_slider(scene: Any, run: Path, tmp_path: Path) -> None:
    empty = place(scene, run, second="ball")
    handle = bpy.data.objects.new("Handle", None)
    scene.collection.objects.link(handle)
    driver = empty.driver_add("srn.blend").driver
    variable = driver.variables.new()
    variable.type, variable.targets[0].id = "TRANSFORMS", handle
    variable.targets[0].transform_type = "LOC_X"
    driver.expression = variable.name
    seen = []
    for x in (0.0, 0.4):
        handle.location.x = x
        seen.append(render(scene, tmp_path)["Image"])
    empty.driver_remove("srn.blend")
    empty.srn.blend = 0.4
    np.testing.assert_allclose(render(scene, tmp_path)["Image"], seen[1], atol=1e-5)
    assert np.abs(seen[0] - seen[1]).max() > 0.05


def animate(scene: Any, empty: Any) -> None:
    """Camera and slider move over FRAMES frames."""
    scene.frame_start, scene.frame_end = 1, FRAMES
    for frame, x, blend in ((1, -1.0, 0.0), (FRAMES, 1.0, 1.0)):
        scene.camera.location.x = BOX_CENTRE[0] + x
        scene.camera.keyframe_insert("location", frame=frame)
        empty.srn.blend = blend
        empty.keyframe_insert("srn.blend", frame=frame)
    for action in bpy.data.actions:
        for curve in compat_curves(action):
            for point in curve.keyframe_points:
                point.interpolation = "LINEAR"


def compat_curves(action: Any) -> list[Any]:
    """The curves of an action: in layers and slots since 5.0."""
    if not compat.IS_5:
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]


def test_every_frame_of_an_animation_is_its_own(scene: Any, run: Path, tmp_path: Path) -> None:
    empty = place(scene, run, second="ball")
    animate(scene, empty)
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(tmp_path / "whole_####")
    bpy.ops.render.render(animation=True)
    frames = [read_image(tmp_path / f"whole_{frame:04d}.png") for frame in range(1, FRAMES + 1)]
    for number, one in enumerate(frames):
        for other in frames[:number]:
            assert (np.abs(one - other).max(-1) > 0.1).sum() > 20, "frames stand still"
    scales = placed_run(run).scales
    for frame, weights in ((2, {"box": 0.75, "ball": 0.25}), (4, {"box": 0.25, "ball": 0.75})):
        scene.frame_set(frame)
        size = sum(weight * scales[name] for name, weight in weights.items())
        raw = directly(run, camera_of(scene), mix=weights, scale=size)["colour"]
        solid = raw[..., 3] > 0.99
        assert solid.sum() > 50
        np.testing.assert_allclose(frames[frame - 1][solid], raw[solid], atol=2.0 / 255)
    the_same_frames_come_from_processes_of_their_own(tmp_path, {2: frames[1], 4: frames[3]})


def the_same_frames_come_from_processes_of_their_own(folder: Path, frames: dict[int, np.ndarray]) -> None:
    """As a farm renders them: one Blender for each frame, which opens the file and renders that alone."""
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    for frame, expected in frames.items():
        path = folder / f"alone_{frame}.png"
        command = [sys.executable, "-c", RENDER_ONE, folder / "scene.blend", str(frame), path]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=120)
        np.testing.assert_allclose(read_image(path), expected, atol=1.0 / 255)
