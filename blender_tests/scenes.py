"""Small scenes that the tests share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np

from srn_blender import compat


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
        depth = read_image(compat.file_output_path(scene, Path(folder), "depth", "exr"))[..., 0]
    return np.where(depth < 1e9, depth, 0)
