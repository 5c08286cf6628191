"""Which objects make up an instance, and how large it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Array = NDArray[np.float64]

SURFACES = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
# Seen by Cycles, but without a mesh to measure: their bounding box has to do.
BOXES = {"CURVES", "POINTCLOUD", "VOLUME"}


@dataclass(frozen=True)
class Part:
    """One piece of evaluated geometry: its points in world axes, (N, 3), and where they come from."""

    points: Array
    owner: bpy.types.Object
    materials: tuple[bpy.types.Material | None, ...]


def instance_id(name: str) -> str:
    """An id for a folder from any name in Blender: letters, digits, "-" and "_", at most 64."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "instance"


def gather_objects(objects: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects and all their children that a render shows, in a stable order.

    Raises UserError where nothing is left.
    """
    if not objects:
        raise UserError("Select the object to capture, or choose a collection.")
    family = {child.name_full: child for parent in objects for child in (parent, *parent.children_recursive)}
    shown = [family[name] for name in sorted(family) if not (family[name].hide_render or family[name].hide_viewport)]
    kinds = SURFACES | BOXES | {"EMPTY"}  # an empty may stand for a whole collection
    renderable = [candidate for candidate in shown if candidate.type in kinds]
    if not renderable:
        names = ", ".join(sorted(chosen.name for chosen in objects)[:3])
        raise UserError(f"Select something that a render shows: '{names}' holds no visible surface.")
    return renderable


def shown_geometry(
    depsgraph: bpy.types.Depsgraph, members: Collection[bpy.types.Object] | None, kinds: Collection[str]
) -> Iterator[tuple[Any, Array]]:
    """Each evaluated object of some `kinds` that `depsgraph` shows, and its matrix (4, 4); instances included.

    members: where given, these objects and what they instance alone. An object is not to be kept beyond its step.
    """
    for shown in depsgraph.object_instances:
        evaluated: Any = shown.object
        source: Any = shown.parent if shown.is_instance else evaluated
        if shown.show_self and evaluated.type in kinds and (members is None or source.original in members):
            yield evaluated, np.array(shown.matrix_world, np.float64)


def measure_parts(
    depsgraph: bpy.types.Depsgraph, members: Collection[bpy.types.Object] | None = None
) -> list[Part]:
    """The geometry that `depsgraph` shows, instances included; of `members` alone where they are given.

    Raises UserError where there is not one face.
    """
    meshes: dict[int, tuple[Array, tuple[bpy.types.Material | None, ...]]] = {}
    parts = []
    for evaluated, matrix in shown_geometry(depsgraph, members, SURFACES | BOXES):
        # Instances of one object share its geometry, which is read only once.
        key = evaluated.as_pointer()
        if key not in meshes:
            meshes[key] = _read_surface(evaluated) if evaluated.type in SURFACES else _read_box(evaluated)
        points, materials = meshes[key]
        if len(points):
            parts.append(Part(points @ matrix[:3, :3].T + matrix[:3, 3], evaluated.original, materials))
    if not parts:
        raise UserError("Select an object with faces: what is selected has none to render.")
    return parts


def _read_surface(evaluated: Any) -> tuple[Array, tuple[bpy.types.Material | None, ...]]:
    """The points that faces use, in the object's axes, and the materials that faces use."""
    mesh = evaluated.to_mesh()
    if mesh is None or not len(mesh.polygons):
        evaluated.to_mesh_clear()
        return np.empty((0, 3)), ()
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    slots = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", slots)
    on_mesh = list(mesh.materials)
    materials = tuple(material_of_slot(evaluated, on_mesh, int(slot)) for slot in np.unique(slots))
    used = points.reshape(-1, 3)[np.unique(corners)].astype(np.float64)
    evaluated.to_mesh_clear()
    return used, materials


def _read_box(evaluated: Any) -> tuple[Array, tuple[bpy.types.Material | None, ...]]:
    materials = tuple(_original(slot.material) for slot in evaluated.material_slots) or (None,)
    return np.array(evaluated.bound_box, np.float64), materials


def material_of_slot(evaluated: Any, on_mesh: list[Any], slot: int) -> bpy.types.Material | None:
    """The material of a slot as Blender resolves it: a slot past the last counts as the last."""
    slots = evaluated.material_slots
    if len(slots):
        slot = min(slot, len(slots) - 1)
        return _original(slots[slot].material)
    return _original(on_mesh[min(slot, len(on_mesh) - 1)]) if on_mesh else None


def _original(material: Any) -> bpy.types.Material | None:
    return material.original if material else None


def bounding_sphere(parts: Sequence[Part]) -> tuple[Array, float]:
    """Centre (3,) and radius, in Blender units, of a sphere around all points: that of their box, drawn tight.

    Raises UserError where the points have no extent, or none that is a number.
    """
    lowest = np.min([part.points.min(0) for part in parts], 0)
    highest = np.max([part.points.max(0) for part in parts], 0)
    centre = (lowest + highest) / 2
    radius = max(float(np.linalg.norm(part.points - centre, axis=1).max()) for part in parts)
    if not (np.isfinite(radius) and radius > 0):
        raise UserError("Select an object with some size: all the points of what is selected lie in one place.")
    return centre, radius


def require_textures(parts: Sequence[Part], world: bpy.types.World | None) -> None:
    """Raises UserError, naming the image and its file, where a texture in use cannot be read."""
    users: list[Any] = [world, *(material for part in parts for material in part.materials)]
    trees = [user.node_tree for user in dict.fromkeys(users) if user and user.node_tree]
    for tree in trees:
        for image in _images(tree, set()):
            for path in _files(image):
                if not path.is_file():
                    raise UserError(f"Find the missing file of image '{image.name}' or unlink it: {path}")


def _images(tree: Any, seen: set[int]) -> Iterator[bpy.types.Image]:
    """The images of a node tree's texture nodes and of the groups in it."""
    seen.add(tree.as_pointer())
    for node in tree.nodes:
        if node.mute:
            continue
        inner = getattr(node, "node_tree", None)
        if inner and inner.as_pointer() not in seen:
            yield from _images(inner, seen)
        if node.type in {"TEX_IMAGE", "TEX_ENVIRONMENT"} and node.image:
            yield node.image


def _files(image: bpy.types.Image) -> list[Path]:
    """The files that an image is read from."""
    if image.packed_file or image.packed_files or image.source not in {"FILE", "TILED"}:
        return []
    path = bpy.path.abspath(image.filepath_raw, library=image.library)
    if image.source == "TILED":
        return [Path(path.replace("<UDIM>", str(tile.number))) for tile in image.tiles]
    return [Path(path)]
