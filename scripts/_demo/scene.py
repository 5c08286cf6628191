"""The demo's own scene: coffee and a doughnut on a checkered tray, made by code, one collection.

It holds what makes a neural scene hard: thin parts (spoon, pencil), holes (handle, doughnut), an image texture,
and seven materials that become the semantic classes.
"""

from collections.abc import Sequence

import bmesh
import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Colour = tuple[float, float, float]

COLLECTION = "Still life"
AROUND = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)


def build_scene(scene: bpy.types.Scene) -> bpy.types.Collection:
    """Build the still life, its lights and a camera in an empty `scene`; return the collection to capture."""
    collection = bpy.data.collections.new(COLLECTION)
    scene.collection.children.link(collection)
    for item in (_tray(), *_mug(), _coffee(), _spoon(), _doughnut(), _pencil()):
        collection.objects.link(item)
    add_light(scene)
    add_camera(scene, Vector((0.0, 0.0, 0.45)), 1.15)
    return collection


def add_light(scene: bpy.types.Scene) -> None:
    """A soft sky and a wide sun, which suit a subject of any size."""
    world = bpy.data.worlds.new("Soft sky")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.86, 0.93, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.55
    scene.world = world
    lamp = bpy.data.lights.new("Sun", "SUN")
    lamp.energy = 2.6
    lamp.angle = 0.25  # a wide sun: soft shadows, little noise
    lamp.color = (1.0, 0.94, 0.86)
    sun = bpy.data.objects.new("Sun", lamp)
    sun.rotation_euler = (0.6, 0.35, 0.0)
    scene.collection.objects.link(sun)


def add_camera(scene: bpy.types.Scene, target: Vector, radius: float) -> bpy.types.Object:
    """A camera in front and above that holds a subject of the given radius (Blender units) around `target`."""
    data = bpy.data.cameras.new("Camera")
    data.lens = 50.0
    data.clip_start, data.clip_end = 0.01 * radius, 100.0 * radius
    camera = bpy.data.objects.new("Camera", data)
    camera.location = target + Vector((0.9, -2.5, 1.5)) * radius
    camera.rotation_euler = (target - camera.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def _tray() -> bpy.types.Object:
    profile = [(0.0, 0.0), (0.93, 0.0), (1.0, 0.03), (1.0, 0.11), (0.95, 0.11), (0.92, 0.05), (0.0, 0.05)]
    tray = _surface("Tray", _lathe(profile), [_material("Tray", _checks(), 0.7)], smooth=False)
    layer = tray.data.uv_layers.new(name="Plan")
    corners = [tray.data.vertices[loop.vertex_index].co for loop in tray.data.loops]
    layer.data.foreach_set("uv", np.array([(0.5 + 0.5 * co.x, 0.5 + 0.5 * co.y) for co in corners]).ravel())
    return tray


def _mug() -> tuple[bpy.types.Object, bpy.types.Object]:
    outside = [(0.0, 0.0), (0.27, 0.0), (0.33, 0.04), (0.36, 0.16), (0.37, 0.4), (0.37, 0.74)]
    inside = [(0.355, 0.765), (0.335, 0.74), (0.33, 0.4), (0.31, 0.12), (0.0, 0.1)]
    material = _material("Mug", (0.05, 0.26, 0.36), 0.45)
    mug = _surface("Mug", _lathe(outside + inside), [material])
    bend = np.linspace(0.51 * np.pi, -0.54 * np.pi, 24)
    path = np.stack([0.36 + 0.25 * np.cos(bend), 0 * bend, 0.41 + 0.25 * np.sin(bend)], axis=-1)
    handle = _surface("Handle", _tube(path, np.full(len(path), 0.05)), [material])
    handle.parent = mug
    mug.location = (-0.36, 0.22, 0.05)
    mug.rotation_euler.z = 0.3
    return mug, handle


def _coffee() -> bpy.types.Object:
    coffee = _surface("Coffee", _lathe([(0.332, 0.64), (0.0, 0.64)]), [_material("Coffee", (0.07, 0.028, 0.012), 0.4)])
    coffee.location = (-0.36, 0.22, 0.05)
    return coffee


def _spoon() -> bpy.types.Object:
    path = np.linspace((-0.3, 0.2, 0.5), (-0.72, 0.32, 1.26), 12)
    radii = np.interp(np.linspace(0, 1, 12), [0.0, 0.8, 0.93, 1.0], [0.022, 0.026, 0.05, 0.02])
    return _surface("Spoon", _tube(path, radii), [_material("Spoon", (0.6, 0.6, 0.58), 0.35)])


def _doughnut() -> bpy.types.Object:
    """A torus whose upper part, down to a wavy edge, is a little thicker and iced."""
    across = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    turn, roll = np.meshgrid(AROUND, across, indexing="xy")
    edge = 0.12 + 0.12 * np.sin(5 * turn) + 0.06 * np.sin(8 * turn + 1.0)
    iced = np.sin(roll) > edge
    thickness = np.where(iced, 0.165, 0.15)
    ring = 0.27 + thickness * np.cos(roll)
    points = np.stack([ring * np.cos(turn), ring * np.sin(turn), 0.15 + thickness * np.sin(roll)], axis=-1)
    materials = [_material("Dough", (0.62, 0.33, 0.12), 0.8), _material("Icing", (0.85, 0.2, 0.36), 0.5)]
    doughnut = _surface("Doughnut", np.concatenate([points, points[:1]]), materials, iced.astype(int))
    doughnut.location = (0.36, -0.22, 0.05)
    doughnut.rotation_euler = (0.0, 0.0, 0.4)
    return doughnut


def _pencil() -> bpy.types.Object:
    profile = [(0.0, 0.0), (0.036, 0.0), (0.036, 0.1), (0.036, 0.78), (0.0, 0.92)]
    corners = AROUND[:: len(AROUND) // 6][:6]
    material = _material("Pencil", (0.9, 0.55, 0.03), 0.6)
    pencil = _surface("Pencil", _lathe(profile, corners), [material], smooth=False)
    pencil.location = (-0.62, -0.36, 0.085)
    pencil.rotation_euler = (0.0, 0.5 * np.pi, -0.62)
    return pencil


def _lathe(profile: Sequence[tuple[float, float]], angles: Floats = AROUND) -> Floats:
    """A profile of (radius, height) turned around z: points (profile, angles, 3)."""
    radius, height = np.array(profile, dtype=float).T[:, :, None]
    return np.stack(
        [radius * np.cos(angles), radius * np.sin(angles), np.broadcast_to(height, (len(height), len(angles)))], axis=-1
    )


def _tube(path: Floats, radii: Floats) -> Floats:
    """A round tube along a path (N, 3) that never runs along y, closed at both ends: points (N + 2, angles, 3)."""
    angles = AROUND[::4, None]
    rings = []
    for point, along, radius in zip(path, np.gradient(path, axis=0), radii, strict=True):
        across = np.cross(along, (0.0, 1.0, 0.0))
        side = np.cross(across, along)
        frame = [radius * axis / np.linalg.norm(axis) for axis in (across, side)]
        rings.append(point + np.cos(angles) * frame[0] + np.sin(angles) * frame[1])
    caps = [np.broadcast_to(end, (1, len(angles), 3)) for end in (path[0], path[-1])]
    return np.concatenate([caps[0], np.array(rings), caps[1]])


def _surface(
    name: str,
    points: Floats,
    materials: Sequence[bpy.types.Material],
    material_of: NDArray[np.integer] | None = None,
    smooth: bool = True,
) -> bpy.types.Object:
    """An object out of rings of points (rings, around, 3), each joined with the next and closed around itself.

    `material_of` (rings, around) holds indices into `materials` for the faces that begin at each point."""
    rings, around = points.shape[:2]
    mesh = bpy.data.meshes.new(name)
    build = bmesh.new()
    corners = [[build.verts.new(point) for point in ring] for ring in points]
    for i in range(rings - 1):
        for j in range(around):
            k = (j + 1) % around
            face = build.faces.new((corners[i][j], corners[i][k], corners[i + 1][k], corners[i + 1][j]))
            face.smooth = smooth
            face.material_index = 0 if material_of is None else int(material_of[i, j])
    bmesh.ops.remove_doubles(build, verts=build.verts[:], dist=1e-6)
    bmesh.ops.recalc_face_normals(build, faces=build.faces[:])
    build.to_mesh(mesh)
    build.free()
    for material in materials:
        mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def _material(name: str, colour: Colour | bpy.types.Image, roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes = material.node_tree.nodes
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = roughness
    if isinstance(colour, bpy.types.Image):
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = colour
        material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    else:
        shader.inputs["Base Color"].default_value = (*colour, 1.0)
    return material


def _checks() -> bpy.types.Image:
    """Seven checks across in two warm tones, packed into the .blend."""
    size, checks = 256, 7
    cell = np.arange(size) * checks // size
    odd = (cell[:, None] + cell[None, :]) % 2 == 1
    pixels = np.where(odd[..., None], (0.9, 0.84, 0.7, 1.0), (0.55, 0.24, 0.14, 1.0))
    image = bpy.data.images.new("Checks", size, size)
    image.pixels.foreach_set(pixels.ravel().tolist())
    image.pack()
    return image
