"""A surface from the engine as a mesh object: its colours and classes as attributes, where the instance was captured.

Colours are what the cameras saw, light included, so the material gives them out as they are and takes no light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .. import compat
from .view import Trained

COLOUR, CLASS, CLASS_COLOUR, NORMAL = "Colour", "class", "Class Colour", "normal"
MATERIAL = "SRN Surface"


@dataclass(frozen=True, eq=False)
class Geometry:
    """What the mesh of an object is going to hold, each flat as Blender takes it.

    positions and normals: float32 (V * 3,), dataset units. corners: int32 (T * 3,), none for points. colours,
    class_colours: float32 (V * 4,), sRGB. classes: int32 (V,) class ids. What goes with classes is None without labels.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    corners: NDArray[np.int32]
    colours: NDArray[np.float32]
    classes: NDArray[np.int32] | None
    class_colours: NDArray[np.float32] | None

    @property
    def count(self) -> int:
        """How many vertices there are."""
        return len(self.positions) // 3


def prepare(arrays: Mapping[str, NDArray[Any]], trained: Trained) -> Geometry:
    """The arrays of a `mesh` job (docs/protocol.md, "Arrays"); touches no Blender."""
    labels = arrays.get("labels")
    palette = np.rint(trained.palette * 255).astype(np.uint8)
    return Geometry(
        positions=_flat(arrays["vertices"], np.float32),
        normals=_flat(arrays["normals"], np.float32),
        corners=_flat(arrays["triangles"], np.int32),
        colours=_opaque(arrays["colours"]),
        classes=None if labels is None else labels.astype(np.int32),
        class_colours=None if labels is None else _opaque(palette[np.minimum(labels, len(palette) - 1)]),
    )


def place(geometry: Geometry, matrix: Matrix, name: str) -> bpy.types.Object:
    """A new object of that name, in no collection yet; matrix: from dataset units to the world."""
    mesh: Any = bpy.data.meshes.new(name)
    _build(mesh, geometry)
    _paint(mesh, COLOUR, geometry.colours)
    if geometry.classes is not None:
        mesh.attributes.new(CLASS, "INT", "POINT").data.foreach_set("value", geometry.classes)
        _paint(mesh, CLASS_COLOUR, geometry.class_colours)
    if not len(geometry.corners):  # Blender knows the normals of faces, not of points
        mesh.attributes.new(NORMAL, "FLOAT_VECTOR", "POINT").data.foreach_set("vector", geometry.normals)
    mesh.color_attributes.active_color = mesh.color_attributes[COLOUR]
    mesh.materials.append(_material())
    placed = bpy.data.objects.new(name, mesh)
    placed.matrix_world = matrix
    return placed


def captured_at(trained: Trained) -> Matrix:
    """The matrix that takes an instance's dataset units to where it was captured."""
    return Matrix.Translation(trained.centre.tolist()) @ Matrix.Scale(trained.scale, 4)


def _build(mesh: Any, geometry: Geometry) -> None:
    """Fills positions and faces, through attributes: they are copied as they are, where `co` goes one by one."""
    mesh.vertices.add(geometry.count)
    mesh.attributes["position"].data.foreach_set("vector", geometry.positions)
    corners = len(geometry.corners)
    if corners:
        mesh.loops.add(corners)
        mesh.attributes[".corner_vert"].data.foreach_set("value", geometry.corners)
        mesh.polygons.add(corners // 3)
        mesh.polygons.foreach_set("loop_start", np.arange(0, corners, 3, dtype=np.int32))
        mesh.shade_smooth()
    mesh.update(calc_edges=True)


def _paint(mesh: Any, name: str, colours: NDArray[np.float32] | None) -> None:
    """A colour attribute that holds sRGB bytes, which Blender turns linear where it needs that."""
    mesh.color_attributes.new(name, "BYTE_COLOR", "POINT").data.foreach_set("color_srgb", colours)


def _material() -> bpy.types.Material:
    """The material that gives out the attribute COLOUR; the one that is there, where it is."""
    found = bpy.data.materials.get(MATERIAL)
    if found is not None:
        return found
    material = bpy.data.materials.new(MATERIAL)
    tree: Any = compat.material_tree(material)
    tree.nodes.clear()
    colour, shader, output = (
        tree.nodes.new(f"ShaderNode{kind}") for kind in ("Attribute", "Emission", "OutputMaterial")
    )
    colour.attribute_name = COLOUR
    shader.location.x, output.location.x = 200.0, 400.0
    tree.links.new(colour.outputs["Color"], shader.inputs["Color"])
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return material


def _flat(values: NDArray[Any], kind: Any) -> NDArray[Any]:
    return np.ascontiguousarray(values, kind).ravel()


def _opaque(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes (V, 3) as floats (V * 4,) from 0 to 1, alpha 1."""
    opaque = np.ones((len(colours), 4), np.float32)
    opaque[:, :3] = colours / np.float32(255)
    return opaque.ravel()
