"""A capture and its exports through nerfstudio's own loaders; skipped where the engine's Python has no nerfstudio.

What is compared are the rays that nerfstudio makes of each pixel: position, focal length, axes and pixel centres at
once. The loader of NeRF-synthetic in it is that of nerf-pytorch.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests.engine_harness import engine_interpreter
from blender_tests.scenes import add_ball, capture_all, pixel_rays, read_view, small_settings

CENTRE, BALL = np.array((2.0, 3.0, 4.0)), 1.5
# Writes the origin (V, 3) and the directions (V, H, W, 3) of all rays, and the names of the pictures.
LOADER = """
import json, sys
from pathlib import Path
import numpy as np
from nerfstudio.data.dataparsers.{module} import {name}Config
options = json.loads(sys.argv[3])
parser = {name}Config(data=Path(sys.argv[1]), **options).setup()
read = parser.get_dataparser_outputs(split="train")
rays = [read.cameras.generate_rays(camera_indices=n) for n in range(len(read.cameras))]
np.savez(sys.argv[2], origins=np.stack([one.origins.numpy()[0, 0] for one in rays]),
         directions=np.stack([one.directions.numpy() for one in rays]),
         names=[Path(file).name for file in read.image_filenames])
"""
AS_IT_IS = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False}


@pytest.fixture(scope="module")
def interpreter() -> str:
    found = engine_interpreter()
    if subprocess.run([found, "-c", "import nerfstudio"], capture_output=True).returncode != 0:
        pytest.skip("the engine's Python has no nerfstudio")
    return found


@pytest.fixture(scope="module")
def captured(interpreter: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    root = tmp_path_factory.mktemp("captured") / "set"
    ball = add_ball(bpy.context.scene, BALL, CENTRE, segments=16)
    capture_all([ball], small_settings(root, train_views=5, val_views=1, test_views=1, samples=1, labels="none"))
    return root


def load(interpreter: str, root: Path, tmp_path: Path, module: str, name: str, options: dict) -> dict:
    out = tmp_path / "rays.npz"
    script = LOADER.format(module=module, name=name)
    command = [interpreter, "-c", script, root, out, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(out))


def expect_rays(captured: Path, read: dict, order: list[int], centre: np.ndarray, scale: float) -> None:
    """That the loader's rays are the capture's, brought from its units by `centre` and `scale`."""
    assert len(read["origins"]) == len(order)
    for number, index in enumerate(order):
        camera, _ = read_view(captured, "train", index)
        rays = pixel_rays(camera)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        np.testing.assert_allclose(read["origins"][number], camera.position * scale + centre, atol=1e-4)
        np.testing.assert_allclose(read["directions"][number], rays, atol=1e-5)


def test_a_capture_as_nerf_synthetic(captured: Path, interpreter: str, tmp_path: Path) -> None:
    read = load(interpreter, captured, tmp_path, "blender_dataparser", "BlenderDataParser", {})
    assert list(read["names"]) == [f"{number:06d}.png" for number in range(5)]
    expect_rays(captured, read, list(range(5)), np.zeros(3), 1.0)


@pytest.mark.parametrize("layout", ["nerfstudio", "colmap"])
def test_an_export(captured: Path, interpreter: str, tmp_path: Path, layout: str) -> None:
    out = tmp_path / layout
    command = [interpreter, "-m", "srn_engine", "convert", captured, out, "--to", layout, "--device", "cpu"]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).resolve().parents[1])
    if layout == "nerfstudio":
        read = load(interpreter, out, tmp_path, "nerfstudio_dataparser", "NerfstudioDataParser", AS_IT_IS)
        centre, scale = np.zeros(3), 1.0
    else:
        options = {**AS_IT_IS, "colmap_path": "sparse/0", "eval_mode": "all"}
        options["assume_colmap_world_coordinate_convention"] = False  # Blender's axes are the file's
        read = load(interpreter, out, tmp_path, "colmap_dataparser", "ColmapDataParser", options)
        train = [name.startswith("train") for name in read["names"]]
        read = {key: value[train] for key, value in read.items()}
        centre, scale = CENTRE, BALL
    order = [int("".join(filter(str.isdigit, name))) for name in read["names"]]
    expect_rays(captured, read, order, centre, scale)
