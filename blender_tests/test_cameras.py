"""The camera that we write must be the camera that Blender renders."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

from blender_tests.scenes import add_camera, add_mesh, render_depth
from srn_blender.capture.camera import Camera, camera_from_blender, flip_axes
from srn_blender.errors import UserError


def randomise(scene, camera_object, random):
    """Any supported camera; the size is a multiple of what the percentage divides, so that no pixel is cut off."""
    data, render = camera_object.data, scene.render
    data.sensor_fit = random.choice(["AUTO", "HORIZONTAL", "VERTICAL"])
    data.sensor_width, data.sensor_height = random.uniform(8, 60, 2)
    data.lens = random.uniform(15, 120)
    data.shift_x, data.shift_y = random.uniform(-0.5, 0.5, 2)
    render.resolution_x, render.resolution_y = (int(n) * 20 for n in random.integers(2, 100, 2))
    render.resolution_percentage = int(random.choice([5, 25, 50, 100, 150]))
    render.pixel_aspect_x, render.pixel_aspect_y = random.choice([1.0, 1.0, 1.5, 2.0], 2)
    camera_object.location = random.uniform(-5, 5, 3)
    camera_object.rotation_euler = random.uniform(-math.pi, math.pi, 3)
    camera_object.scale = random.uniform(0.2, 4, 3)


def test_two_hundred_cameras_project_as_blender_does():
    random = np.random.default_rng(1)
    scene = bpy.context.scene
    camera_object = add_camera(scene)
    worst = 0.0
    for _ in range(200):
        randomise(scene, camera_object, random)
        camera = camera_from_blender(scene, camera_object)
        scale = scene.render.resolution_percentage / 100
        assert camera.width == round(scene.render.resolution_x * scale)
        assert camera.height == round(scene.render.resolution_y * scale)
        for _ in range(10):
            # A point that the picture shows, at most a picture's width outside of it.
            pixel = random.uniform(-0.5, 1.5, 2) * (camera.width, camera.height)
            point = camera.unproject(pixel, random.uniform(0.5, 20))
            x, y, z = world_to_camera_view(scene, camera_object, Vector(point))
            theirs = (x * camera.width, (1 - y) * camera.height, z)
            # Vector holds float32, so our own point is rounded likewise before it is projected.
            ours = camera.project(np.array(Vector(point)))
            worst = max(worst, float(np.abs(ours[:2] - theirs[:2]).max()))
            assert ours[2] == pytest.approx(z, rel=1e-4)
    assert worst < 0.01


def test_sizes_that_the_percentage_does_not_divide():
    """Here Blender's view frame is rounded, its projection matrix at the real size is not."""
    random = np.random.default_rng(2)
    scene = bpy.context.scene
    camera_object = add_camera(scene)
    for _ in range(50):
        randomise(scene, camera_object, random)
        render = scene.render
        render.resolution_x, render.resolution_y = (int(n) for n in random.integers(64, 3000, 2))
        render.resolution_percentage = int(random.integers(20, 150))
        camera = camera_from_blender(scene, camera_object)
        projection = camera_object.calc_matrix_camera(
            bpy.context.evaluated_depsgraph_get(),
            x=camera.width,
            y=camera.height,
            scale_x=render.pixel_aspect_x,
            scale_y=render.pixel_aspect_y,
        )
        local = np.append(random.uniform(-0.3, 0.3, 2), [-1.0, 1.0])
        clip = np.array(projection) @ local
        theirs = (clip[0] / clip[3] + 1) / 2 * camera.width, (1 - clip[1] / clip[3]) / 2 * camera.height
        ours = camera.project((flip_axes(camera.pose) @ local)[:3])
        assert np.abs(ours[:2] - theirs).max() < 0.01


def test_unproject_undoes_project_and_units_do_not_move_pixels():
    camera = Camera(flip_axes(Matrix.Translation((1, 2, 3))), 100.0, 120.0, 31.0, 33.5, 64, 64)
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    pixels = camera.project(points)
    assert np.allclose(camera.unproject(pixels[:, :2], pixels[:, 2]), points)
    centre, scale = np.array([0.3, -2.0, 1.0]), 2.5
    normalised = camera.normalised(centre, scale).project((points - centre) / scale)
    assert np.allclose(normalised[:, :2], pixels[:, :2]) and np.allclose(normalised[:, 2] * scale, pixels[:, 2])


def test_json_is_the_protocols_camera():
    scene = bpy.context.scene
    spoken = camera_from_blender(scene, add_camera(scene)).to_json()
    assert set(spoken) == {"pose", "fl_x", "fl_y", "cx", "cy", "width", "height"}
    assert spoken["pose"][3] == [0.0, 0.0, 0.0, 1.0] and isinstance(spoken["width"], int)


@pytest.mark.parametrize("border", [None, "crop", "no crop"])
def test_a_rendered_pixel_is_the_ray_through_its_centre(border):
    """Renders a tilted plane with a shifted lens and compares each pixel's depth with the ray's own."""
    scene = bpy.context.scene
    camera_object = add_camera(scene, location=(0.3, -0.2, 4), rotation=(0.1, 0.2, 0.3))
    camera_object.data.shift_x, camera_object.data.shift_y = 0.1, -0.15
    render = scene.render
    render.resolution_x, render.resolution_y, render.pixel_aspect_y = 48, 32, 1.5
    if border:
        render.use_border, render.use_crop_to_border = True, border == "crop"
        render.border_min_x, render.border_max_x = 0.21, 0.83
        render.border_min_y, render.border_max_y = 0.33, 0.91
    tilt = Euler((0.5, 0.4, 0)).to_matrix()
    add_mesh(scene, [tilt @ Vector((x, y, 0)) for x, y in ((-50, -50), (50, -50), (50, 50), (-50, 50))], [(0, 1, 2, 3)])
    depth = render_depth(scene)
    camera = camera_from_blender(scene, camera_object)
    assert depth.shape == (camera.height, camera.width)
    rendered = depth > 0
    if border == "no crop":
        inside = np.zeros_like(rendered)
        inside[3:22, 10:39] = True
        assert (rendered == inside).all()
    else:
        assert rendered.all()
    rows, columns = np.nonzero(rendered)
    centres = np.stack([columns + 0.5, rows + 0.5], -1)
    rays = camera.unproject(centres, np.ones(len(centres))) - camera.position
    normal = np.array(tilt @ Vector((0, 0, 1)))
    expected = -(camera.position @ normal) / (rays @ normal)
    # Half a pixel would be an error of some 0.5 %.
    assert np.abs(depth[rows, columns] / expected - 1).max() < 2e-4


def test_object_scale_has_no_effect_but_a_mirror_is_refused():
    scene = bpy.context.scene
    camera_object = add_camera(scene, location=(1, 2, 3), rotation=(1, 0.3, 0.2))
    before = camera_from_blender(scene, camera_object).pose
    camera_object.scale = (3, 0.5, 2)
    assert np.allclose(camera_from_blender(scene, camera_object).pose, before, atol=1e-6)
    camera_object.scale = (-1, 1, 1)
    with pytest.raises(UserError, match="scale"):
        camera_from_blender(scene, camera_object)


def test_parents_and_constraints_count():
    scene = bpy.context.scene
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    parent.location = (0, 0, 5)
    camera_object = add_camera(scene, location=(1, 0, 0))
    camera_object.parent = parent
    assert np.allclose(camera_from_blender(scene, camera_object).position, (1, 0, 5))


def orthographic(scene, data):
    data.type = "ORTHO"


def panoramic(scene, data):
    data.type = "PANO"


def blurred(scene, data):
    data.dof.use_dof = True


def stereoscopic(scene, data):
    scene.render.use_multiview = True


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (orthographic, "Perspective"),
        (panoramic, "Perspective"),
        (blurred, "Turn off Depth of Field"),
        (stereoscopic, "Turn off Stereoscopy"),
    ],
)
def test_what_is_no_pinhole_is_refused_with_advice(change, advice):
    scene = bpy.context.scene
    camera_object = add_camera(scene)
    change(scene, camera_object.data)
    with pytest.raises(UserError, match=advice):
        camera_from_blender(scene, camera_object)
