"""Shows what is captured in the colours of its classes: flat triangles drawn over the 3D views, nothing is changed.

The triangles of each object are kept; what the dependency graph reports as changed is read again at the next drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix
from numpy.typing import NDArray

from ..capture.geometry import material_of_slot
from ..capture.instance import SURFACES, gather_objects
from ..capture.labels import BACKGROUND, NO_MATERIAL, in_order, list_classes, source_of_object
from ..capture.settings import LabelClass
from ..errors import UserError
from .panel_parts import redraw_views

Triangles = NDArray[np.float32]
Colour = tuple[float, float, float]

# Towards the eye, as a part of the depth's range: the triangles lie on the very surfaces that are in the view.
NEARER = 2e-5


@dataclass(frozen=True)
class Subject:
    """What is shown: the objects with their children, and how they are labelled, as in CaptureSettings."""

    objects: Sequence[bpy.types.Object]
    kind: str
    label_property: str
    classes: Sequence[LabelClass]


@dataclass
class _Preview:
    """What is drawn while the preview is on.

    stale: the batches are to be made again. shapes: triangles in the objects' own axes, by full name and material.
    """

    handle: Any
    subject: Callable[[Any], Subject]
    stale: bool = True
    shapes: dict[str, Mapping[str, Triangles]] = field(default_factory=dict)
    batches: list[tuple[Colour, Any]] = field(default_factory=list)
    problem: str = ""


_preview: _Preview | None = None


def is_on() -> bool:
    """Whether the classes are shown."""
    return _preview is not None


def problem() -> str:
    """Why nothing is shown though the preview is on, in a sentence; empty where there is no reason."""
    return _preview.problem if _preview is not None else ""


def turn_on(subject: Callable[[Any], Subject]) -> None:
    """Shows in every 3D view what `subject` gives for its context, until `turn_off` or until a file is opened."""
    global _preview
    _preview = _Preview(None, subject)
    _preview.handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    for handlers, handler in _handlers():
        handlers.append(handler)
    redraw_views()


def turn_off() -> None:
    """Shows the views as they are; nothing happens where they are shown so already."""
    global _preview
    if _preview is None:
        return
    bpy.types.SpaceView3D.draw_handler_remove(_preview.handle, "WINDOW")
    for handlers, handler in _handlers():
        handlers.remove(handler)
    _preview = None
    redraw_views()


def update() -> None:
    """To be called when the classes have changed."""
    if _preview is not None:
        _preview.stale = True
        redraw_views()


def coloured_triangles(
    depsgraph: bpy.types.Depsgraph, subject: Subject, shapes: dict[str, Mapping[str, Triangles]]
) -> dict[Colour, Triangles]:
    """The triangles of each colour, float32 (3 T, 3) in world axes, of what `depsgraph` shows of the subject.

    shapes: what was read already, by the objects' full names; what is read now is added. Raises UserError where
    nothing can be captured or the classes contradict themselves.
    """
    members = {member.name_full for member in gather_objects(subject.objects)}
    placed: list[tuple[str, Triangles]] = []
    instances: Any = depsgraph.object_instances
    for shown in instances:
        evaluated = shown.object
        name = evaluated.original.name_full
        maker = shown.parent.original.name_full if shown.parent else name
        if not shown.show_self or evaluated.type not in SURFACES or maker not in members:
            continue
        if name not in shapes:
            shapes[name] = _triangles_of(evaluated)
        matrix = np.array(shown.matrix_world, np.float32)
        for material, triangles in shapes[name].items():
            source = material
            if subject.kind != "material":
                source = source_of_object(evaluated.original, subject.kind, subject.label_property)
            placed.append((source, triangles @ matrix[:3, :3].T + matrix[:3, 3]))
    classes = list_classes(in_order({source for source, _ in placed}), subject.classes)
    colour_of = {source: one.colour for one in classes for source in one.sources}
    found: dict[Colour, list[Triangles]] = {}
    for source, triangles in placed:
        found.setdefault(colour_of.get(source, BACKGROUND.colour), []).append(triangles)
    return {colour: np.concatenate(parts) for colour, parts in found.items()}


def _triangles_of(evaluated: Any) -> dict[str, Triangles]:
    """The corners of an object's triangles, float32 (3 T, 3) in its own axes, by material."""
    mesh = evaluated.to_mesh()
    if mesh is None or not len(mesh.polygons):
        evaluated.to_mesh_clear()
        return {}
    mesh.calc_loop_triangles()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    corners = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    slots = np.empty(len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("material_index", slots)
    on_mesh = list(mesh.materials)
    by_material: dict[str, list[Triangles]] = {}
    for slot in np.unique(slots):
        material = material_of_slot(evaluated, on_mesh, int(slot))
        chosen = corners.reshape(-1, 3)[slots == slot].ravel()
        by_material.setdefault(material.name_full if material else NO_MATERIAL, []).append(
            points.reshape(-1, 3)[chosen]
        )
    evaluated.to_mesh_clear()
    return {name: np.concatenate(parts) for name, parts in by_material.items()}


@persistent  # type: ignore[untyped-decorator]
def _notice(scene: Any, depsgraph: Any) -> None:
    """Forgets what has changed."""
    assert _preview is not None, "the handler goes with it"
    _preview.stale = True
    for change in depsgraph.updates:
        if isinstance(change.id, bpy.types.Object) and (change.is_updated_geometry or change.is_updated_shading):
            _preview.shapes.pop(change.id.name_full, None)


@persistent  # type: ignore[untyped-decorator]
def _forget(*_: object) -> None:
    """Undo and redo do not say what they change."""
    assert _preview is not None, "the handler goes with it"
    _preview.stale = True
    _preview.shapes.clear()


@persistent  # type: ignore[untyped-decorator]
def _leave(*_: object) -> None:
    turn_off()


def _handlers() -> list[tuple[list[Any], Any]]:
    """What is called while the preview is on, beside the drawing."""
    when = bpy.app.handlers
    return [
        (when.depsgraph_update_post, _notice),
        (when.undo_post, _forget),
        (when.redo_post, _forget),
        (when.load_pre, _leave),
    ]


def _draw() -> None:
    assert _preview is not None, "the handler goes with it"
    context: Any = bpy.context
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    if _preview.stale:
        _preview.stale, _preview.problem = False, ""
        try:
            triangles = coloured_triangles(
                context.evaluated_depsgraph_get(), _preview.subject(context), _preview.shapes
            )
        except UserError as error:
            _preview.problem, triangles = str(error), {}
        make: Any = batch_for_shader
        _preview.batches = [(colour, make(shader, "TRIS", {"pos": corners})) for colour, corners in triangles.items()]
    closer = Matrix.Identity(4)
    closer[2][3] = -NEARER
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.depth_mask_set(True)
    stack: Any = gpu.matrix.push_pop_projection()
    with stack:
        gpu.matrix.load_projection_matrix(closer @ gpu.matrix.get_projection_matrix())
        shader.bind()
        for colour, batch in _preview.batches:
            shader.uniform_float("color", (*colour, 1.0))
            batch.draw(shader)
    gpu.state.depth_mask_set(False)
    gpu.state.depth_test_set("NONE")
