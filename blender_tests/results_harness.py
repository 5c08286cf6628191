"""A small run that several tests share: a ball of two colours, captured and trained once in this process."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bpy
import pytest

import srn_blender
from blender_tests.engine_harness import ROOT, engine_interpreter
from blender_tests.scenes import add_ball, add_camera, emission
from srn_blender.ui.properties import settings_of

UPPER, LOWER = (0.8, 0.1, 0.05), (0.05, 0.3, 0.9)  # linear
CENTRE, RADIUS = (1.0, -2.0, 0.5), 0.7
STEPS = "60"
_folder = tempfile.TemporaryDirectory(prefix="srn-results-")


@dataclass(frozen=True)
class Trained:
    dataset: Path
    run: Path


def ball_scene() -> bpy.types.Object:
    """A scene with nothing but a ball whose upper half glows in another colour than its lower one, and a camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    ball = add_ball(scene, RADIUS, CENTRE, materials=[emission("upper", UPPER), emission("lower", LOWER)])
    for polygon in ball.data.polygons:
        polygon.material_index = int(polygon.center.z < 0)
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.dither_intensity = 0.0
    scene.view_settings.view_transform = "Standard"
    add_camera(scene, (CENTRE[0], CENTRE[1] - 4.0, CENTRE[2]), (1.5707963, 0.0, 0.0))
    bpy.context.view_layer.update()
    ball.select_set(True)
    bpy.context.view_layer.objects.active = ball
    return ball


@functools.cache
def trained_ball() -> Trained:
    """The ball, captured with the operator and trained; the add-on has to be registered."""
    os.environ["SRN_ENGINE_PYTHON"] = engine_interpreter()
    ball_scene()
    settings = settings_of(bpy.context.scene)
    made = Trained(Path(_folder.name) / "dataset", Path(_folder.name) / "run")
    settings.dataset_path, settings.run_path = str(made.dataset), str(made.run)
    settings.train_views, settings.val_views, settings.test_views = 24, 1, 3
    settings.size, settings.samples = 64, 4
    assert bpy.ops.srn.capture_views() == {"FINISHED"}
    # By steps, which the operator does not offer: so many seconds of a busy computer teach next to nothing.
    train = [engine_interpreter(), "-m", "srn_engine", "train", made.dataset, "--out", made.run, "--steps", STEPS]
    subprocess.run(train, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return made


def registered(monkeypatch: pytest.MonkeyPatch):
    """For a fixture of a module: the add-on, registered, the ball's scene and its run chosen in it."""
    monkeypatch.setenv("SRN_ENGINE_PYTHON", engine_interpreter())
    srn_blender.register()
    try:
        made = trained_ball()
        ball_scene()
        settings = settings_of(bpy.context.scene)
        settings.dataset_path, settings.run_path = str(made.dataset), str(made.run)
        yield made
    finally:
        srn_blender.unregister()
