"""The render engine SRN without a window: the pixels of every pass, every camera, and what is said where it fails."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

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
from srn_blender.engine.engine import engine
from srn_blender.results.images import MISS


def test_every_pass_reaches_the_compositor(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    seen = render(scene, tmp_path)
    raw = directly(run, camera_of(scene))
    assert 0.15 < (raw["colour"][..., 3] > 0.5).mean() < 0.8
    np.testing.assert_allclose(seen["Image"], linear(raw["colour"]), atol=1e-4)
    hit = raw["depth"] > 0
    np.testing.assert_allclose(seen["Depth"][hit], raw["depth"][hit] * 1.5, rtol=1e-5)
    assert np.median(seen["Depth"][hit]) == pytest.approx(7.0, abs=0.1), "the top of the box lies 7 below the camera"
    nothing = raw["colour"][..., 3] < 0.04
    assert (seen["Depth"][nothing] == np.float32(MISS)).all()
    np.testing.assert_allclose(seen["Normal"][hit], raw["normal"][hit], atol=1e-5)
    assert np.median(seen["Normal"][hit], 0)[2] > 0.7
    np.testing.assert_array_equal(seen["Semantic"][hit], raw["semantic"][hit])
    assert len(np.unique(seen["Semantic"])) >= 2 and (seen["Semantic"][nothing] == 0).all()


def shift_and_fit(scene: Any) -> None:
    data = scene.camera.data
    data.shift_x, data.shift_y, data.sensor_fit, data.sensor_height = 0.1, -0.15, "VERTICAL", 20.0
    scene.camera.rotation_euler = (0.2, 0.1, 0.7)


def portrait_with_pixel_aspect(scene: Any) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 40, 70
    scene.render.pixel_aspect_y = 1.5


def percentage(scene: Any) -> None:
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 133, 99, 50


def cropped_border(scene: Any) -> None:
    border(scene)
    scene.render.use_crop_to_border = True


def border(scene: Any) -> None:
    scene.render.use_border = True
    scene.render.border_min_x, scene.render.border_max_x = 0.3, 0.8
    scene.render.border_min_y, scene.render.border_max_y = 0.1, 0.6


@pytest.mark.parametrize("change", [shift_and_fit, portrait_with_pixel_aspect, percentage, cropped_border])
def test_cameras_see_what_blender_has_them_see(scene: Any, run: Path, tmp_path: Path, change: Any) -> None:
    place(scene, run)
    change(scene)
    seen = render(scene, tmp_path)
    camera = camera_of(scene)
    raw = directly(run, camera)
    assert seen["Image"].shape[:2] == (camera.height, camera.width)
    assert (raw["colour"][..., 3] > 0.5).any()
    np.testing.assert_allclose(seen["Image"], linear(raw["colour"]), atol=2e-3)


def test_the_border_alone_is_rendered(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    whole = render(scene, tmp_path)["Image"]
    border(scene)
    seen = render(scene, tmp_path)["Image"]
    assert seen.shape == whole.shape
    inside = np.zeros(whole.shape[:2], bool)
    inside[48 - int(0.6 * 48) : 48 - int(0.1 * 48), int(0.3 * 64) : int(0.8 * 64)] = True
    np.testing.assert_allclose(seen[inside], whole[inside], atol=2e-3)
    assert not seen[~inside].any()


def test_an_empty_turns_moves_and_scales_its_instance(scene: Any, run: Path, tmp_path: Path) -> None:
    empty = place(scene, run)
    straight = render(scene, tmp_path)
    motion = Matrix.LocRotScale((4.0, -1.0, 2.0), Euler((0.3, -0.8, 2.0)), (2.5, 2.5, 2.5))
    for one in (empty, scene.camera):
        one.matrix_world = motion @ one.matrix_world
    moved = render(scene, tmp_path)
    np.testing.assert_allclose(moved["Image"], straight["Image"], atol=5e-3)
    hit = (straight["Depth"] < 1e9) & (moved["Depth"] < 1e9)
    assert hit.sum() > 0.98 * (straight["Depth"] < 1e9).sum()
    np.testing.assert_allclose(moved["Depth"][hit], 2.5 * straight["Depth"][hit], rtol=2e-2)
    turned = straight["Normal"] @ np.array(motion.to_quaternion().to_matrix()).T
    assert np.median(np.abs(moved["Normal"][hit] - turned[hit])) < 1e-3


def test_two_instances_hide_each_other_by_depth(scene: Any, run: Path, tmp_path: Path) -> None:
    box = place(scene, run)
    alone = render(scene, tmp_path)
    x, y, z = BOX_CENTRE
    ball = place(scene, run, "ball", (x, y, z + 2.5))
    above = render(scene, tmp_path)
    middle = 24, 32
    assert above["Depth"][middle] < alone["Depth"][middle] - 1.0
    assert above["Semantic"][middle] != alone["Semantic"][middle]
    colour = above["Image"][middle]
    assert colour[1] > colour[0] and alone["Image"][middle][0] > alone["Image"][middle][1], "green before red"
    ball.location.z = z - 2.5
    below = render(scene, tmp_path)
    np.testing.assert_allclose(below["Depth"][middle], alone["Depth"][middle], rtol=1e-5)
    assert below["Image"][middle][0] > below["Image"][middle][1]
    box.hide_render = True
    hidden = render(scene, tmp_path)
    assert hidden["Depth"][middle] > alone["Depth"][middle] + 1.0, "the ball alone is left"
    ball.hide_render = True
    assert not render(scene, tmp_path)["Image"].any(), "all are hidden, which is no fault"


def test_instances_of_collections_are_seen(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    seen = render(scene, tmp_path)["Image"]
    collection = bpy.data.collections.new("Boxes")
    empty = scene.objects["Placed box"]
    collection.objects.link(empty)
    scene.collection.objects.unlink(empty)
    parent = bpy.data.objects.new("Parent", None)
    parent.instance_type, parent.instance_collection = "COLLECTION", collection
    scene.collection.objects.link(parent)
    parent.location.x = scene.camera.location.x = 0.7
    scene.camera.location.x += BOX_CENTRE[0]
    np.testing.assert_allclose(render(scene, tmp_path)["Image"], seen, atol=2e-3)


def test_the_standard_view_gives_the_captured_colours_back(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(tmp_path / "still.png")
    bpy.ops.render.render(write_still=True)
    seen, raw = read_image(tmp_path / "still.png"), directly(run, camera_of(scene))["colour"]
    solid = raw[..., 3] > 0.99
    assert solid.sum() > 100
    np.testing.assert_allclose(seen[solid], raw[solid], atol=1.0 / 255)


def test_the_world_lies_behind(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    clear = render(scene, tmp_path)["Image"]
    scene.render.film_transparent = False
    np.testing.assert_allclose(render(scene, tmp_path)["Image"], [0, 0, 0, 1] + clear * [1, 1, 1, 0], atol=1e-5)
    scene.world = bpy.data.worlds.new("World")
    scene.world.use_nodes = True
    node = next(one for one in scene.world.node_tree.nodes if one.bl_idname == "ShaderNodeBackground")
    node.inputs["Color"].default_value, node.inputs["Strength"].default_value = (0.1, 0.2, 0.4, 1.0), 2.0
    over = clear[..., :3] + (1 - clear[..., 3:]) * [0.2, 0.4, 0.8]
    seen = render(scene, tmp_path)["Image"]
    np.testing.assert_allclose(seen[..., :3], over, atol=1e-5)
    assert (seen[..., 3] == 1.0).all()
    scene.world.node_tree.links.clear()
    scene.world.color = (0.3, 0.3, 0.1)
    over = clear[..., :3] + (1 - clear[..., 3:]) * [0.3, 0.3, 0.1]
    np.testing.assert_allclose(render(scene, tmp_path)["Image"][..., :3], over, atol=1e-5)


def test_passes_reach_a_multilayer_file(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_normal = True
    settings = scene.render.image_settings
    if compat.IS_5:
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.filepath = str(tmp_path / "passes.exr")
    bpy.ops.render.render(write_still=True)
    head = (tmp_path / "passes.exr").read_bytes()[:8192]
    layer = scene.view_layers[0].name.encode()
    for channel in (b"Combined.A", b"Depth.Z", b"Normal.Y", b"Semantic.X"):
        assert layer + b"." + channel + b"\0" in head, channel


def refused(scene: Any, tmp_path: Path) -> str:
    """What a render says that cannot be done; it leaves no picture."""
    scene.render.filepath, scene.frame_end = str(tmp_path / "refused_"), 3
    with pytest.raises(RuntimeError) as error:
        bpy.ops.render.render(animation=True)
    assert not list(tmp_path.glob("refused_*")), "an animation ends at once"
    return str(error.value)


def test_an_empty_scene_gets_a_sentence(scene: Any, tmp_path: Path) -> None:
    assert "Place an instance first" in refused(scene, tmp_path)


def test_what_cannot_be_shown_gets_a_sentence(scene: Any, run: Path, tmp_path: Path) -> None:
    empty = place(scene, run, "table")
    assert "Choose another instance for 'Placed table'" in refused(scene, tmp_path)
    empty.srn.instance = "box"
    empty.srn.run_path = str(tmp_path / "gone")
    assert "Train first" in refused(scene, tmp_path)
    empty.srn.run_path = "//run"
    assert "Save the file first" in refused(scene, tmp_path)
    empty.srn.run_path = str(run)
    empty.scale = (1.0, 1.0, 2.0)
    assert "same scale on all axes" in refused(scene, tmp_path)
    empty.scale = (-1.0, -1.0, -1.0)
    assert "same scale on all axes" in refused(scene, tmp_path)


def test_cameras_that_it_cannot_match_get_a_sentence(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    data = scene.camera.data
    data.type = "ORTHO"
    assert "Perspective" in refused(scene, tmp_path)
    data.type, data.dof.use_dof = "PERSP", True
    assert "Depth of Field" in refused(scene, tmp_path)
    data.dof.use_dof = False
    scene.render.resolution_x = 9000
    assert "Lower the resolution" in refused(scene, tmp_path)


def test_an_engine_that_dies_is_told_and_started_again(scene: Any, run: Path, tmp_path: Path) -> None:
    place(scene, run)
    first = render(scene, tmp_path)["Image"]
    scene.render.resolution_x, scene.render.resolution_y = 3000, 2000

    def kill() -> None:
        for child in children():
            os.kill(child, signal.SIGKILL)

    threading.Timer(0.5, kill).start()
    assert "engine" in refused(scene, tmp_path)
    scene.render.resolution_x, scene.render.resolution_y = 64, 48
    np.testing.assert_array_equal(render(scene, tmp_path)["Image"], first)


def children() -> list[int]:
    """The processes that this one has started and that live, the engine among them."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs /proc")
    return [int(child) for listed in Path("/proc/self/task").glob("*/children") for child in listed.read_text().split()]


def test_an_engine_that_cannot_be_started_gets_a_sentence(
    scene: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine().close(20)
    monkeypatch.setenv("SRN_ENGINE_PYTHON", str(tmp_path / "none"))
    place(scene, run)
    assert f"{tmp_path / 'none'} is not there or is no file: choose the Python" in refused(scene, tmp_path)
