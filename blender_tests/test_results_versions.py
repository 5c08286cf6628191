"""A file saved by the oldest Blender opens in this one with the images and the comparison in place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from srn_blender import compat
from srn_blender.results import compositor, images

ROOT = Path(__file__).resolve().parents[1]
OLDEST = [ROOT / ".venv/bpy-4.2" / python for python in ("bin/python", "Scripts/python.exe")]
SAVE = """
import sys
import bpy, numpy as np
from srn_blender.results import compositor, images
bpy.ops.wm.read_factory_settings(use_empty=False)
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.render.dither_intensity = "CYCLES", 1, 0.0
scene.render.resolution_x = scene.render.resolution_y = 32
scene.view_settings.view_transform = "Standard"
neural = np.full((32, 32, 4), (0.2, 0.4, 0.6, 1.0), np.float32)
depth = np.full((32, 32), 2.5, np.float32)
ids = np.ones((32, 32), np.uint8)
images.show({"colour": neural, "depth": depth, "semantic": ids}, 2.0, [[0, 0, 0], [0, 1, 0]])
compositor.build(scene, "WIPE", 0.5)
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


def test_the_oldest_versions_file_composites_here(tmp_path: Path) -> None:
    python = next((path for path in OLDEST if path.exists()), None)
    if python is None:
        pytest.skip("no .venv/bpy-4.2 beside the checkout")
    saved = tmp_path / "saved.blend"
    # This Blender has put its colour configuration's place there, and the older one cannot read it.
    environment = {name: value for name, value in os.environ.items() if name != "OCIO"}
    subprocess.run([python, "-c", SAVE, str(saved)], cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    scene = bpy.context.scene
    if hasattr(scene.render, "compositor_device"):
        scene.render.compositor_device = "CPU"
    assert compositor.is_built(scene)
    np.testing.assert_array_equal(images.pixels_of(bpy.data.images[images.DEPTH])[..., 0], 5.0)
    wiped = render(scene, tmp_path)
    np.testing.assert_allclose(wiped[:, 20:, :3], np.full((32, 12, 3), (0.2, 0.4, 0.6)), atol=1.01 / 255)
    assert wiped[0, 0, :3].min() > 0.99
    compositor.select(scene, "LABELS")
    assert render(scene, tmp_path)[0, 0, 1] > 0.99
    compositor.remove(scene)
    tree = compat.compositor_tree(scene)
    assert [node.name for node in tree.nodes if node.name.startswith("SRN")] == []
    assert render(scene, tmp_path)[0, 0, 3] < 0.01, "Cycles' own picture again, with its transparent film"


def render(scene: bpy.types.Scene, folder: Path) -> np.ndarray:
    scene.render.filepath = str(folder / "picture.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = images.pixels_of(image).copy()
    bpy.data.images.remove(image)
    return pixels
