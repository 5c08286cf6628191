"""Rigs of cameras that exist, saved poses through a whole capture, and cameras that stand where they should not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

from blender_tests.scenes import (
    add_ball,
    add_camera,
    add_mesh,
    add_plane,
    capture_all,
    everything,
    pixel_rays,
    read_view,
    small_settings,
)
from srn_blender.capture.camera import Camera, camera_from_blender, use_lens
from srn_blender.capture.rigs import plan_rig
from srn_blender.capture.rigs.survey import survey_rig
from srn_blender.capture.settings import CaptureSettings
from srn_blender.errors import UserError

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "dataset.schema.json"
CENTRE, SCALE = np.array([0.5, -1.0, 2.0]), 3.0


def rig_of(**changes):
    """A rig around a made-up instance."""
    return plan_rig(bpy.context.scene, CaptureSettings(Path(), **changes), CENTRE, SCALE)


def scene_of(width, height):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    return scene


def add_cameras(scene, count, seed=0):
    """Cameras with one lens, at random places, in a collection."""
    random = np.random.default_rng(seed)
    collection = bpy.data.collections.new("Cameras")
    scene.collection.children.link(collection)
    data = bpy.data.cameras.new("Lens")
    data.lens, data.sensor_width, data.shift_x, data.shift_y = 41.0, 30.0, 0.12, -0.07
    cameras = []
    for number in range(count):
        camera = bpy.data.objects.new(f"Camera {number}", data)
        camera.location, camera.rotation_euler = random.uniform(-5, 5, 3), random.uniform(-3, 3, 3)
        collection.objects.link(camera)
        cameras.append(camera)
    bpy.context.view_layer.update()
    return cameras


def assert_projects_like(camera, pose, blender_camera):
    """The rig's camera, moved back to Blender's units, projects as Blender does at the scene's own size."""
    scene, render = bpy.context.scene, bpy.context.scene.render
    random = np.random.default_rng(3)
    here = Camera(pose, camera.fl_x, camera.fl_y, camera.cx, camera.cy, camera.width, camera.height)
    for _ in range(20):
        pixel = random.uniform(0, 1, 2) * (camera.width, camera.height)
        point = here.unproject(pixel, random.uniform(0.5, 6)) * SCALE + CENTRE
        x, y, _ = world_to_camera_view(scene, blender_camera, Vector(point))
        factor = max(camera.width, camera.height) / max(render.resolution_x, render.resolution_y)
        theirs = np.array((x * render.resolution_x, (1 - y) * render.resolution_y)) * factor
        assert np.abs(here.project((np.array(Vector(point)) - CENTRE) / SCALE)[:2] - theirs).max() < 0.01


@pytest.mark.parametrize(("width", "height", "size"), [(640, 480, 640), (480, 1000, 1000), (1920, 1080, 128)])
def test_existing_cameras_project_as_blender_does(width, height, size):
    cameras = add_cameras(scene_of(width, height), 9)
    rig = rig_of(rig="cameras", camera_collection="Cameras", size=size, hold_out=4)
    assert max(rig.camera.width, rig.camera.height) == size and rig.radius is None
    chosen = {"train": [0, 2, 4, 6, 8], "val": [1, 5], "test": [3, 7]}
    for split, numbers in chosen.items():
        assert len(rig.poses[split]) == len(numbers)
        for pose, number in zip(rig.poses[split], numbers, strict=True):
            assert_projects_like(rig.camera, pose, cameras[number])


def test_cameras_of_a_hidden_collection_and_of_the_whole_scene():
    scene = scene_of(64, 64)
    add_cameras(scene, 3)
    bpy.context.view_layer.layer_collection.children["Cameras"].exclude = True
    assert len(rig_of(rig="cameras", camera_collection="Cameras", hold_out=0).poses["train"]) == 3
    assert len(rig_of(rig="cameras", hold_out=0).poses["train"]) == 3


def test_cameras_that_differ_or_are_missing_get_a_sentence():
    scene = scene_of(64, 64)
    with pytest.raises(UserError, match="the scene has none"):
        rig_of(rig="cameras")
    cameras = add_cameras(scene, 3)
    with pytest.raises(UserError, match="none named 'Others'"):
        rig_of(rig="cameras", camera_collection="Others")
    cameras[2].data = cameras[2].data.copy()
    cameras[2].data.lens = 42.0
    with pytest.raises(UserError, match="'Camera 0' and 'Camera 2'"):
        rig_of(rig="cameras")
    cameras[2].data.type = "ORTHO"
    with pytest.raises(UserError, match="Perspective"):
        rig_of(rig="cameras")
    with pytest.raises(UserError, match="Give the scene a camera"):
        rig_of(rig="animation")


def test_an_animated_camera_stands_where_blender_puts_it_and_nothing_else_moves():
    scene = scene_of(96, 64)
    target = add_ball(scene, 1.0, (1, 2, 3), segments=8)
    camera = add_camera(scene, (6, 0, 1))
    camera.keyframe_insert("location", frame=1)
    camera.location = (0, 7, 4)
    camera.keyframe_insert("location", frame=21)
    follow = camera.constraints.new("TRACK_TO")
    follow.target, follow.track_axis, follow.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    scene.frame_start, scene.frame_end, scene.frame_step = 1, 21, 4
    scene.frame_set(7)
    before = everything()
    rig = rig_of(rig="animation", hold_out=0, size=96)
    assert everything() == before
    assert len(rig.poses["train"]) == 6
    for pose, frame in zip(rig.poses["train"], range(1, 22, 4), strict=True):
        scene.frame_set(frame)
        assert_projects_like(rig.camera, pose, camera)
        assert np.allclose(pose, camera_from_blender(scene, camera).normalised(CENTRE, SCALE).pose, atol=1e-6)


def test_markers_change_the_animated_camera_and_a_zoom_is_refused():
    scene = scene_of(64, 64)
    cameras = add_cameras(scene, 2)
    scene.frame_start, scene.frame_end, scene.camera = 1, 4, cameras[0]
    for camera, frame in zip(cameras, (2, 3), strict=True):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    poses = rig_of(rig="animation", hold_out=0).poses["train"]
    assert np.allclose(poses[0], poses[1]) and np.allclose(poses[2], poses[3]) and not np.allclose(poses[1], poses[2])
    scene.timeline_markers.clear()
    cameras[0].data.keyframe_insert("lens", frame=1)
    cameras[0].data.lens = 80.0
    cameras[0].data.keyframe_insert("lens", frame=4)
    with pytest.raises(UserError, match="frame 1' and 'Camera 0, frame 2"):
        rig_of(rig="animation")


def test_any_lens_can_be_given_to_blender_and_read_back():
    scene, random = scene_of(64, 64), np.random.default_rng(0)
    camera_object = add_camera(scene)
    for _ in range(50):
        width, height = (int(n) for n in random.integers(8, 2000, 2))
        fl_x, ratio = random.uniform(0.3, 5) * width, random.choice([1.0, 0.5, 1.7])
        wanted = Camera(np.eye(4), fl_x, fl_x * ratio, *(random.uniform(0, 1, 2) * (width, height)), width, height)
        use_lens(wanted, scene.render, camera_object.data)
        found = camera_from_blender(scene, camera_object)
        assert (found.width, found.height) == (width, height)
        for name in ("fl_x", "fl_y", "cx", "cy"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=0.005)
    with pytest.raises(UserError, match="field of view"):
        use_lens(Camera(np.eye(4), 0.5, 0.5, 32.0, 32.0, 64, 64), scene.render, camera_object.data)


def test_pixels_captured_by_a_shifted_lens_are_the_rays_of_the_files(tmp_path):
    scene = scene_of(96, 54)
    tilt = Euler((0.3, 0.2, 0)).to_matrix()
    plane = add_mesh(scene, [tilt @ Vector((x, y, 0)) for x, y in ((-9, -9), (9, -9), (9, 9), (-9, 9))], [(0, 1, 2, 3)])
    for place in ((0.3, -0.2, 4), (-1, 1, 3)):  # inside the plane's own sphere
        camera = add_camera(scene, place, (0.1, 0.2, 0.3))
        camera.data.shift_x, camera.data.shift_y = 0.1, -0.15
    capture_all([plane], small_settings(tmp_path, rig="cameras", hold_out=2, size=48, samples=1))
    normal = np.array(tilt @ Vector((0, 0, 1)))
    for split in ("train", "test"):
        camera, view = read_view(tmp_path, split, 0)
        assert view["depth"].shape == (27, 48)
        rays = pixel_rays(camera)
        expected = -(camera.position @ normal) / (rays @ normal)  # the plane's middle is the origin
        assert np.abs(view["depth"] / expected - 1).max() < 2e-4
    manifest = json.loads((tmp_path / "dataset.json").read_text("utf-8"))
    assert manifest["rig"] == {"kind": "cameras", "seed": 0}
    pytest.importorskip("jsonschema").validate(manifest, json.loads(SCHEMA.read_text("utf-8")))


def test_saved_poses_come_back_as_they_were(tmp_path):
    ball = add_ball(bpy.context.scene, 1.0, (1, 2, 3), segments=8)
    capture_all(
        [ball], small_settings(tmp_path, train_views=2, test_views=1, size=16, focal_length=35.0, jitter_distance=0.2)
    )
    first = {
        split: [read_view(tmp_path, split, i)[0] for i in range(count)]
        for split, count in (("train", 2), ("val", 1), ("test", 1))
    }
    for path in (tmp_path, tmp_path / "dataset.json", tmp_path / "transforms_train.json"):
        rig = rig_of(rig="saved", poses_path=str(path), size=16)
        for split, cameras in first.items():
            assert (rig.poses[split] == [camera.pose for camera in cameras]).all()
        assert (rig.camera.fl_x, rig.camera.cx, rig.camera.width) == (16 * 35 / 36, 8.0, 16)
    world = rig_of(rig="saved", poses_path=str(tmp_path), poses_units="blender", size=16).poses["train"]
    for pose, camera in zip(world, first["train"], strict=True):
        assert np.allclose(pose[:3, 3] * SCALE + CENTRE, camera.position * 1.0 + (1, 2, 3), atol=1e-5)
        assert (pose[:3, :3] == camera.pose[:3, :3]).all()
    again = capture_all([ball], small_settings(tmp_path / "again", rig="saved", poses_path=str(tmp_path), size=16))
    assert again[-1].done == again[-1].total == 4
    assert (read_view(tmp_path / "again", "test", 0)[0].pose == first["test"][0].pose).all()


def survey(objects, **changes):
    settings = CaptureSettings(Path(), rig="cameras", hold_out=0, **changes)
    return survey_rig(bpy.context.scene, bpy.context.evaluated_depsgraph_get(), objects, settings)


def add_box(scene, half, location=(0, 0, 0), name="Box", inward=False):
    corners = [(x * half, y * half, z * half) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    box = add_mesh(scene, corners, [face[::-1] for face in faces] if inward else faces, name)
    box.location = location
    return box


@pytest.mark.parametrize("inward", [False, True])
def test_a_camera_inside_a_box_is_told_and_one_outside_is_not(inward):
    scene = scene_of(64, 64)
    box = add_box(scene, 1.0, (4, 0, 0), inward=inward)
    add_camera(scene, (4.3, 0.2, 0.1))
    add_camera(scene, (4, 0, 3))
    found = survey([box])
    assert found.inside == {("train", 0): "Box"} and found.unseen == []
    assert found.trouble()["train"] == {0}
    assert found.warnings() == ["A camera (train 0) stands inside 'Box': move it."]


def test_a_camera_in_a_hollow_is_not_inside_though_its_box_holds_it():
    scene = scene_of(64, 64)
    walls = [add_box(scene, half, name=name) for half, name in ((2.0, "Outer"), (1.5, "Inner"))]
    add_camera(scene, (0.1, 0.2, 0.3))
    with bpy.context.temp_override(selected_editable_objects=walls, active_object=walls[0]):
        bpy.ops.object.join()
    assert survey([walls[0]]).inside == {}
    scene.camera.location = (0, 0, 1.8)  # in the wall itself
    assert survey([walls[0]]).inside == {("train", 0): "Outer"}


def test_rotated_instances_and_modifiers_count():
    scene = scene_of(64, 64)
    part = add_box(scene, 0.5, name="Part")
    array = part.modifiers.new("Array", "ARRAY")
    array.use_relative_offset, array.use_constant_offset, array.constant_offset_displace = False, True, (4, 0, 0)
    source = bpy.data.collections.new("Source")
    scene.collection.objects.unlink(part)
    source.objects.link(part)
    empty = bpy.data.objects.new("Empty", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", source
    empty.matrix_world = Matrix.Translation((0, 0, 5)) @ Matrix.Rotation(math.pi / 2, 4, "Z")
    scene.collection.objects.link(empty)
    add_camera(scene, (0, 4, 5))  # where the second of the array is, once turned
    add_camera(scene, (4, 0, 5), (0, math.pi / 2, 0))
    assert survey([empty]).inside == {("train", 0): "Part"}


def test_a_camera_that_sees_nothing_is_told_and_a_close_up_is_not():
    scene = scene_of(64, 64)
    plane = add_plane(scene, half=10)
    add_camera(scene, (1, 1, 0.2))  # no corner of the plane is in view
    away = add_camera(scene, (0, 0, 4), (math.pi, 0, 0))
    found = survey([plane])
    assert found.unseen == [("train", 1)] and found.inside == {}
    expected = "A camera (train 1) stands where nothing of the object is in view: move it."
    assert found.warnings() == [expected]
    away.rotation_euler = (0, 0, 0)
    bpy.context.view_layer.update()
    assert survey([plane]).warnings() == []


def test_placed_cameras_too_near_are_told():
    scene = scene_of(64, 64)
    box = add_box(scene, 1.0)
    settings = CaptureSettings(Path(), distance=0.1, train_views=9)
    found = survey_rig(scene, bpy.context.evaluated_depsgraph_get(), [box], settings)
    assert len(found.inside) == 9 + 5 + 20
    assert found.warnings() == ["34 cameras (train 0, train 1, train 2, ...) stand inside 'Box': raise Distance."]
