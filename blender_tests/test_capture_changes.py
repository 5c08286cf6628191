"""What is seen as a change since a capture was cut short, and what is not; what a person does meanwhile."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.scenes import add_ball, emission, everything, small_settings, start_capture
from srn_blender.errors import CaptureChanged, UserError
from srn_blender.ui import tasks
from srn_blender.ui.capture_operator import begin_capture
from srn_blender.ui.long_work import take_step
from srn_blender.ui.properties import settings_of


def settings_for(root: Path, **changes):
    return small_settings(root, train_views=2, val_views=0, test_views=0, size=16, samples=1, **changes)


@pytest.fixture
def ball():
    """With UVs, a colour attribute, a painted texture and a lamp."""
    scene = bpy.context.scene
    material = emission("M", (0.5, 0.2, 0.1))
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.new("Paint", 4, 4)
    curves = material.node_tree.nodes.new("ShaderNodeRGBCurve")
    curves.name = "Curves"
    ball = add_ball(scene, materials=[material], segments=16)
    ball.data.uv_layers.new(name="UVMap")
    ball.data.color_attributes.new("Tint", "FLOAT_COLOR", "POINT")
    scene.world = bpy.data.worlds.new("World")
    scene.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN")))
    bpy.context.view_layer.update()
    return ball


def move_a_uv(ball):
    ball.data.uv_layers["UVMap"].data[3].uv = (0.7, 0.1)


def tint_a_point(ball):
    ball.data.color_attributes["Tint"].data[2].color = (1, 0, 0, 1)


def smooth_the_faces(ball):
    ball.data.polygons.foreach_set("use_smooth", np.zeros(len(ball.data.polygons), bool))


def swap_two_faces_materials(ball):
    ball.data.materials.append(emission("N", (0, 0, 1)))
    ball.data.polygons[5].material_index = 1


def paint_a_pixel(ball):
    image = bpy.data.images["Paint"]
    image.pixels[0] = 0.9
    image.update()


def bend_a_curve(ball):
    mapping = ball.data.materials[0].node_tree.nodes["Curves"].mapping
    mapping.curves[3].points[1].location = (1.0, 0.5)


def turn_the_lamp(ball):
    bpy.data.objects["Lamp"].rotation_euler.x = 1.0


def tint_the_world(ball):
    bpy.context.scene.world.color = (1, 0, 0)


def bounce_less(ball):
    bpy.context.scene.cycles.max_bounces = 1


CHANGES = {
    move_a_uv: "shape of 'Thing'",
    tint_a_point: "shape of 'Thing'",
    smooth_the_faces: "shape of 'Thing'",
    swap_two_faces_materials: "shape of 'Thing'",
    paint_a_pixel: "materials of 'Thing'",
    bend_a_curve: "materials of 'Thing'",
    turn_the_lamp: "lights",
    tint_the_world: "world",
    bounce_less: "render settings",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_a_view_would_show_is_told(ball, tmp_path, change):
    ball.data.polygons.foreach_set("use_smooth", np.ones(len(ball.data.polygons), bool))
    steps = start_capture([ball], settings_for(tmp_path))
    next(steps)
    steps.close()
    change(ball)
    ball.data.update()
    bpy.context.view_layer.update()
    with pytest.raises(CaptureChanged) as caught:
        list(start_capture([ball], settings_for(tmp_path)))
    assert "start anew: since" in str(caught.value) and CHANGES[change] in str(caught.value)
    assert len(list(tmp_path.glob("capture_train/thing/pose/*"))) == 1


def test_what_no_view_shows_is_no_change(ball, tmp_path):
    scene = bpy.context.scene
    steps = start_capture([ball], settings_for(tmp_path))
    next(steps)
    steps.close()
    scene.cycles.preview_samples, scene.cycles.use_preview_denoising = 7, True
    ball.pass_index, ball.data.materials[0].pass_index = 3, 4
    ball.data.polygons[3].select = ball.data.vertices[2].select = True
    ball.data.materials[0].node_tree.nodes["Emission"].location.x += 50
    ball.data.materials[0].use_preview_world = True
    ball.select_set(True)
    ball.name, scene.render.filepath = "Renamed", "//elsewhere"
    assert [item.done for item in start_capture([ball], settings_for(tmp_path))] == [2, 2]


def test_a_change_in_the_middle_of_a_capture_is_told_at_its_end(ball, tmp_path):
    steps = start_capture([ball], settings_for(tmp_path))
    next(steps)
    turn_the_lamp(ball)
    with pytest.raises(CaptureChanged, match="changed while it was captured"):
        list(steps)


def test_an_object_renamed_in_the_middle_goes_on(ball, tmp_path):
    steps = start_capture([ball], settings_for(tmp_path))
    next(steps)
    ball.name = ball.data.name = ball.data.materials[0].name = "Another"
    ball.data.materials[0].name = "M"
    assert [item.done for item in steps] == [2, 2]


@pytest.fixture
def task(ball, tmp_path):
    """A capture as the button starts it, with one of its views taken."""
    srn_blender.register()
    ball.select_set(True)
    settings = settings_of(bpy.context.scene)
    settings.dataset_path = str(tmp_path / "set")
    settings.train_views, settings.val_views, settings.test_views, settings.size, settings.samples = 3, 0, 0, 16, 1
    task = tasks.Task.latest["capture"] = begin_capture(bpy.context)
    while task.fraction == 0:
        take_step(task)
    assert len(bpy.data.scenes) == 2
    yield task
    srn_blender.unregister()
    tasks.Task.latest.clear()


def undo():
    bpy.ops.ed.undo()


def load():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def turn_off():
    srn_blender.unregister()
    srn_blender.register()


@pytest.mark.parametrize(
    ("deed", "why"), [(undo, "undo or redo"), (load, "opening a file"), (turn_off, "turning the add-on off")]
)
def test_what_would_pull_the_scene_away_ends_the_capture(task, deed, why):
    if deed is undo:
        bpy.ops.ed.undo_push(message="one")
        bpy.ops.ed.undo_push(message="two")
    deed()
    assert task.state == tasks.CANCELLED and f"{why}: 1 of 3 views are kept" in task.message
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    assert not [one for one in bpy.data.objects if one.name.startswith("SRN")]
    take_step(task)
    assert task.state == tasks.CANCELLED


def test_what_undo_brings_back_of_a_capture_goes_again(task):
    """A person works on while views are taken; each step back holds the capture's own scenes."""
    bpy.ops.ed.undo_push(message="in the middle")
    while task.state == tasks.RUNNING:
        take_step(task)
    assert task.state == tasks.DONE
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    assert not [one for one in bpy.data.objects if one.name.startswith("SRN")]
    assert not bpy.data.cameras and not [one for one in bpy.data.collections if one.name.startswith("SRN")]
    assert bpy.data.materials["M"].pass_index == 0 and bpy.data.objects["Ball"].pass_index == 0


def test_starting_anew_from_the_panel(task, ball):
    while task.state == tasks.RUNNING:
        take_step(task)
    move_a_uv(ball)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="start anew"):
        bpy.ops.srn.capture_views()
    assert tasks.Task.latest["capture"].changed
    assert bpy.ops.srn.capture_anew() == {"FINISHED"}
    assert "3 views are captured" in tasks.Task.latest["capture"].message


def test_a_full_temporary_folder_is_told_and_leaves_no_trace(ball, tmp_path, monkeypatch):
    before = everything()
    monkeypatch.setattr("tempfile.mkdtemp", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(UserError, match="Free some space"):
        list(start_capture([ball], settings_for(tmp_path)))
    assert everything() == before
