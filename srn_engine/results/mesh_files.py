"""Meshes and point clouds as files that other programs open: PLY, OBJ and GLB."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from srn_engine.errors import UserError
from srn_engine.results.fusion import Floats
from srn_engine.results.mesh import Surface
from srn_engine.results.view_files import write_whole

FORMATS = ("ply", "obj", "glb")


def check_name(path: Path, points: bool) -> str:
    """The format that the name of a file to be written asks for; UserError where it is none that can be."""
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        raise UserError(f"{path.name} must end in .{', .'.join(FORMATS)}.")
    if points and kind != "ply":
        raise UserError(f"A point cloud is written as .ply, not as .{kind}.")
    return kind


def write_surface(path: Path, surface: Surface) -> None:
    """Writes a mesh, or a point cloud where it has no triangles; what was there before is replaced as a whole.

    PLY keeps everything: colours as sRGB bytes, normals, labels as the vertex property `label`. GLB keeps labels as the
    vertex attribute `_LABEL` and colours linearly, as its standard wants; OBJ has colours and no labels. UserError
    where the file cannot be written.
    """
    kind = check_name(path, not len(surface.triangles))
    data = _exported(surface, kind)
    write_whole(path, lambda part: part.write_bytes(data))


def _exported(surface: Surface, kind: str) -> bytes:
    if kind == "ply":
        labels = {} if surface.labels is None else {"label": surface.labels}
        mesh = _mesh(surface, surface.vertices, surface.normals, labels, surface.colours)
        return _bytes(mesh.export(file_type="ply", vertex_normal=True))
    vertices, normals = _y_up(surface.vertices), _y_up(surface.normals)
    if kind == "obj":
        mesh = _mesh(surface, vertices, normals, {}, surface.colours)
        return _bytes(mesh.export(file_type="obj", include_normals=True))
    values = {"_colour": _linear(surface.colours)}
    if surface.labels is not None:
        values["_LABEL"] = surface.labels.astype(np.float32)  # the standard's integers of one byte come in fours
    mesh = _mesh(surface, vertices, normals, values, None)
    return _bytes(mesh.export(file_type="glb", include_normals=True, tree_postprocessor=_name_colours))


def _y_up(vectors: Floats) -> Floats:
    """Vectors (n, 3) with z up in axes with y up, as OBJ and GLB have by every importer's default and by standard."""
    return np.stack([vectors[:, 0], vectors[:, 2], -vectors[:, 1]], axis=1)


def _bytes(exported: Any) -> bytes:
    return exported.encode() if isinstance(exported, str) else bytes(exported)


def _mesh(
    surface: Surface, vertices: Floats, normals: Floats, attributes: Mapping[str, Any], colours: Any
) -> trimesh.Trimesh:
    return trimesh.Trimesh(
        vertices, surface.triangles, vertex_normals=normals, vertex_colors=colours,
        vertex_attributes=dict(attributes), process=False,
    )  # fmt: skip


def _name_colours(tree: dict[str, Any]) -> None:
    """Calls the colours what the standard calls them; trimesh itself writes them in 8 bit, too few for linear ones."""
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    attributes["COLOR_0"] = attributes.pop("_colour")


def _linear(colours: NDArray[np.uint8]) -> Floats:
    """sRGB bytes as linear values from 0 to 1 (IEC 61966-2-1)."""
    c = colours.astype(np.float32) / 255
    linear: Floats = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return linear
