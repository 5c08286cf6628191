"""Brings a user's model into the demo's scene."""

from pathlib import Path

import bpy
from mathutils import Vector

from .scene import add_camera, add_light

SHAPES = {"MESH", "CURVE", "SURFACE", "FONT", "META"}


class ModelError(Exception):
    """The model cannot be used; the message is one sentence that says why."""


def import_model(scene: bpy.types.Scene, path: Path) -> bpy.types.Collection:
    """Import an .obj, .glb or .blend into an empty `scene`, with a camera, and with light where it brings none.

    Returns the collection to capture. Raises ModelError.
    """
    before = set(bpy.data.objects)
    try:
        if path.suffix.lower() == ".obj":
            bpy.ops.wm.obj_import(filepath=str(path))
        elif path.suffix.lower() == ".glb":
            bpy.ops.import_scene.gltf(filepath=str(path))
        else:
            _append(path)
    except (RuntimeError, OSError) as error:
        raise ModelError(f"{path} could not be read: {str(error).strip().splitlines()[0]}") from error
    collection = bpy.data.collections.new(path.stem)
    scene.collection.children.link(collection)
    _sort_into(collection, scene, set(bpy.data.objects) - before)
    centre, radius = _bounds(collection)
    if radius == 0.0:
        raise ModelError(f"{path} holds no shape: export it again with its meshes.")
    if not any(item.type == "LIGHT" for item in scene.objects):
        add_light(scene)
    add_camera(scene, centre, radius)
    return collection


def _append(path: Path) -> None:
    """The objects of a .blend's first scene, or of the whole file where it holds no scene."""
    with bpy.data.libraries.load(str(path)) as (there, here):  # type: ignore[func-returns-value]
        here.scenes = there.scenes[:1]
        here.objects = [] if there.scenes else there.objects
    for scene in here.scenes:
        bpy.data.scenes.remove(scene)


def _sort_into(collection: bpy.types.Collection, scene: bpy.types.Scene, items: set[bpy.types.Object]) -> None:
    """The model's shapes and what carries them into the collection, its lights into the scene, its cameras away."""
    for item in items:
        for other in list(item.users_collection):
            other.objects.unlink(item)
        if item.type == "CAMERA":
            bpy.data.objects.remove(item)
        elif item.type == "LIGHT":
            scene.collection.objects.link(item)
        else:
            collection.objects.link(item)


def _bounds(collection: bpy.types.Collection) -> tuple[Vector, float]:
    """Centre and half diagonal of the box around all shapes; 0 where there is no shape."""
    bpy.context.view_layer.update()
    shapes = [item for item in collection.all_objects if item.type in SHAPES]
    corners = [item.matrix_world @ Vector(corner) for item in shapes for corner in item.bound_box]
    if not corners:
        return Vector(), 0.0
    lowest, highest = (Vector([pick(axis) for axis in zip(*corners, strict=True)]) for pick in (min, max))
    return (lowest + highest) / 2, (highest - lowest).length / 2
