"""The geometry that a render shows: where its points lie, how large it is, and a hash of what it looks like.

Blender's part of it only copies arrays; what takes longer is done with the copies and needs no Blender.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .instance import BOXES, SURFACES

Array = NDArray[np.float64]
Materials = tuple["bpy.types.Material | None", ...]
# By the type of an attribute: the name of its values, how many numbers each has, and their kind.
ATTRIBUTES: dict[str, tuple[str, int, Any]] = {
    "FLOAT": ("value", 1, np.float32),
    "INT": ("value", 1, np.int32),
    "INT8": ("value", 1, np.int8),
    "BOOLEAN": ("value", 1, np.bool_),
    "FLOAT_VECTOR": ("vector", 3, np.float32),
    "FLOAT2": ("vector", 2, np.float32),
    "FLOAT_COLOR": ("color", 4, np.float32),
    "BYTE_COLOR": ("color", 4, np.float32),
    "QUATERNION": ("value", 4, np.float32),
    "INT16_2D": ("value", 2, np.int16),
    "INT32_2D": ("value", 2, np.int32),
    "FLOAT4X4": ("value", 16, np.float32),
}
TOPOLOGY = {".edge_verts", ".corner_vert", ".corner_edge"}


@dataclass(frozen=True, eq=False)
class Shape:
    """Geometry in its own axes. points: (N, 3). corners: the numbers of the points that faces use, None for all.

    seen: all that has a part in its look, by name.
    """

    points: NDArray[np.float32]
    corners: NDArray[np.int32] | None
    seen: dict[str, NDArray[Any]]

    @cached_property
    def used(self) -> Array:
        """The points that faces use, (M, 3)."""
        if self.corners is None:
            return self.points.astype(np.float64)
        used = np.zeros(len(self.points), bool)
        used[self.corners] = True
        return self.points[used].astype(np.float64)

    @cached_property
    def digest(self) -> str:
        """A hash of everything seen."""
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.seen):
            digest.update(name.encode())
            digest.update(self.seen[name].data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Part:
    """One piece of evaluated geometry, and where it comes from. matrix: (4, 4), from its own axes to the world's."""

    shape: Shape
    matrix: Array
    owner: bpy.types.Object
    materials: Materials

    @cached_property
    def points(self) -> Array:
        """The points that faces use, in world axes, (N, 3)."""
        points: Array = self.shape.used @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return points


def shown_geometry(
    depsgraph: bpy.types.Depsgraph, members: Collection[bpy.types.Object] | None, kinds: Collection[str]
) -> Iterator[tuple[Any, Array, tuple[int, int]]]:
    """Each evaluated object of some `kinds` that `depsgraph` shows, its matrix (4, 4), and what tells its geometry from
    others; instances included, which share theirs.

    members: where given, these objects and what they instance alone. An object is not to be kept beyond its step.
    """
    for shown in depsgraph.object_instances:
        evaluated: Any = shown.object
        parent: Any = shown.parent if shown.is_instance else evaluated
        if shown.show_self and evaluated.type in kinds and (members is None or parent.original in members):
            # The object of an instance is made anew for each, at an address that was another's.
            whose: Any = shown.instance_object if shown.is_instance else evaluated
            yield evaluated, np.array(shown.matrix_world, np.float64), (whose.as_pointer(), evaluated.data.as_pointer())


def measure_parts(depsgraph: bpy.types.Depsgraph, members: Collection[bpy.types.Object] | None = None) -> list[Part]:
    """The geometry that `depsgraph` shows, instances included; of `members` alone where they are given.

    Raises UserError where there is not one face.
    """
    shapes: dict[tuple[int, int], tuple[Shape, Materials]] = {}
    parts = []
    for evaluated, matrix, key in shown_geometry(depsgraph, members, SURFACES | BOXES):
        if key not in shapes:
            shapes[key] = _read_surface(evaluated) if evaluated.type in SURFACES else _read_box(evaluated)
        shape, materials = shapes[key]
        if len(shape.points):
            parts.append(Part(shape, matrix, evaluated.original, materials))
    if not parts:
        raise UserError("Select an object with faces: what is selected has none to render.")
    return parts


def _read_surface(evaluated: Any) -> tuple[Shape, Materials]:
    mesh = evaluated.to_mesh()
    if mesh is None or not len(mesh.polygons):
        evaluated.to_mesh_clear()
        return Shape(np.empty((0, 3), np.float32), None, {}), ()
    seen = _attributes(mesh)  # far faster to read than the same of mesh.loops and mesh.polygons
    points, corners = seen["position POINT"].reshape(-1, 3), seen[".corner_vert CORNER"]
    slots = seen.get("material_index FACE", np.zeros(1, np.int32))
    used = np.flatnonzero(np.bincount(slots))
    on_mesh = list(mesh.materials)
    materials = tuple(material_of_slot(evaluated, on_mesh, int(slot)) for slot in used)
    if mesh.has_custom_normals:
        seen[".normals"] = _values(mesh.corner_normals, "vector", 3, np.float32)
    shape = Shape(points, corners, seen)
    evaluated.to_mesh_clear()
    return shape, materials


def _read_box(evaluated: Any) -> tuple[Shape, Materials]:
    materials = tuple(_original(slot.material) for slot in evaluated.material_slots) or (None,)
    box = np.array(evaluated.bound_box, np.float32)
    return Shape(box, None, {".box": box, **_attributes(evaluated.data)}), materials


def _attributes(data: Any) -> dict[str, NDArray[Any]]:
    """What makes up geometry: points, faces, and what a person or a modifier has put on them: UVs, colours, ...

    Other names that begin with a dot are selections and the like.
    """
    return {
        f"{attribute.name} {attribute.domain}": _values(attribute.data, *ATTRIBUTES[attribute.data_type])
        for attribute in getattr(data, "attributes", ())
        if (attribute.name in TOPOLOGY or not attribute.name.startswith(".")) and attribute.data_type in ATTRIBUTES
    }


def _values(collection: Any, name: str, width: int, kind: Any) -> NDArray[Any]:
    values = np.empty(len(collection) * width, kind)
    collection.foreach_get(name, values)
    return values


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
