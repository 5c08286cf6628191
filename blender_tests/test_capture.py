"""Captures small scenes whose every pixel is known, and looks at the pixels."""

from __future__ import annotations

import json
import math
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests.scenes import (
    add_ball,
    add_camera,
    add_mesh,
    add_plane,
    capture_all,
    emission,
    everything,
    pixel_rays,
    read_image,
    read_view,
    small_settings,
    start_capture,
    still_path,
)
from srn_blender import compat
from srn_blender.capture.camera import flip_axes
from srn_blender.capture.studio import open_studio

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "dataset.schema.json"


def srgb(linear):
    return 255 * np.where(np.asarray(linear) < 0.0031308, 12.92 * linear, 1.055 * np.power(linear, 1 / 2.4) - 0.055)


def manifest_of(root):
    return json.loads((root / "dataset.json").read_text("utf-8"))


def without_edges(mask):
    """The pixels of a mask that lie more than two pixels from its border, further than Cycles' filter reaches."""
    inner = mask.copy()
    for shift in range(-2, 3):
        inner &= np.roll(mask, shift, 0) & np.roll(mask, shift, 1)
    return inner


def two_coloured_plane(scene):
    """A square in the plane z = 0, red where x < 0 and blue where x > 0."""
    corners = [(-1, -1, 0), (0, -1, 0), (0, 1, 0), (-1, 1, 0), (1, -1, 0), (1, 1, 0)]
    materials = [emission("Red", np.array((0.8, 0.1, 0.1))), emission("Blue", np.array((0.1, 0.2, 0.7)))]
    plane = add_mesh(scene, corners, [(0, 1, 2, 3), (1, 4, 5, 2)], "Plane", materials)
    plane.data.polygons[1].material_index = 1
    return plane


def test_a_balls_depth_normal_and_alpha_are_the_rays_own(tmp_path):
    """Placed and sized so that only the right centre and scale bring it to the unit sphere."""
    ball = add_ball(bpy.context.scene, 2.5, (5, -3, 2), segments=256)
    capture_all([ball], small_settings(tmp_path, size=48))
    instance = manifest_of(tmp_path)["instances"][0]
    assert np.allclose(instance["centre"], (5, -3, 2), atol=1e-4)
    assert instance["scale"] == pytest.approx(2.5, rel=1e-4)
    for split, index in (("train", 0), ("train", 2), ("val", 0), ("test", 1)):
        camera, view = read_view(tmp_path, split, index)
        rays, eye = pixel_rays(camera), camera.position
        along, length = rays @ eye, (rays**2).sum(-1)
        inside = along**2 - length * (eye @ eye - 1)
        hit = inside > 0
        depth = (-along - np.sqrt(np.maximum(inside, 0))) / length
        assert ((view["depth"] > 0) == hit).mean() > 0.995
        core = hit & (inside > 0.15)
        assert np.abs(view["depth"] - depth)[core].max() < 2e-3
        assert ((view["depth"] == 0) | (view["depth"] > 1)).all()
        normal = eye + rays * depth[..., None]
        assert (view["normal"] * normal).sum(-1)[core].min() > 0.99
        lengths = np.linalg.norm(view["normal"], axis=-1)
        assert np.allclose(lengths[view["depth"] > 0], 1, atol=1e-5) and (lengths[view["depth"] == 0] == 0).all()
        assert (view["rgba"][..., 3][core] == 255).all() and (view["rgba"][..., 3][inside < -0.2] == 0).all()
        assert (view["rgb"][..., :3][inside < -0.2] == 255).all()
        # The whole ball is in the picture, and fills most of it.
        assert not hit[0].any() and not hit[:, 0].any() and 0.6 < hit.any(0).mean() < 1


def test_labels_and_colours_are_the_materials_own(tmp_path):
    scene = bpy.context.scene
    plane = two_coloured_plane(scene)
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 1.0  # must not matter
    scene.cycles.use_denoising = False  # the denoiser mixes a flat colour's last bits
    capture_all([plane], small_settings(tmp_path, size=64))
    classes = {entry["name"]: entry["id"] for entry in manifest_of(tmp_path)["classes"]}
    assert classes == {"background": 0, "Blue": 1, "Red": 2}
    for index in range(3):
        camera, view = read_view(tmp_path, "train", index)
        rays = pixel_rays(camera)
        depth = -camera.position[2] / rays[..., 2]
        x, y, _ = np.moveaxis(camera.position + rays * depth[..., None], -1, 0)
        x, y = x * math.sqrt(2), y * math.sqrt(2)  # the square's corners lie on the unit sphere
        inside = (depth > 0) & (np.abs(x) < 1) & (np.abs(y) < 1)
        left, right = without_edges(inside & (x < 0)), without_edges(inside & (x > 0))
        beside = without_edges(~inside)
        assert left.sum() > 50 and right.sum() > 50
        assert (view["semantic"][left] == 2).all() and (view["semantic"][right] == 1).all()
        assert (view["semantic"][beside] == 0).all()
        assert np.abs(view["rgb"][..., :3][left] - srgb(np.array((0.8, 0.1, 0.1)))).max() <= 1
        assert np.abs(view["rgb"][..., :3][right] - srgb(np.array((0.1, 0.2, 0.7)))).max() <= 1
        assert np.abs(view["depth"] - depth)[left | right].max() < 1e-3
        assert set(np.unique(view["semantic"])) <= {0, 1, 2}


def test_faces_without_a_material_are_a_class_of_their_own(tmp_path):
    plane = two_coloured_plane(bpy.context.scene)
    plane.data.materials[1] = None
    capture_all([plane], small_settings(tmp_path))
    assert [c["name"] for c in manifest_of(tmp_path)["classes"]] == ["background", "Red", "(no material)"]
    _, view = read_view(tmp_path, "train", 0)
    assert set(np.unique(view["semantic"])) == {0, 1, 2}


def test_a_material_of_the_object_and_one_from_geometry_nodes_are_labelled(tmp_path):
    scene = bpy.context.scene
    linked = add_ball(scene, 0.5, (-1, 0, 0), materials=[emission("Under", np.ones(3))], segments=16)
    linked.material_slots[0].link = "OBJECT"
    linked.material_slots[0].material = emission("Over", np.ones(3))
    made = add_ball(scene, 0.5, (1, 0, 0), segments=16)
    nodes = bpy.data.node_groups.new("Paint", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        nodes.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    paint = nodes.nodes.new("GeometryNodeSetMaterial")
    paint.inputs["Material"].default_value = emission("Painted", np.ones(3))
    nodes.links.new(nodes.nodes.new("NodeGroupInput").outputs[0], paint.inputs["Geometry"])
    nodes.links.new(paint.outputs[0], nodes.nodes.new("NodeGroupOutput").inputs[0])
    made.modifiers.new("Paint", "NODES").node_group = nodes
    capture_all([linked, made], small_settings(tmp_path))
    assert [c["name"] for c in manifest_of(tmp_path)["classes"]] == ["background", "Over", "Painted"]
    camera, view = read_view(tmp_path, "train", 0)
    for x, label in ((-2 / 3, 1), (2 / 3, 2)):
        column, row, _ = camera.project((x, 0, 0))
        assert view["semantic"][int(row), int(column)] == label


def test_labels_from_objects_and_none(tmp_path):
    scene = bpy.context.scene
    balls = [add_ball(scene, 0.5, (x, 0, 0), name, segments=16) for x, name in ((-1, "Left"), (1, "Right"))]
    capture_all(balls, small_settings(tmp_path / "objects", labels="object"))
    assert [c["name"] for c in manifest_of(tmp_path / "objects")["classes"]] == ["background", "Left", "Right"]
    camera, view = read_view(tmp_path / "objects", "train", 1)
    for x, label in ((-2 / 3, 1), (2 / 3, 2)):
        column, row, _ = camera.project((x, 0, 0))
        seen = view["semantic"][int(row), int(column)]
        assert seen == label
    capture_all(balls, small_settings(tmp_path / "none", labels="none"))
    manifest = manifest_of(tmp_path / "none")
    assert "semantic" not in manifest["passes"] and len(manifest["classes"]) == 1
    assert not (tmp_path / "none/capture_train/thing/semantic").exists()


def test_children_collection_instances_and_geometry_of_modifiers_belong_to_the_instance(tmp_path):
    scene = bpy.context.scene
    hidden_source = bpy.data.collections.new("Source")
    part = add_ball(scene, 0.2, name="Part", materials=[emission("Dot", np.ones(3))], segments=16)
    scene.collection.objects.unlink(part)
    hidden_source.objects.link(part)
    parent = add_ball(scene, 0.2, name="Parent", materials=[emission("Base", np.ones(3))], segments=16)
    empty = bpy.data.objects.new("Empty", None)
    scene.collection.objects.link(empty)
    empty.parent, empty.location = parent, (0, 0, 1)
    empty.instance_type, empty.instance_collection = "COLLECTION", hidden_source
    array = parent.modifiers.new("Array", "ARRAY")
    array.use_relative_offset, array.use_constant_offset, array.constant_offset_displace = False, True, (2, 0, 0)
    capture_all([parent], small_settings(tmp_path))
    manifest = manifest_of(tmp_path)
    assert [entry["name"] for entry in manifest["classes"]] == ["background", "Base", "Dot"]
    assert np.allclose(manifest["instances"][0]["centre"], (1, 0, 0.5), atol=0.02)
    _, view = read_view(tmp_path, "train", 0)
    assert set(np.unique(view["semantic"])) == {0, 1, 2}


def test_what_is_not_selected_is_not_in_the_picture_but_lights_it(tmp_path):
    scene = bpy.context.scene
    ball = add_ball(scene, 1, segments=16)
    add_plane(scene, 20, name="Floor")
    add_ball(scene, 0.8, (0, 0, 2), "Other", segments=16)
    capture_all([ball], small_settings(tmp_path / "dark"))
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    lamp.data.energy = 5
    scene.collection.objects.link(lamp)
    capture_all([ball], small_settings(tmp_path / "lit"))
    lamp.hide_render = True
    capture_all([ball], small_settings(tmp_path / "off"))
    brightest = {}
    for name in ("dark", "lit", "off"):
        views = [read_view(tmp_path / name, "train", index)[1] for index in range(3)]
        # The ball is all there is: nothing stands beside its outline.
        assert all((view["rgba"][..., 3] > 128).mean() < 0.75 for view in views)
        brightest[name] = max(view["rgba"][..., :3][view["depth"] > 0].max() for view in views)
    assert brightest["lit"] > 200 and brightest["dark"] == brightest["off"] == 0


def test_a_lamp_itself_is_not_seen(tmp_path):
    scene = bpy.context.scene
    ball = add_ball(scene, 1, segments=16)
    for kind, x in (("POINT", 1.3), ("AREA", -1.3)):
        lamp = bpy.data.objects.new(kind, bpy.data.lights.new(kind, kind))
        lamp.data.energy, lamp.location = 1000, (x, 0, 0)
        scene.collection.objects.link(lamp)
    capture_all([ball], small_settings(tmp_path))
    for index in range(3):
        _, view = read_view(tmp_path, "train", index)
        assert view["rgba"][..., 3][view["depth"] == 0].max() < 200  # edges only


def test_dataset_json_follows_its_schema(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    plane = two_coloured_plane(bpy.context.scene)
    capture_all([plane], small_settings(tmp_path, rig="hemisphere"), source="Plane")
    manifest = manifest_of(tmp_path)
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text("utf-8")))
    assert manifest["splits"] == {
        "train": {"planned": 3, "captured": 3},
        "val": {"planned": 1, "captured": 1},
        "test": {"planned": 2, "captured": 2},
    }
    assert manifest["rig"]["kind"] == "hemisphere" and manifest["instances"][0]["source"] == "Plane"


def count_renders(renders):
    def count(*_):
        renders.append(1)

    bpy.app.handlers.render_pre.append(count)


def test_progress_tells_each_view_and_ends_with_the_check(tmp_path):
    ball = add_ball(bpy.context.scene)
    items = capture_all([ball], small_settings(tmp_path, size=48, train_views=12))
    assert [item.done for item in items] == [*range(1, 16), 15]
    assert all(item.total == 15 and item.path.is_file() for item in items)
    assert [item.view.split for item in items[11:15]] == ["train", "val", "test", "test"]
    assert items[0].eta > 0 and items[-1].eta == 0
    check = items[-1].check
    assert all(item.check is None for item in items[:-1])
    assert check.warning is None and check.agreeing > 0.9 and check.median < 0.1


def test_the_check_at_the_end_reads_the_files(tmp_path):
    ball = add_ball(bpy.context.scene)
    settings = small_settings(tmp_path, size=48, train_views=12, test_views=0)
    capture_all([ball], settings)
    for index in range(12):
        pose = tmp_path / f"capture_train/thing/pose/{index:06d}.txt"
        numbers = np.array(pose.read_text().split(), float).reshape(4, 4)
        pose.write_text(" ".join(str(n) for n in flip_axes(numbers).flat), "utf-8")
    (again,) = capture_all([ball], settings)
    assert again.check.warning


def test_closing_keeps_what_is_done_and_the_next_capture_renders_only_the_rest(tmp_path):
    ball = add_ball(bpy.context.scene, materials=[emission("M", np.array((0.5, 0.2, 0.1)))], segments=16)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    capture_all([ball], small_settings(whole))
    steps = start_capture([ball], small_settings(parts))
    next(steps)
    next(steps)
    steps.close()
    assert manifest_of(parts)["splits"]["train"]["captured"] == 2
    assert len(json.loads((parts / "transforms_train.json").read_text("utf-8"))["frames"]) == 2
    renders = []
    count_renders(renders)
    items = capture_all([ball], small_settings(parts))
    assert len(renders) == 2 * 4 and [item.done for item in items] == [3, 4, 5, 6, 6]
    capture_all([ball], small_settings(parts))
    assert len(renders) == 2 * 4  # colour, and what has no colour
    files = sorted(path.relative_to(whole) for path in whole.rglob("*.*"))
    assert files == sorted(path.relative_to(parts) for path in parts.rglob("*.*"))
    assert all((whole / file).read_bytes() == (parts / file).read_bytes() for file in files if (whole / file).is_file())


def furnish(scene):
    """All that a capture could disturb."""
    ball = add_ball(scene, materials=[emission("M", np.ones(3))], segments=16)
    other = add_ball(scene, location=(3, 0, 0), name="Other", segments=16)
    add_camera(scene)
    scene.world = bpy.data.worlds.new("World")
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    bpy.data.collections.new("Lights").objects.link(lamp)
    scene.collection.children.link(bpy.data.collections["Lights"])
    ball.pass_index, bpy.data.materials["M"].pass_index = 7, 9
    other.select_set(True)
    bpy.context.view_layer.objects.active = other
    scene.render.engine, scene.render.resolution_x, scene.frame_current = "BLENDER_WORKBENCH", 777, 12
    scene.timeline_markers.new("Marker", frame=3)
    scene.keyframe_insert("audio_volume", frame=1)
    compat.compositor_tree(scene).nodes.new("CompositorNodeRLayers")
    scene.view_layers.new("Second")
    bpy.context.view_layer.update()
    return ball


def test_the_scene_is_as_before_after_a_capture_a_cancel_and_an_error(tmp_path):
    scene = bpy.context.scene
    ball = furnish(scene)
    before = everything()
    capture_all([ball], small_settings(tmp_path / "whole"))
    assert everything() == before
    for labels in ("material", "object", "none"):
        steps = start_capture([ball], small_settings(tmp_path / labels, labels=labels))
        next(steps)
        assert everything() != before  # or else this test would see nothing
        steps.close()
        assert everything() == before
    with pytest.raises(KeyError), open_studio(scene, small_settings(tmp_path)):
        raise KeyError("anything at all")
    assert everything() == before


def test_a_captured_view_in_the_compositor_equals_cycles(tmp_path):
    """Through Blender itself: the file as an image datablock, beside a render of the same camera, as Standard."""
    scene = bpy.context.scene
    ball = add_ball(scene, 1.3, (0.2, 0.1, 0), segments=32)
    material = bpy.data.materials.new("Shiny")
    material.use_nodes = True
    ball.data.materials.append(material)
    scene.world = bpy.data.worlds.new("World")
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    scene.collection.objects.link(lamp)
    settings = small_settings(tmp_path / "set", size=48, samples=8)
    capture_all([ball], settings)
    camera, _ = read_view(settings.root, "train", 1)
    instance = manifest_of(settings.root)["instances"][0]

    blender_camera = add_camera(scene)
    matrix = flip_axes(camera.pose)
    matrix[:3, 3] = matrix[:3, 3] * instance["scale"] + instance["centre"]
    blender_camera.matrix_world = matrix.T.tolist()
    scene.render.engine, scene.cycles.samples = "CYCLES", 8
    scene.render.resolution_x = scene.render.resolution_y = 48
    scene.render.film_transparent, scene.render.dither_intensity = True, 0
    scene.view_settings.view_transform = "Standard"
    compat.use_cpu_compositor(scene)
    tree = compat.own_compositor_tree(scene)
    layers = tree.nodes.new("CompositorNodeRLayers")
    captured = tree.nodes.new("CompositorNodeImage")
    captured.image = bpy.data.images.load(str(settings.root / "capture_train/thing/rgba/000001.png"))
    tree.links.new(layers.outputs["Image"], compat.add_compositor_output(tree).inputs[0])
    compat.add_file_output(tree, layers.outputs["Image"], tmp_path, "cycles", "PNG", "RGBA")
    compat.add_file_output(tree, captured.outputs["Image"], tmp_path, "captured", "PNG", "RGBA")
    bpy.ops.render.render(scene=scene.name)
    ours, theirs = (read_image(still_path(scene, tmp_path, name, "png")) * 255 for name in ("captured", "cycles"))
    assert theirs[..., 3].max() == 255 and np.ptp(theirs[..., :3][theirs[..., 3] == 255]) > 50
    # Straight colours of nearly transparent pixels mean nothing, so compare what is seen of them.
    ours, theirs = (np.concatenate([p[..., :3] * p[..., 3:] / 255, p[..., 3:]], -1) for p in (ours, theirs))
    assert np.abs(ours - theirs).max() <= 1.001
