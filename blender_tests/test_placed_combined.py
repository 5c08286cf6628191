"""Cycles and the placed instances in one picture: its pixels, in front of an instance and behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_tests.render_harness import BOX_CENTRE, place, render
from blender_tests.scenes import add_plane, emission, read_image
from srn_blender import compat
from srn_blender.results import combined, compositor, images
from srn_blender.ui.properties import settings_of

WHITE, YELLOW = (0.8, 0.8, 0.8), (0.7, 0.6, 0.0)
MIDDLE = 24, 32


@pytest.fixture
def scene(scene: Any, run: Path) -> Any:
    """The placed box, rendered by Cycles, which does not see it; a world without light."""
    place(scene, run)
    return scene


def by_cycles(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 4, False


def wall(scene: Any, colour: tuple[float, float, float], z: float, x: float = 0.0, half: float = 10.0) -> Any:
    plane = add_plane(scene, half, name="Wall", materials=[emission("Wall", colour)])
    plane.location = (BOX_CENTRE[0] + x, BOX_CENTRE[1], z)
    return plane


def still(scene: Any, folder: Path) -> np.ndarray:
    """What the scene's compositing gives: (H, W, 4) scene-linear, premultiplied, row 0 at the top."""
    settings = scene.render.image_settings
    if compat.IS_5:
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    scene.render.filepath = str(folder / "still.exr")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return read_image(folder / "still.exr")


def test_what_is_nearer_lies_in_front(scene: Any, tmp_path: Path) -> None:
    alone = render(scene, tmp_path)["Image"]
    by_cycles(scene)
    assert bpy.ops.srn.combine() == {"FINISHED"}
    np.testing.assert_allclose(still(scene, tmp_path), alone, atol=1e-3)
    back = wall(scene, YELLOW, -3.0)
    expected = alone[..., :3] + (1 - alone[..., 3:]) * YELLOW
    behind = still(scene, tmp_path)
    seen = alone[..., 3] >= 0.06
    np.testing.assert_allclose(behind[seen, :3], expected[seen], atol=5e-3)
    np.testing.assert_allclose(
        behind[alone[..., 3] == 0.0, :3],
        np.broadcast_to(YELLOW, (*alone.shape[:2], 3))[alone[..., 3] == 0.0],
        atol=5e-3,
    )
    assert (behind[..., 3] > 0.999).all()
    wall(scene, WHITE, 3.0, x=10.0)  # nearer, over the right half of the picture
    both = still(scene, tmp_path)
    np.testing.assert_allclose(both[:, 34:, :3], np.broadcast_to(WHITE, both[:, 34:, :3].shape), atol=5e-3)
    np.testing.assert_allclose(both[:, :30], behind[:, :30], atol=5e-3)
    assert back.name in scene.objects


def test_what_is_half_transparent_in_front_lets_the_instance_through(scene: Any, tmp_path: Path) -> None:
    alone = render(scene, tmp_path)["Image"]
    by_cycles(scene)
    bpy.ops.srn.combine()
    tree = wall(scene, WHITE, 3.0).active_material.node_tree
    mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeEmission")
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(shader.outputs[0], mix.inputs[2])
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    scene.cycles.samples = 256
    seen = still(scene, tmp_path)
    veiled = alone[MIDDLE][:3] * 0.5 + np.multiply(WHITE, 0.5)
    np.testing.assert_allclose(seen[MIDDLE][:3], veiled, atol=0.05)


def test_changes_of_the_first_scene_are_followed(scene: Any, tmp_path: Path) -> None:
    by_cycles(scene)
    bpy.ops.srn.combine()
    scene.render.resolution_x, scene.render.resolution_y = 40, 60
    camera = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(camera)
    camera.location, camera.data.shift_x = (BOX_CENTRE[0], BOX_CENTRE[1], 9.0), 0.2
    scene.camera = camera
    seen = still(scene, tmp_path)
    assert seen.shape == (60, 40, 4)
    scene.render.use_compositing = False
    second = combined.second_scene(scene)
    assert second is not None
    second.render.use_compositing = True
    np.testing.assert_allclose(seen, render(second, tmp_path)["Image"], atol=1e-3)


def test_it_is_undone(scene: Any, tmp_path: Path) -> None:
    by_cycles(scene)
    bpy.ops.srn.combine()
    scene.name = "Another Name"
    assert bpy.ops.srn.combine() == {"FINISHED"}
    assert len(bpy.data.scenes) == 2, "once more makes nothing twice"
    assert bpy.ops.srn.combine_remove() == {"FINISHED"}
    assert list(bpy.data.scenes) == [scene] and not combined.is_combined(scene)
    assert not still(scene, tmp_path).any(), "Cycles alone sees nothing"
    scene.render.engine = "SRN"
    with pytest.raises(RuntimeError, match="Choose the scene that Cycles renders"):
        bpy.ops.srn.combine()


def compare(scene: Any) -> None:
    compositor.build(scene, "WIPE", depth_range=0.5)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((combined.combine, combined.remove), (compare, compositor.remove)),
        ((compare, compositor.remove), (combined.combine, combined.remove)),
    ],
    ids=["compared later", "combined later"],
)
def test_a_comparison_in_the_same_scene_stays_whole(scene: Any, tmp_path: Path, first: Any, second: Any) -> None:
    """The one built last is the picture, and the other is it again once that is gone."""
    by_cycles(scene)
    wall(scene, YELLOW, -3.0)
    neural = np.full((48, 64, 4), (0.0, 0.2, 0.8, 1.0), np.float32)
    images.show({"colour": neural}, 1.0, [[0.0, 0.0, 0.0]])
    alone = []
    for build, remove in (first, second):
        build(scene)
        alone.append(still(scene, tmp_path))
        remove(scene)
    assert np.abs(alone[0] - alone[1])[MIDDLE].max() > 0.1 and all(picture.any() for picture in alone)
    first[0](scene)
    second[0](scene)
    np.testing.assert_allclose(still(scene, tmp_path), alone[1], atol=1e-5)
    first[0](scene)
    np.testing.assert_allclose(still(scene, tmp_path), alone[0], atol=1e-5)
    second[0](scene)
    second[1](scene)
    np.testing.assert_allclose(still(scene, tmp_path), alone[0], atol=1e-5)


def test_what_is_linked_later_is_shown_as_well(scene: Any, run: Path, tmp_path: Path) -> None:
    """The Scene Collection is each scene's own, and what lies in it follows by Place Instance and by Combine."""
    by_cycles(scene)
    bpy.ops.srn.combine()
    second: Any = combined.second_scene(scene)
    (box,) = (one for one in second.collection.objects if one.type == "EMPTY")
    scene.collection.objects.unlink(box)
    settings_of(scene).run_path = str(run)
    assert bpy.ops.srn.place_instance(instance="ball") == {"FINISHED"}
    ball = bpy.context.object
    assert set(second.collection.objects) == set(scene.collection.objects) == {ball, scene.camera}
    ball.location = BOX_CENTRE
    seen = still(scene, tmp_path)[MIDDLE]
    assert seen[3] > 0.5 and seen[1] > seen[0], "the green ball, not the red box"
    inner = bpy.data.collections.new("Inner")
    scene.collection.children.link(inner)
    inner.objects.link(ball)
    scene.collection.objects.unlink(ball)
    scene.view_layers[0].layer_collection.children["Inner"].exclude = True
    assert bpy.ops.srn.combine() == {"FINISHED"}
    assert list(second.collection.children) == [inner] and ball.name not in second.collection.objects
    assert not still(scene, tmp_path).any(), "excluded in the first scene, and so in the second"
