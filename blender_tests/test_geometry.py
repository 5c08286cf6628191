"""Extracted geometry: in the object's place and scale, with the captured colours and classes, seen in pixels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests import results_harness
from blender_tests.results_harness import Trained
from blender_tests.scenes import add_camera, read_image
from srn_blender.results import geometry, view
from srn_blender.ui import tasks
from srn_blender.ui.properties import settings_of

CENTRE, SCALE = (1.0, -2.0, 0.5), 1.5
PALETTE = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.6, 1.0]]


def trained(tmp_path: Path) -> view.Trained:
    names = ("background", "upper", "lower")
    described = {
        "format": "srn-run",
        "version": 2,
        "instances": [{"id": "ball", "source": "Ball", "centre": CENTRE, "scale": SCALE}],
        "classes": [{"name": name, "colour": colour} for name, colour in zip(names, PALETTE, strict=True)],
    }
    (tmp_path / "run.json").write_text(json.dumps(described), encoding="utf-8")
    return view.read_run(tmp_path, "Ball")


def sphere(count: int = 40) -> dict[str, np.ndarray]:
    """The unit sphere, as an engine sends it: the upper half of class 1 and dark red, the lower one of class 2."""
    heights, angles = np.linspace(1.0, -1.0, count), np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    height, angle = (grid.ravel() for grid in np.meshgrid(heights, angles, indexing="ij"))
    radius = np.sqrt(np.maximum(1 - height**2, 0))
    vertices = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1).astype(np.float32)
    first = (np.arange(count - 1)[:, None] * count + np.arange(count)).ravel()
    right = (np.arange(count - 1)[:, None] * count + (np.arange(count) + 1) % count).ravel()
    corners = np.concatenate(
        [np.stack(three, -1) for three in ((first, first + count, right), (right, first + count, right + count))]
    )
    upper = height > 0
    colours = np.where(upper[:, None], [120, 10, 30], [7, 200, 255]).astype(np.uint8)
    labels = np.where(upper, 1, 2).astype(np.uint8)
    return {
        "vertices": vertices,
        "normals": vertices,
        "triangles": corners.astype(np.int32),
        "colours": colours,
        "labels": labels,
    }


def placed(arrays: dict[str, np.ndarray], run: view.Trained, name: str = "Ball Surface") -> bpy.types.Object:
    made = geometry.place(geometry.prepare(arrays, run), geometry.captured_at(run), name)
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return made


def attribute(mesh, name: str, what: str, width: int, kind=np.float32) -> np.ndarray:
    values = np.empty(len(mesh.vertices) * width, kind)
    mesh.attributes[name].data.foreach_get(what, values)
    return values.reshape(-1, width)


def world_positions(made) -> np.ndarray:
    return np.array([made.matrix_world @ vertex.co for vertex in made.data.vertices])


def test_a_mesh_lies_where_the_object_was_captured(tmp_path: Path) -> None:
    arrays = sphere()
    made = placed(arrays, trained(tmp_path))
    np.testing.assert_allclose(np.linalg.norm(world_positions(made) - CENTRE, axis=1), SCALE, atol=1e-5)
    mesh = made.data
    assert len(mesh.vertices) == 1600 and len(mesh.polygons) == len(arrays["triangles"])
    assert not mesh.validate(), "nothing to mend"
    outward = [polygon.normal.dot(polygon.center) > 0 for polygon in mesh.polygons if polygon.area > 1e-4]
    assert all(outward)
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    np.testing.assert_allclose(
        attribute(mesh, geometry.COLOUR, "color_srgb", 4)[:, :3] * 255, arrays["colours"], atol=1e-3
    )
    np.testing.assert_array_equal(attribute(mesh, geometry.CLASS, "value", 1, np.int32)[:, 0], arrays["labels"])
    palette = attribute(mesh, geometry.CLASS_COLOUR, "color_srgb", 4)[:, :3]
    np.testing.assert_allclose(palette, np.array(PALETTE)[arrays["labels"]], atol=0.5 / 255 + 1e-6)
    assert mesh.color_attributes.active_color.name == geometry.COLOUR


def test_points_are_vertices_with_the_same_attributes(tmp_path: Path) -> None:
    arrays = sphere() | {"triangles": np.empty((0, 3), np.int32)}
    made = placed(arrays, trained(tmp_path), "Ball Points")
    assert (len(made.data.vertices), len(made.data.polygons), len(made.data.edges)) == (1600, 0, 0)
    np.testing.assert_allclose(np.linalg.norm(world_positions(made) - CENTRE, axis=1), SCALE, atol=1e-5)
    np.testing.assert_array_equal(attribute(made.data, geometry.NORMAL, "vector", 3), arrays["normals"])
    np.testing.assert_array_equal(attribute(made.data, geometry.CLASS, "value", 1, np.int32)[:, 0], arrays["labels"])


def test_without_labels_there_are_no_classes(tmp_path: Path) -> None:
    arrays = sphere()
    del arrays["labels"]
    mesh = placed(arrays, trained(tmp_path)).data
    assert geometry.CLASS not in mesh.attributes and geometry.CLASS_COLOUR not in mesh.attributes


def test_cycles_shows_the_captured_colours(tmp_path: Path) -> None:
    scene = bpy.context.scene
    placed(sphere(), trained(tmp_path))
    add_camera(scene, (CENTRE[0], CENTRE[1] - 6.0, CENTRE[2]), (np.pi / 2, 0.0, 0.0))
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.view_settings.view_transform, scene.render.dither_intensity = "Standard", 0.0
    scene.render.filepath = str(tmp_path / "picture.png")
    bpy.ops.render.render(write_still=True)
    picture = read_image(tmp_path / "picture.png") * 255
    np.testing.assert_allclose(picture[24, 32, :3], (120, 10, 30), atol=1.01)
    np.testing.assert_allclose(picture[40, 32, :3], (7, 200, 255), atol=1.01)


def test_100_000_vertices_do_not_hold_up_the_window(tmp_path: Path) -> None:
    run = trained(tmp_path)
    prepared = geometry.prepare(sphere(316), run)
    assert prepared.count > 99_000
    seconds = []
    for _ in range(5):
        start = time.process_time()  # of this process alone: other tests may run beside it
        geometry.place(prepared, geometry.captured_at(run), "Large")
        seconds.append(time.process_time() - start)
    print(f"{prepared.count} vertices, {len(prepared.corners) // 3} triangles: {min(seconds):.3f} s")
    assert min(seconds) < 0.1


@pytest.fixture
def ball(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trained]:
    yield from results_harness.registered(monkeypatch)


def test_the_operator_extracts_the_captured_ball(ball: Trained) -> None:
    settings_of(bpy.context.scene).mesh_resolution = 64
    assert bpy.ops.srn.extract_geometry() == {"FINISHED"}
    made = bpy.data.objects["Ball Surface"]
    said = tasks.Task.latest["geometry"].message
    assert said.startswith("Extracted 'Ball Surface'") and said.endswith("watertight.")
    points = world_positions(made) - results_harness.CENTRE
    distance = np.linalg.norm(points, axis=1)
    assert np.median(np.abs(distance - results_harness.RADIUS)) < 0.05 * results_harness.RADIUS
    assert np.percentile(np.abs(distance - results_harness.RADIUS), 95) < 0.15 * results_harness.RADIUS
    colours = attribute(made.data, geometry.COLOUR, "color", 4)[
        :, :3
    ]  # linear, as the materials are: taken for sRGB, green would be 0.28 off
    up = points[:, 2] / results_harness.RADIUS
    for part, colour in ((up > 0.2, results_harness.UPPER), (up < -0.2, results_harness.LOWER)):
        assert np.median(np.abs(colours[part] - colour).max(axis=1)) < 0.1
    classes = attribute(made.data, geometry.CLASS, "value", 1, np.int32)[:, 0]
    names = [name for name, _ in json_classes(ball)]
    assert (classes[up > 0.2] == names.index("upper")).mean() > 0.95
    assert (classes[up < -0.2] == names.index("lower")).mean() > 0.95
    assert made.name in bpy.context.scene.objects and not made.select_get()


def json_classes(ball: Trained) -> list[tuple[str, list[float]]]:
    described = json.loads((ball.run / "run.json").read_text(encoding="utf-8"))
    return [(entry["name"], entry["colour"]) for entry in described["classes"]]


def test_the_operator_extracts_points(ball: Trained) -> None:
    settings = settings_of(bpy.context.scene)
    settings.geometry, settings.mesh_resolution, settings.point_count = "points", 48, 5000
    assert bpy.ops.srn.extract_geometry() == {"FINISHED"}
    made = bpy.data.objects["Ball Points"]
    assert (len(made.data.vertices), len(made.data.polygons)) == (5000, 0)
    distance = np.linalg.norm(world_positions(made) - results_harness.CENTRE, axis=1)
    assert np.median(np.abs(distance - results_harness.RADIUS)) < 0.06 * results_harness.RADIUS
    assert "5000 points" in tasks.Task.latest["geometry"].message


def test_a_placed_instance_is_extracted_where_it_is_placed(ball: Trained) -> None:
    scene, settings = bpy.context.scene, settings_of(bpy.context.scene)
    settings.mesh_resolution, settings.run_path = 32, ""
    empty = bpy.data.objects.new("Placed", None)
    empty.location, empty.scale = (10.0, 0.0, 0.0), (2.0, 2.0, 2.0)
    empty.srn.run_path = str(ball.run)
    scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = empty
    assert bpy.ops.srn.extract_geometry() == {"FINISHED"}
    bpy.context.view_layer.update()
    distance = np.linalg.norm(world_positions(bpy.data.objects["Ball Surface"]) - (10.0, 0.0, 0.0), axis=1)
    assert np.median(distance) == pytest.approx(2 * results_harness.RADIUS, rel=0.1)
    empty.srn.second, empty.srn.blend = "ball", 0.5
    with pytest.raises(RuntimeError, match="Set Blend of 'Placed' to 0"):
        bpy.ops.srn.extract_geometry()


def test_without_a_run_it_says_what_to_do(ball: Trained, tmp_path: Path) -> None:
    settings_of(bpy.context.scene).run_path = str(tmp_path)
    with pytest.raises(RuntimeError, match="Train first"):
        bpy.ops.srn.extract_geometry()
