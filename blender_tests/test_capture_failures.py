"""Bad input gets a sentence, leaves nothing half-made, and leaves the scene as it was."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_tests.scenes import (
    add_ball,
    add_camera,
    add_mesh,
    capture_all,
    emission,
    everything,
    small_settings,
    start_capture,
)
from srn_blender.capture.instance import Instance, instance_id
from srn_blender.capture.session import capture
from srn_blender.errors import UserError


def refuse(objects, settings, match):
    before = everything()
    with pytest.raises(UserError, match=match) as caught:
        capture_all(objects, settings)
    assert everything() == before
    assert not settings.root.exists()
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 300
    return sentence


@pytest.fixture
def root(tmp_path):
    return tmp_path / "dataset"


def test_nothing_selected(root):
    refuse([], small_settings(root), "Select the object")


def test_an_empty_mesh(root):
    refuse([add_mesh(bpy.context.scene, [], [])], small_settings(root), "has none to render")


def test_points_and_edges_without_faces(root):
    refuse([add_mesh(bpy.context.scene, [(0, 0, 0), (1, 0, 0)], [])], small_settings(root), "has none to render")


def test_only_a_camera_selected(root):
    refuse([add_camera(bpy.context.scene)], small_settings(root), "'Camera' holds no visible surface")


def test_an_object_hidden_in_renders(root):
    ball = add_ball(bpy.context.scene)
    ball.hide_render = True
    refuse([ball], small_settings(root), "no visible surface")


def test_all_points_in_one_place(root):
    refuse([add_mesh(bpy.context.scene, [(1, 1, 1)] * 3, [(0, 1, 2)])], small_settings(root), "in one place|has none")


def test_an_object_scaled_to_nothing(root):
    ball = add_ball(bpy.context.scene)
    ball.scale = (0, 0, 0)
    bpy.context.view_layer.update()
    refuse([ball], small_settings(root), "in one place")


def test_a_missing_texture_is_named_before_anything_is_rendered(root, tmp_path):
    material = emission("Painted", np.ones(3))
    inner = bpy.data.node_groups.new("Inner", "ShaderNodeTree")
    texture = inner.nodes.new("ShaderNodeTexImage")
    image = bpy.data.images.new("Bark", 4, 4)
    image.source, image.filepath = "FILE", str(tmp_path / "gone.png")
    texture.image = image
    material.node_tree.nodes.new("ShaderNodeGroup").node_tree = inner
    ball = add_ball(bpy.context.scene, materials=[material])
    renders = []
    bpy.app.handlers.render_pre.append(lambda *_: renders.append(1))
    sentence = refuse([ball], small_settings(root), "Bark")
    assert "gone.png" in sentence and not renders


def test_a_packed_or_generated_texture_is_fine(root):
    material = emission("Painted", np.ones(3))
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.new("Generated", 4, 4)
    packed = material.node_tree.nodes.new("ShaderNodeTexImage")
    packed.image = bpy.data.images.new("Packed", 4, 4)
    packed.image.pack()
    packed.image.filepath = "//nowhere.png"
    ball = add_ball(bpy.context.scene, materials=[material], segments=16)
    assert capture_all([ball], small_settings(root))[-1].done == 6


def test_more_classes_than_fit(root):
    scene = bpy.context.scene
    mesh = add_mesh(scene, [(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)]).data
    many = [bpy.data.objects.new(f"Piece {i}", mesh) for i in range(256)]
    for piece in many:
        scene.collection.objects.link(piece)
    refuse(many, small_settings(root, labels="object"), "Set Labels to None")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"train_views": 0}, "Training Views"),
        ({"test_views": -1}, "Training Views"),
        ({"size": 4}, "Size"),
        ({"size": 100_000}, "Size"),
        ({"samples": 0}, "Samples"),
        ({"name": "a/b"}, "Name"),
        ({"engine": "povray"}, "Engine"),
        ({"passes": ("rgba", "smell")}, "Passes"),
        ({"rig": "helix"}, "Rig"),
        ({"labels": "mood"}, "Labels"),
    ],
)
def test_settings_that_make_no_sense(root, change, match):
    refuse([add_ball(bpy.context.scene)], small_settings(root, **change), match)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way", "utf-8")
    refuse([add_ball(bpy.context.scene)], small_settings(tmp_path / "file" / "set"), "Choose another folder")


def change_rig(settings, ball):
    return small_settings(settings.root, seed=5)


def change_material(settings, ball):
    ball.data.materials[0].node_tree.nodes["Emission"].inputs["Color"].default_value = (0, 1, 0, 1)
    return settings


def change_shape(settings, ball):
    ball.data.vertices[0].co.z += 0.5
    return settings


def change_light(settings, ball):
    bpy.data.lights["Lamp"].energy = 99
    return settings


def change_light_colour(settings, ball):
    bpy.data.lights["Lamp"].color = (1, 0.5, 0.5)
    return settings


CHANGES = [change_rig, change_material, change_shape, change_light, change_light_colour]


@pytest.mark.parametrize("change", CHANGES)
def test_a_capture_that_would_look_different_is_not_mixed_in(root, change):
    scene = bpy.context.scene
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    scene.collection.objects.link(lamp)
    ball = add_ball(scene, materials=[emission("M", np.ones(3))], segments=16)
    settings = small_settings(root)
    capture_all([ball], settings)
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    settings = change(settings, ball)
    before = everything()
    with pytest.raises(UserError, match="start anew"):
        capture_all([ball], settings)
    assert everything() == before
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == files


def remove_object(ball):
    bpy.data.objects.remove(ball)


def delete_as_the_user_does(ball):
    with bpy.context.temp_override(selected_objects=[ball]):
        bpy.ops.object.delete()


def load_another_file(ball):
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.mark.parametrize("deed", [remove_object, delete_as_the_user_does, load_another_file])
def test_an_object_deleted_in_the_middle(root, deed):
    scene = bpy.context.scene
    ball = add_ball(scene, materials=[emission("M", np.ones(3))], segments=16)
    add_ball(scene, name="Bystander")
    bpy.data.materials["M"].pass_index = 4
    steps = start_capture([ball], small_settings(root))
    next(steps)
    deed(ball)
    with pytest.raises(UserError, match="was deleted"):
        next(steps)
    assert [s.name for s in bpy.data.scenes] == ["Scene"]
    assert not bpy.data.cameras and "Render Result" not in bpy.data.images
    assert not [group for group in bpy.data.node_groups if group.name.startswith("Comp")]
    if deed is not load_another_file:
        assert bpy.data.materials["M"].pass_index == 4 and "Bystander" in scene.objects
    assert len(list((root / "capture_train/thing/pose").iterdir())) == 1


def test_a_corrupt_view_is_named_when_a_capture_goes_on(root):
    ball = add_ball(bpy.context.scene, segments=16)
    capture_all([ball], small_settings(root))
    broken = root / "capture_train/thing/depth/000001.exr"
    broken.write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"000001\.exr"):
        capture_all([ball], small_settings(root))
    broken.unlink()
    assert capture_all([ball], small_settings(root))[-1].check


def test_ids_are_fit_for_folders():
    assert instance_id("Café chair.001") == "Caf_chair_001"
    assert instance_id("椅子") == "instance" and len(instance_id("a" * 200)) == 64
    assert instance_id("Con") == "_Con" and instance_id("lpt1.") == "_lpt1" and instance_id("Cone") == "Cone"


def test_ids_that_are_one_folder_to_windows_are_refused(root):
    ball = add_ball(bpy.context.scene, segments=16)
    instances = [Instance(name, "Ball", [ball]) for name in ("cup", "Cup")]
    with pytest.raises(UserError, match="an id of its own"):
        list(capture(bpy.context.scene, instances, small_settings(root)))


def test_a_file_with_another_machines_denoiser_and_no_file_extensions_is_captured(root):
    scene, ball = bpy.context.scene, add_ball(bpy.context.scene, segments=16)
    scene.cycles["denoiser"] = 2  # OptiX, as it is saved
    assert scene.cycles.denoiser in ("", "OPTIX")
    scene.render.use_file_extension = False
    settings = small_settings(root, train_views=1, val_views=0, test_views=0, size=16, samples=1)
    assert capture_all([ball], settings)[-1].done == 1


def test_a_negative_frame_is_refused(root):
    bpy.context.scene.frame_set(-5)
    refuse([add_ball(bpy.context.scene, segments=16)], small_settings(root), "frame 0 or a later one")
