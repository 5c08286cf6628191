"""A new object from a few views: pictures with a matched camera as a dataset, and the fit itself with a real engine."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
import jsonschema
import numpy as np
import pytest

import srn_blender
from blender_tests.engine_harness import TOKEN, engine_interpreter
from blender_tests.scenes import add_ball, add_camera, add_mesh, emission, read_image
from blender_tests.test_other_computer import Host
from srn_blender.capture.camera import camera_from_blender
from srn_blender.capture.matched import Matched, matched_view, place_of, write_matched
from srn_blender.engine.engine import engine
from srn_blender.errors import UserError
from srn_blender.results import images
from srn_blender.ui import fit_operators, tasks
from srn_blender.ui.properties import settings_of

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


# With a real engine: a class of boxes, learned for a moment.

_folder = tempfile.TemporaryDirectory(prefix="srn-fit-")


def box(scene, name: str, size, colour, location=(0.0, 0.0, 0.0)) -> bpy.types.Object:
    signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    corners = np.array(signs) * np.array(size) / 2
    made = add_mesh(scene, corners, faces, name, [emission(name, colour)])
    made.location = location
    return made


@functools.cache
def class_of_boxes() -> Path:
    os.environ["SRN_ENGINE_PYTHON"] = engine_interpreter()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.cycles.use_denoising = False
    random = np.random.default_rng(0)
    boxes = [
        box(scene, f"Box{n}", random.uniform(0.6, 1.2, 3), random.uniform(0.1, 0.9, 3), (2.0 * n, 0.0, 0.0))
        for n in range(4)
    ]
    bpy.context.view_layer.update()
    for one in boxes:
        one.select_set(True)
    bpy.context.view_layer.objects.active = boxes[0]
    settings = settings_of(scene)
    run = Path(_folder.name) / "boxes"
    settings.dataset_path, settings.run_path = str(run.with_name("set")), str(run)
    settings.instances, settings.labels = "objects", "none"
    settings.train_views, settings.val_views, settings.test_views = 10, 0, 0
    settings.size, settings.samples, settings.seconds = 48, 2, 15.0
    assert bpy.ops.srn.capture_views() == {"FINISHED"}
    assert bpy.ops.srn.train() == {"FINISHED"}
    return run


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The class of boxes as the run in mind, in a scene with another box, selected, and two cameras."""
    monkeypatch.setenv("SRN_ENGINE_PYTHON", engine_interpreter())
    srn_blender.register()
    try:
        run = class_of_boxes()
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
        scene.render.resolution_x = scene.render.resolution_y = 64
        scene.render.film_transparent, scene.view_settings.view_transform = True, "Standard"
        new = box(scene, "New Box", (0.8, 1.0, 0.7), (0.2, 0.7, 0.3), (5.0, 0.0, 1.0))
        for number, (x, y) in enumerate(((0.0, -4.0), (3.0, -2.5))):
            camera = add_camera(scene, (5.0 + x, y, 1.0), (np.pi / 2, 0.0, np.arctan2(x, -y)))
            camera.name = f"View{number}"
        scene.camera = bpy.data.objects["View0"]
        bpy.context.view_layer.update()
        new.select_set(True)
        bpy.context.view_layer.objects.active = new
        settings = settings_of(scene)
        settings.run_path, settings.dataset_path = str(run), str(run.with_name("unused"))
        settings.size, settings.samples = 64, 4
        yield run
    finally:
        srn_blender.unregister()


def test_a_new_object_through_the_scenes_cameras(boxes: Path) -> None:
    scene = bpy.context.scene
    assert bpy.ops.srn.fit() == {"FINISHED"}
    said = tasks.Task.latest["fit"].message
    assert said.startswith("Fitted from 2 views: ") and "What no view shows is guessed" in said
    fitted = Path(settings_of(scene).run_path)
    assert fitted == boxes.with_name("boxes-New_Box") and (fitted / "checkpoint.safetensors").is_file()
    described = json.loads((fitted / "run.json").read_text(encoding="utf-8"))
    assert [one["source"] for one in described["instances"]] == ["New Box"]
    np.testing.assert_allclose(described["instances"][0]["centre"], (5.0, 0.0, 1.0), atol=1e-4)
    assert not settings_of(scene).dataset_path.endswith("views"), "the dataset in mind stays"
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    seen = images.pixels_of(bpy.data.images[images.COLOUR])
    truth = render(scene, fitted / "truth.png")
    covered = (seen[..., 3] > 0.5) & (truth[..., 3] > 0.5)
    union = (seen[..., 3] > 0.5) | (truth[..., 3] > 0.5)
    assert covered.sum() > 0.5 * union.sum(), "the box is where it is"
    assert bpy.ops.srn.fit.poll()


def test_a_new_object_from_pictures(boxes: Path, tmp_path: Path) -> None:
    scene, settings = bpy.context.scene, settings_of(bpy.context.scene)
    truth = render(scene, tmp_path / "photo.png")
    put_behind(scene.camera, bpy.data.images.load(str(tmp_path / "photo.png")))
    settings.fit_source, settings.fit_reference = "images", bpy.data.objects["New Box"]
    assert bpy.ops.srn.fit() == {"FINISHED"}
    assert tasks.Task.latest["fit"].message.startswith("Fitted from 1 view: ")
    fitted = Path(settings.run_path)
    assert fitted.name.startswith("boxes-New_Box")
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    seen = images.pixels_of(bpy.data.images[images.COLOUR])
    covered = (seen[..., 3] > 0.5) & (truth[..., 3] > 0.5)
    union = (seen[..., 3] > 0.5) | (truth[..., 3] > 0.5)
    assert covered.sum() > 0.5 * union.sum()


def test_a_fit_on_another_computer_comes_back(boxes: Path, tmp_path: Path) -> None:
    scene, settings = bpy.context.scene, settings_of(bpy.context.scene)
    engine().close()  # the one here, which may still run
    host = Host(tmp_path / "storage")
    try:
        engine().connect("127.0.0.1", host.port, TOKEN)
        engine().wait_ready(60)
        assert bpy.ops.srn.fit() == {"FINISHED"}
        fitted = Path(settings.run_path)
        assert fitted.parent == boxes.parent and (fitted / "checkpoint.safetensors").is_file()
        assert bpy.ops.srn.render_view(camera=scene.camera.name) == {"FINISHED"}
    finally:
        engine().stop()
        host.kill()


def test_what_is_wrong_is_said_before_anything_is_written(boxes: Path, tmp_path: Path) -> None:
    settings = settings_of(bpy.context.scene)
    beside = sorted(path.name for path in boxes.parent.iterdir())
    settings.fit_source = "images"
    with pytest.raises(RuntimeError, match="Give camera 'View0' a background image"):
        bpy.ops.srn.fit()
    settings.fit_source = "cameras"
    bpy.data.objects["New Box"].select_set(False)
    with pytest.raises(RuntimeError, match="Select the object to fit"):
        bpy.ops.srn.fit()
    one = tmp_path / "one"
    one.mkdir()
    described = json.loads((boxes / "run.json").read_text(encoding="utf-8"))
    described["preset"]["kind"] = "fast"
    (one / "run.json").write_text(json.dumps(described), encoding="utf-8")
    settings.run_path = str(one)
    with pytest.raises(RuntimeError, match="Choose a run of several objects"):
        bpy.ops.srn.fit()
    assert sorted(path.name for path in boxes.parent.iterdir()) == beside
    assert bpy.ops.srn.fit.poll() and not tasks.running("capture")
