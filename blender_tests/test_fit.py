"""A new object from a few views: pictures with a matched camera as a dataset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import bpy
import jsonschema
import numpy as np
import pytest

from blender_tests.scenes import add_ball, add_camera, emission, read_image
from srn_blender.capture.camera import camera_from_blender
from srn_blender.capture.matched import Matched, matched_view, place_of, write_matched
from srn_blender.errors import UserError
from srn_blender.ui import fit_operators

SCHEMA = json.loads((Path(__file__).resolve().parents[1] / "docs/dataset.schema.json").read_text(encoding="utf-8"))
PLACE = np.array([0.4, 0.2, 0.3])


@pytest.fixture
def scene() -> bpy.types.Scene:
    """A camera that looks at a small red ball, off the middle, with a shifted lens and pixels that are not square."""
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x, scene.render.resolution_y = 120, 80
    scene.render.film_transparent, scene.render.dither_intensity = True, 0.0
    scene.view_settings.view_transform = "Standard"
    add_ball(scene, 0.15, PLACE, materials=[emission("red", (1.0, 0.0, 0.0))])
    camera = add_camera(scene, (0.0, -4.0, 0.0), (np.pi / 2, 0.0, 0.1))
    camera.data.shift_x = 0.08
    bpy.context.view_layer.update()
    return scene


def render(scene: bpy.types.Scene, path: Path) -> np.ndarray:
    scene.render.filepath = str(path)
    scene.render.image_settings.color_mode = "RGBA"
    bpy.ops.render.render(write_still=True)
    return read_image(path)


def put_behind(camera: bpy.types.Object, image: bpy.types.Image, method: str = "FIT", scale: float = 1.0):
    data = camera.data
    data.show_background_images = True
    background = data.background_images.new()
    background.image, background.frame_method, background.scale = image, method, scale
    return background


def middle_of(picture: np.ndarray) -> np.ndarray:
    """Where the opaque pixels of a picture lie, x and y in pixels."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    return np.array([(columns * picture[..., 3]).sum(), (rows * picture[..., 3]).sum()]) / picture[..., 3].sum()


@pytest.mark.parametrize(("factor", "aspect"), [(1.0, 1.0), (2.0, 1.0), (0.5, 1.0), (1.0, 1.5)])
def test_a_picture_of_the_same_frame_gets_the_cameras_lens(
    scene: bpy.types.Scene, tmp_path: Path, factor: float, aspect: float
) -> None:
    scene.render.pixel_aspect_x = aspect
    scene.render.resolution_percentage = round(100 * factor)
    picture = render(scene, tmp_path / "picture.png")
    scene.render.resolution_percentage = 100  # the picture may have another size than the render
    image = bpy.data.images.load(str(tmp_path / "picture.png"))
    put_behind(scene.camera, image, "STRETCH")
    matched = matched_view(scene, scene.camera)
    assert matched.pixels.shape == picture.shape
    np.testing.assert_allclose(matched.pixels, picture * 255, atol=0.51)
    projected = matched.camera.project(PLACE)[:2]
    np.testing.assert_allclose(projected, middle_of(picture), atol=0.3 * factor)


@pytest.mark.parametrize(("method", "across"), [("FIT", 1.0), ("CROP", 1.5)])
def test_a_squarer_picture_lies_in_the_frame_as_blender_lays_it(
    scene: bpy.types.Scene, tmp_path: Path, method: str, across: float
) -> None:
    """The render is 120 by 80. A picture of 80 by 80 fits into its height, or covers it by its width."""
    image = bpy.data.images.new("square", 80, 80, alpha=True)
    put_behind(scene.camera, image, method)
    frame = camera_from_blender(scene, scene.camera)
    camera = matched_view(scene, scene.camera).camera
    assert (camera.width, camera.height) == (80, 80)
    assert (camera.fl_x, camera.fl_y) == pytest.approx((frame.fl_x / across, frame.fl_y / across))
    x, y, _ = frame.project(PLACE)
    assert camera.project(PLACE)[:2] == pytest.approx([(x - 60) / across + 40, (y - 40) / across + 40])


def test_a_scaled_picture_and_what_cannot_be_matched(scene: bpy.types.Scene) -> None:
    camera = scene.camera
    with pytest.raises(UserError, match="Give camera 'Camera' a background image"):
        matched_view(scene, camera)
    background = put_behind(camera, bpy.data.images.new("wide", 120, 80, alpha=True), scale=2.0)
    frame = camera_from_blender(scene, camera)
    matched = matched_view(scene, camera).camera
    assert (matched.fl_x, matched.width) == (pytest.approx(frame.fl_x / 2), 120)
    background.rotation = 0.1
    with pytest.raises(UserError, match="Clear Offset, Rotation and Flip"):
        matched_view(scene, camera)
    background.rotation = 0.0
    background.image = bpy.data.images.new("linear", 8, 8, float_buffer=True)
    with pytest.raises(UserError, match="PNG or JPEG"):
        matched_view(scene, camera)
    background.image = bpy.data.images.new("large", 3000, 1500, alpha=True)
    matched = matched_view(scene, camera)
    assert matched.pixels.shape == (512, 1024, 4) and len(bpy.data.images) == 3, "the copy is gone"


def test_where_the_object_in_the_pictures_lies(scene: bpy.types.Scene) -> None:
    scene.cursor.location = (1.0, 2.0, 3.0)
    centre, radius, name = place_of(None, scene, 0.7)
    assert (centre.tolist(), radius, name) == ([1.0, 2.0, 3.0], 0.7, "3D cursor")
    empty = bpy.data.objects.new("Place", None)
    empty.location, empty.scale, empty.empty_display_size = (0.5, 0.0, 0.0), (2.0, 2.0, 2.0), 0.4
    scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    centre, radius, name = place_of(empty, scene, 0.7)
    assert (centre.tolist(), radius, name) == ([0.5, 0.0, 0.0], pytest.approx(0.8), "Place")
    centre, radius, _ = place_of(bpy.data.objects["Ball"], scene, 0.7)
    np.testing.assert_allclose(centre, PLACE, atol=1e-5)
    assert radius == pytest.approx(0.15, abs=1e-4)


def matched_of(scene: bpy.types.Scene, pixels: np.ndarray, name: str = "Photo") -> Matched:
    camera = camera_from_blender(scene, scene.camera)
    return Matched(name, replace(camera, width=pixels.shape[1], height=pixels.shape[0]), pixels)


def test_white_that_reaches_the_edge_is_background(scene: bpy.types.Scene, tmp_path: Path) -> None:
    pixels = np.full((40, 60, 4), 255, np.uint8)
    pixels[10:30, 20:40, :3] = (200, 30, 30)
    pixels[18:22, 28:32, :3] = 255  # a highlight
    assert write_matched(tmp_path / "set", [matched_of(scene, pixels)], "My Chair", PLACE, 0.5) == 1
    described = json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(described)
    (instance,) = described["instances"]
    assert (instance["id"], instance["source"], instance["scale"]) == ("My_Chair", "My Chair", 0.5)
    folder = tmp_path / "set" / "matched_train" / "My_Chair"
    alpha = read_image(folder / "rgba" / "000000.png")[..., 3]
    assert alpha[10:30, 20:40].min() == 1.0 and alpha.sum() == 400
    pose = np.array((folder / "pose" / "000000.txt").read_text().split(), float).reshape(4, 4)
    np.testing.assert_allclose(pose[:3, 3] * 0.5 + PLACE, scene.camera.location, atol=1e-6)


def test_without_a_visible_edge_it_says_what_to_do(scene: bpy.types.Scene, tmp_path: Path) -> None:
    grey = matched_of(scene, np.full((40, 60, 4), (90, 90, 90, 255), np.uint8))
    with pytest.raises(UserError, match="'Photo' alpha, or a white background"):
        write_matched(tmp_path / "set", [grey], "Chair", PLACE, 0.5)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("sure", "said"),
    [
        ([0.7], "Fitted from 2 views: fairly sure (0.7)."),
        ([0.93], "Fitted from 2 views: sure (0.9)."),
        ([0.0], "Fitted from 2 views: little more than a guess (0.0)."),
        ([0.9, 0.3], "Fitted 2 instances from 2 views each, least sure of '1': not sure (0.3)."),
    ],
)
def test_how_sure_it_is_is_said_in_words(sure: list[float], said: str) -> None:
    told = [{"id": str(number), "sure": value} for number, value in enumerate(sure)]
    assert fit_operators.describe_fit(told, 2) == said
