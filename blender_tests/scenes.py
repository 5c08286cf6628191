"""Small scenes that the tests share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np

from srn_blender import compat
from srn_blender.capture.camera import Camera
from srn_blender.capture.instance import Instance
from srn_blender.capture.rigs.placed import rig_poses
from srn_blender.capture.session import capture
from srn_blender.capture.settings import CaptureSettings


def add_camera(scene, location=(0.0, 0.0, 5.0), rotation=(0.0, 0.0, 0.0)):
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = location, rotation
    scene.camera = camera
    return camera


def add_mesh(scene, vertices, faces, name="Mesh", materials=()):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(v) for v in vertices], [], faces)
    for material in materials:
        mesh.materials.append(material)
    mesh.validate()
    target = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(target)
    return target


def add_plane(scene, half=1.0, **how):
    return add_mesh(
        scene, [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)], [(0, 1, 2, 3)], **how
    )


def add_ball(scene, radius=1.0, location=(0.0, 0.0, 0.0), name="Ball", materials=(), segments=64):
    import bmesh

    mesh = bpy.data.meshes.new(name)
    shape = bmesh.new()
    bmesh.ops.create_uvsphere(shape, u_segments=segments, v_segments=segments // 2, radius=radius)
    shape.to_mesh(mesh)
    shape.free()
    for material in materials:
        mesh.materials.append(material)
    ball = bpy.data.objects.new(name, mesh)
    ball.location = location
    scene.collection.objects.link(ball)
    return ball


def emission(name, colour):
    """A material whose colour is the same from everywhere."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    shader = tree.nodes.new("ShaderNodeEmission")
    shader.inputs["Color"].default_value = (*colour, 1.0)
    tree.links.new(shader.outputs[0], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def read_image(path):
    """(H, W, 4) float32, the top row first, as stored."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def still_path(scene, folder, name, suffix):
    """Where a file output has written a still; 4.x adds the frame's number to the name."""
    return folder / f"{name}{'' if compat.IS_5 else f'{scene.frame_current:04d}'}.{suffix}"


def render_depth(scene):
    """What Cycles itself gives as depth, (H, W), 0 where nothing was hit."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.view_layers[0].use_pass_z = True
    compat.use_cpu_compositor(scene)
    tree = compat.own_compositor_tree(scene)
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    with tempfile.TemporaryDirectory() as folder:
        tree.links.new(layers.outputs["Image"], compat.add_compositor_output(tree).inputs[0])
        compat.add_file_output(tree, layers.outputs["Depth"], Path(folder), "depth", "OPEN_EXR", "RGB")
        bpy.ops.render.render(scene=scene.name)
        depth = read_image(still_path(scene, Path(folder), "depth", "exr"))[..., 0]
    return np.where(depth < 1e9, depth, 0)


def small_settings(root, **changes):
    """A capture that takes a second."""
    chosen = {"train_views": 3, "val_views": 1, "test_views": 2, "size": 32, "samples": 4}
    return CaptureSettings(root=root, **{**chosen, **changes})


def placed_poses(counts, radius, seed=0, **changes):
    """The poses of a placed rig, {split: (count, 4, 4)}."""
    views = {f"{split}_views": counts.get(split, 0) for split in ("train", "val", "test")}
    return rig_poses(CaptureSettings(Path(), seed=seed, **views, **changes), radius)


def start_capture(objects, settings, source="Thing", **how):
    """A capture of one instance, named "thing" on disk."""
    return capture(bpy.context.scene, [Instance("thing", source, objects)], settings, **how)


def capture_all(objects, settings, source="Thing", **how):
    """Every progress item of a whole capture."""
    return list(start_capture(objects, settings, source, **how))


def read_view(root, split, index, name="capture", instance="thing"):
    """Camera and passes of a captured view, read as another program would."""
    folder = root / f"{name}_{split}" / instance
    lines = (folder / "intrinsics.txt").read_text().splitlines()
    focal, cx, cy, _ = (float(number) for number in lines[0].split())
    height, width = (int(number) for number in lines[-1].split())
    pose = np.array((folder / "pose" / f"{index:06d}.txt").read_text().split(), float).reshape(4, 4)
    passes = {what: read_image(folder / what / f"{index:06d}.png") * 255 for what in ("rgb", "rgba")}
    passes["depth"] = read_image(folder / "depth" / f"{index:06d}.exr")[..., 0]
    passes["normal"] = read_image(folder / "normal" / f"{index:06d}.exr")[..., :3]
    if (folder / "semantic").exists():
        passes["semantic"] = np.rint(read_image(folder / "semantic" / f"{index:06d}.png")[..., 0] * 255)
    return Camera(pose, focal, focal, cx, cy, width, height), passes


def pixel_rays(camera):
    """The direction (H, W, 3) of the ray through each pixel's centre, as long as one unit of depth."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    return camera.unproject(np.stack([columns + 0.5, rows + 0.5], -1), np.ones(rows.shape)) - camera.position


def everything():
    """What a capture has to leave as it was: every datablock by name, settings, selection, pass indices."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    kinds = [kind for kind in dir(bpy.data) if isinstance(getattr(bpy.data, kind), type(bpy.data.objects))]
    names = {kind: sorted(block.name_full for block in getattr(bpy.data, kind)) for kind in kinds}
    users = {kind: {block.name_full: block.users for block in getattr(bpy.data, kind)} for kind in kinds}
    render, view = scene.render, scene.view_settings
    settings = (
        *(render.engine, render.resolution_x, render.resolution_y, render.resolution_percentage, render.filepath),
        *(render.film_transparent, render.use_persistent_data, render.dither_intensity, render.use_compositing),
        *(view.view_transform, view.look, view.exposure, view.gamma, scene.cycles.samples, scene.frame_current),
        *(scene.camera and scene.camera.name, scene.world and scene.world.name, [v.name for v in scene.view_layers]),
    )
    chosen = (layer.objects.active and layer.objects.active.name, sorted(o.name for o in layer.objects.selected))
    indices = {m.name: m.pass_index for m in [*bpy.data.materials, *bpy.data.objects]}
    matrices = {o.name: np.array(o.matrix_world).tolist() for o in bpy.data.objects}
    tree = compat.existing_compositor_tree(scene)
    nodes = sorted(node.name for node in tree.nodes) if tree else None
    return names, users, settings, chosen, indices, matrices, nodes, scene.name
