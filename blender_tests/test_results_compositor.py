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
from srn_blender.results import compare_group, compositor, images

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


def show(
    arrays: dict[str, np.ndarray], scene: bpy.types.Scene, tmp_path: Path, mode: str, chosen: str = ""
) -> np.ndarray:
    images.show(arrays, 1.0, [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    compositor.build(scene, mode, 0.5, ("background", "leg", "Depth") if "semantic" in arrays else (), chosen)
    return render(scene, tmp_path / mode)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def heat(values: np.ndarray) -> np.ndarray:
    """The heat map's sRGB colours (..., 3) of values from 0 to 1, interpolated in linear light as the ramp does."""
    linear = to_linear(compare_group.INFERNO)
    places = np.linspace(0.0, 1.0, len(linear))
    mixed = np.stack([np.interp(values, places, linear[:, channel]) for channel in range(3)], -1)
    return np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)


def cold(picture: np.ndarray) -> bool:
    """Whether no pixel of a heat map shows more than an error of 1/255 at full range FULL_DIFFERENCE."""
    return bool((picture[..., :3] <= heat(np.array(1.01 / 255 / compare_group.FULL_DIFFERENCE)) + 1.01 / 255).all())


def on_white(colour: np.ndarray) -> np.ndarray:
    """sRGB straight alpha over white, laid in linear light as the compositor does; sRGB."""
    linear = to_linear(colour[..., :3])
    linear = linear * colour[..., 3:] + 1.0 - colour[..., 3:]
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_cycles_own_picture_differs_by_nothing(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    assert 0.1 < (arrays["colour"][..., 3] > 0).mean() < 0.9
    difference = show(arrays, scene, tmp_path, "DIFFERENCE")
    assert cold(difference)
    error = show(arrays, scene, tmp_path, "DEPTH_ERROR")
    np.testing.assert_allclose(error[..., :3], np.broadcast_to(heat(np.array(0.0)), error[..., :3].shape), atol=1e-6)


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
    assert cold(render(scene, tmp_path / "difference"))
    compositor.select(scene, "DEPTH_ERROR")
    assert cold(render(scene, tmp_path / "error"))


def test_difference_and_depth_error_measure_what_was_changed(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    inside = arrays["colour"][..., 3] == 1.0
    changed = {"colour": arrays["colour"].copy(), "depth": arrays["depth"].copy()}
    changed["colour"][..., 2] = np.where(inside, changed["colour"][..., 2] + 15 / 255, changed["colour"][..., 2])
    changed["depth"][inside] += 0.125
    difference = show(changed, scene, tmp_path, "DIFFERENCE")
    # The picture has 8 bits, so that each of the three channels may be half a step off.
    steps = np.array([13.5, 15.0, 16.5]) / 255 / 3 / compare_group.FULL_DIFFERENCE
    wanted = heat(steps)
    assert (difference[inside][:, :3] >= wanted.min(0) - 1.6 / 255).all()
    assert (difference[inside][:, :3] <= wanted.max(0) + 1.6 / 255).all()
    assert cold(difference[~inside])
    error = show(changed, scene, tmp_path, "DEPTH_ERROR")
    np.testing.assert_allclose(
        error[inside][:, :3], np.broadcast_to(heat(np.array(0.25)), (inside.sum(), 3)), atol=0.01
    )


def test_a_larger_range_makes_the_same_error_colder(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    arrays["colour"][...] = (0.0, 0.0, 0.0, 1.0)
    far = show(arrays, scene, tmp_path, "DIFFERENCE")
    np.testing.assert_allclose(far[0, 0, :3], heat(np.array(1.0)), atol=1.01 / 255)  # white against black
    compositor.group_node(scene).inputs[compare_group.DIFFERENCE_RANGE].default_value = 2.0
    colder = render(scene, tmp_path / "colder")
    np.testing.assert_allclose(colder[0, 0, :3], heat(np.array(0.5)), atol=1.01 / 255)


def test_the_heat_maps_lightness_grows_with_the_error() -> None:
    colours = heat(np.linspace(0.0, 1.0, 200))
    luminance = to_linear(colours) @ [0.2126, 0.7152, 0.0722]
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)  # CIE L*
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() < 3 * steps.mean(), "and evenly: no edge that is not in the error"


@pytest.mark.parametrize("position", [0.0, 0.25, 0.75, 1.0])
def test_the_wipe_can_be_moved(scene: bpy.types.Scene, tmp_path: Path, position: float) -> None:
    arrays = cycles_passes(scene, tmp_path)
    arrays["colour"][...] = (0.0, 0.4, 0.8, 1.0)
    arrays["depth"][...] = np.linspace(1.0, 2.0, SIZE)[:, None]
    show(arrays, scene, tmp_path, "WIPE")
    compare_group.set_wipe(position)
    row = render(scene, tmp_path / "moved")[0]  # of the background, which Cycles leaves white
    neural = (np.abs(row[:, :3] - (0.0, 0.4, 0.8)) < 2 / 255).all(1)
    edge = round(SIZE * position)
    assert neural[edge + 1 :].all() and not neural[: max(edge - 1, 0)].any()
    compositor.select(scene, "DEPTH")
    depth = render(scene, tmp_path / "depth")[0, :, 0]
    if 0.0 < position < 1.0:
        assert depth[edge + 2 :].min() > 0.99 and depth[: edge - 2].max() < 0.01, "the depths' edge moves with it"


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


def test_each_class_has_a_mask(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    ids = np.zeros((SIZE, SIZE), np.uint8)
    ids[:, :20], ids[50:] = 1, 2
    arrays["semantic"] = ids
    for number, name in enumerate(("background", "leg", "Depth")):
        mask = show(arrays, scene, tmp_path, "MASK", name)
        np.testing.assert_array_equal(mask[..., :3], np.repeat((ids == number)[..., None], 3, -1).astype(np.float32))
    outputs = [socket.name for socket in compositor.group_node(scene).outputs]
    assert outputs == [*compare_group.NEEDED, "Mask background", "Mask leg", "Mask Depth"]


def test_what_a_person_links_to_the_comparison_stays_linked(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    arrays["semantic"] = np.ones((SIZE, SIZE), np.uint8)
    show(arrays, scene, tmp_path, "WIPE")
    tree = compat.compositor_tree(scene)
    own = compat.add_math(tree, "MULTIPLY")
    tree.links.new(compositor.group_node(scene).outputs["Mask leg"], own.inputs[0])
    compositor.build(scene, "WIPE", 0.5, ("background", "leg"))
    (link,) = own.inputs[0].links
    assert (link.from_node.name, link.from_socket.name) == (compare_group.GROUP, "Mask leg")


def test_the_most_classes_that_there_can_be(scene: bpy.types.Scene) -> None:
    images.show({"colour": np.zeros((4, 4, 4)), "semantic": np.zeros((4, 4), np.uint8)}, 1.0, np.zeros((256, 3)))
    compositor.build(scene, "WIPE", 0.5, [f"class {number}" for number in range(256)])
    assert [socket.name for socket in compositor.group_node(scene).outputs][-1] == "Mask class 255"


def test_another_mode_of_the_same_tree(scene: bpy.types.Scene, tmp_path: Path) -> None:
    arrays = cycles_passes(scene, tmp_path)
    first = show(arrays, scene, tmp_path, "WIPE")
    compositor.select(scene, "DIFFERENCE")
    assert cold(render(scene, tmp_path / "other"))
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
