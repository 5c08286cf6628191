"""The comparison, seen in what the compositor writes: the pixels of a rendered file."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from srn_blender import compat
from srn_blender.capture.camera import flip_axes
from srn_blender.capture.instance import Instance
from srn_blender.capture.passes import load_pixels
from srn_blender.capture.session import capture
from srn_blender.capture.settings import CaptureSettings
from srn_blender.errors import UserError
from srn_blender.results import compositor, images

SIZE = 64


@pytest.fixture
def scene() -> bpy.types.Scene:
    """A bright red cube on a transparent film, cut by the picture's edge nowhere."""
    bpy.ops.wm.read_factory_settings(use_empty=False)
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 4
    scene.cycles.use_denoising = False
    scene.render.dither_intensity = 0.0
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    bpy.context.view_layer.use_pass_z = True
    if hasattr(scene.render, "compositor_device"):
        scene.render.compositor_device = "CPU"
    material = bpy.data.objects["Cube"].active_material
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.8, 0.1, 0.05, 1.0)
    return scene


def render(scene: bpy.types.Scene, path: Path, exr: bool = False) -> np.ndarray:
    """What the scene's compositing gives, (H, W, 4), row 0 at the top: sRGB 8 bit, or linear float from an EXR."""
    settings = scene.render.image_settings
    settings.file_format = "OPEN_EXR" if exr else "PNG"
    settings.color_mode, settings.color_depth = "RGBA", "32" if exr else "8"
    scene.render.filepath = str(path.with_suffix(".exr" if exr else ".png"))
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = images.pixels_of(image).copy()
    bpy.data.images.remove(image)
    return pixels


def cycles_passes(scene: bpy.types.Scene, tmp_path: Path) -> dict[str, np.ndarray]:
    """Cycles' own picture and true depth, in the form in which an engine sends them."""
    colour = render(scene, tmp_path / "cycles")
    tree = compat.compositor_tree(scene)
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene, layers.layer = scene, scene.view_layers[0].name
    output = compat.add_compositor_output(tree)
    tree.links.new(layers.outputs["Depth"], output.inputs[0])
    depth = render(scene, tmp_path / "depth", exr=True)[..., 0]
    tree.nodes.clear()
    depth[depth > 1e9] = 0.0
    return {"colour": colour, "depth": depth}


def show(arrays: dict[str, np.ndarray], scene: bpy.types.Scene, tmp_path: Path, mode: str) -> np.ndarray:
    images.show(arrays, 1.0, [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    compositor.build(scene, mode, depth_range=0.5)
    return render(scene, tmp_path / mode)


def on_white(colour: np.ndarray) -> np.ndarray:
    """sRGB straight alpha over white, laid in linear light as the compositor does; sRGB."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)[..., :3]
    linear = linear * colour[..., 3:] + 1.0 - colour[..., 3:]
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_cycles_own_picture_differs_by_nothing(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    assert 0.1 < (arrays["colour"][..., 3] > 0).mean() < 0.9
    difference = show(arrays, scene, tmp_path, "DIFFERENCE")
    assert difference[..., :3].max() <= 1.0 / 255 + 1e-4
    error = show(arrays, scene, tmp_path, "DEPTH_ERROR")
    assert error[..., :3].max() == 0.0


def test_a_captured_view_loaded_back_is_what_cycles_renders(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """The way of a neural view that is perfect: from the dataset's files through the images into the comparison."""
    root = tmp_path / "dataset"
    scene.view_settings.view_transform = "AgX"  # captured colours do not depend on it
    settings = CaptureSettings(root, train_views=1, val_views=0, test_views=0, size=SIZE, samples=16)
    for _ in capture(scene, [Instance("Cube", "Cube", [bpy.data.objects["Cube"]])], settings):
        pass
    instance = json.loads((root / "dataset.json").read_text(encoding="utf-8"))["instances"][0]
    files = next(root.glob("*_train/Cube"))
    pose = flip_axes(np.loadtxt(files / "pose" / "000000.txt").reshape(4, 4))
    pose[:3, 3] = pose[:3, 3] * instance["scale"] + instance["centre"]
    scene.camera.matrix_world = Matrix(pose.tolist())
    scene.camera.data.lens, scene.camera.data.sensor_width = 50.0, 36.0
    scene.cycles.samples = 16
    scene.view_settings.view_transform = "Standard"
    arrays = {"colour": load_pixels(files / "rgba" / "000000.png")}
    arrays["depth"] = load_pixels(files / "depth" / "000000.exr")[..., 0]
    images.show(arrays, instance["scale"], [[0.0, 0.0, 0.0]])
    compositor.build(scene, "DIFFERENCE", depth_range=0.5)
    assert render(scene, tmp_path / "difference")[..., :3].max() <= 1.0 / 255 + 1e-4
    compositor.select(scene, "DEPTH_ERROR")
    assert render(scene, tmp_path / "error")[..., :3].max() <= 1.0 / 255 + 1e-4


def test_difference_and_depth_error_measure_what_was_changed(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    inside = arrays["colour"][..., 3] == 1.0
    changed = {"colour": arrays["colour"].copy(), "depth": arrays["depth"].copy()}
    changed["colour"][..., 2] = np.where(inside, changed["colour"][..., 2] + 51 / 255, changed["colour"][..., 2])
    changed["depth"][inside] += 0.125
    difference = show(changed, scene, tmp_path, "DIFFERENCE")
    np.testing.assert_allclose(difference[inside][:, 2], 51 / 255, atol=1.01 / 255)
    assert difference[..., :2].max() <= 1.01 / 255
    assert difference[~inside][:, :3].max() <= 1.01 / 255
    error = show(changed, scene, tmp_path, "DEPTH_ERROR")
    srgb_of_a_quarter = 1.055 * 0.25 ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(error[inside][:, 0], srgb_of_a_quarter, atol=1.01 / 255)


def test_wipe_shows_cycles_left_and_neural_right(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    neural = np.zeros((SIZE, SIZE, 4), np.float32)
    neural[...] = (0.0, 0.4, 0.8, 1.0)
    neural[: SIZE // 2] = (0.0, 0.8, 0.0, 0.5)
    wiped = show({"colour": neural}, scene, tmp_path, "WIPE")
    left, right = slice(0, SIZE // 2), slice(SIZE // 2 + 1, SIZE)  # the column in the middle is either's
    np.testing.assert_allclose(wiped[:, left, :3], on_white(arrays["colour"])[:, left], atol=1.6 / 255)
    np.testing.assert_allclose(wiped[:, right, :3], on_white(neural)[:, right], atol=1.6 / 255)


def test_depth_puts_the_two_side_by_side_and_near_is_bright(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    shown = show(arrays, scene, tmp_path, "DEPTH")[..., 0]
    depth = arrays["depth"]
    assert shown[depth == 0].max() == 0.0
    hit = depth > 0
    order = np.corrcoef(depth[hit], shown[hit])[0, 1]
    assert order < -0.9
    assert shown.max() == pytest.approx(1.0, abs=1e-3)


def test_labels_lie_over_cycles(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    arrays["semantic"] = np.zeros((SIZE, SIZE), np.uint8)
    arrays["semantic"][:, :20] = 1
    labelled = show(arrays, scene, tmp_path, "LABELS")
    np.testing.assert_allclose(labelled[:, 20:, :3], on_white(arrays["colour"])[:, 20:], atol=1.6 / 255)
    white = 1.055 * 0.4 ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(labelled[0, 0, :3], (white, 1.0, white), atol=1.01 / 255)


def test_another_mode_of_the_same_tree(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    first = show(arrays, scene, tmp_path, "WIPE")
    compositor.select(scene, "DIFFERENCE")
    assert render(scene, tmp_path / "other")[..., :3].max() <= 1.01 / 255
    compositor.select(scene, "WIPE")
    np.testing.assert_array_equal(render(scene, tmp_path / "again"), first)


def test_the_users_own_tree_stays_and_takes_over_again(scene: bpy.types.Scene, tmp_path: Path) -> None:
    tree = compat.compositor_tree(scene)
    tree.nodes.clear()
    green = tree.nodes.new("CompositorNodeRGB")
    green.outputs[0].default_value = (0.0, 1.0, 0.0, 1.0)
    own = compat.add_compositor_output(tree)
    tree.links.new(green.outputs[0], own.inputs[0])
    before = {node.name for node in tree.nodes}
    grey = {"colour": np.full((SIZE, SIZE, 4), 0.5, np.float32)}
    for _ in range(2):
        images.show(grey, 1.0, [[0.0, 0.0, 0.0]])
        compositor.build(scene, "WIPE", depth_range=0.5)
    assert before < {node.name for node in tree.nodes}
    assert len(tree.nodes) == len(before) + 3
    assert len([group for group in bpy.data.node_groups if group.name.startswith("SRN")]) == 1
    assert render(scene, tmp_path / "ours")[0, -1, 0] > 0.4
    compositor.remove(scene)
    assert {node.name for node in tree.nodes} == before
    np.testing.assert_array_equal(render(scene, tmp_path / "theirs")[0, 0], (0.0, 1.0, 0.0, 1.0))


def test_what_it_changes_in_the_scene_is_said(scene: bpy.types.Scene) -> None:
    scene.render.film_transparent = False
    images.show({"colour": np.zeros((SIZE, SIZE, 4), np.float32)}, 1.0, [[0.0, 0.0, 0.0]])
    assert compositor.build(scene, "WIPE", depth_range=0.5) == ["the film is transparent now"]
    assert scene.render.film_transparent
    assert compositor.build(scene, "WIPE", depth_range=0.5) == []


def test_without_a_neural_view_it_says_what_to_do(scene: bpy.types.Scene) -> None:
    with pytest.raises(UserError, match="Render Neural View first"):
        compositor.build(scene, "WIPE", depth_range=0.5)
    assert not compositor.is_built(scene)
    images.show({"colour": np.zeros((SIZE, SIZE, 4), np.float32)}, 1.0, [[0.0, 0.0, 0.0]])
    with pytest.raises(UserError, match="SRN Labels"):
        compositor.build(scene, "LABELS", depth_range=0.5)
