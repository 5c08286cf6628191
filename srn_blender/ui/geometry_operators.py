"""Extract Geometry."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

import bpy
from mathutils import Matrix

from ..capture.background import in_background
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED
from ..errors import UserError
from ..results import geometry, view
from ..results.placed import folder_of_instance, is_placed
from ..results.placed_run import placed_run
from . import tasks
from .capture_operator import source_in_mind
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of

NAMES = {"mesh": "Surface", "points": "Points"}


class SRN_OT_extract_geometry(LongWork, bpy.types.Operator):
    """Make a mesh or a point cloud of the neural scene, with colours and classes, where it was captured or placed"""

    bl_idname = "srn.extract_geometry"
    bl_label = "Extract Geometry"
    bl_options = {"UNDO"}
    kind, busy = "geometry", "Geometry is being extracted already"

    def begin(self, context: Any) -> tasks.Task:
        settings = settings_of(context.scene)
        trained, matrix = _in_mind(context)
        params: dict[str, Any] = {"instance": trained.instance, "resolution": settings.mesh_resolution}
        if settings.geometry == "points":
            params["points"] = settings.point_count
        name = f"{trained.source} {NAMES[settings.geometry]}"
        request = JobRequest("mesh", params, {"run": FolderRead(trained.run, RENDERED)})
        place = partial(_place, trained, matrix, name, context.scene.session_uid)
        job = tasks.Job(request, place, lambda result: "The extraction was cancelled.")
        return tasks.JobTask("geometry", job, lambda: open_engine(context))


def _in_mind(context: Any) -> tuple[view.Trained, Matrix]:
    """What is extracted, and the matrix that takes its dataset units to the world: what the active empty places, else
    the instance in mind of the run in mind."""
    active: Any = context.view_layer.objects.active
    if active is None or not is_placed(active):
        run = folder_of(settings_of(context.scene).run_path, "Run")
        trained = view.read_run(run, source_in_mind(context))
        return trained, geometry.captured_at(trained)
    if (active.srn.second and active.srn.blend) or len(active.srn.further):
        raise UserError(f"Set Blend of '{active.name}' to 0, without more instances: one is extracted at a time.")
    run = folder_of_instance(active)
    if active.srn.instance and active.srn.instance not in placed_run(run).sources:
        raise UserError(f"Choose another instance: the run in {run} holds none named '{active.srn.instance}'.")
    trained = view.read_run(run, active.srn.instance)
    return trained, active.matrix_world @ Matrix.Scale(trained.scale, 4)


def _place(
    trained: view.Trained,
    matrix: Matrix,
    name: str,
    scene_uid: int,
    result: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> Generator[None, None, str]:
    """Puts what came into the scene; says how it went. The selection stays: it is what is captured next."""
    prepared = yield from in_background(partial(geometry.prepare, arrays, trained))
    scene = next((one for one in bpy.data.scenes if one.session_uid == scene_uid), None)
    if scene is None:  # deleted, or another file was opened
        raise UserError("Extract again: the scene is no longer there.")
    placed = geometry.place(prepared, matrix, name)
    scene.collection.objects.link(placed)
    return _describe(result, prepared, placed.name)


def _describe(result: Mapping[str, Any], made: geometry.Geometry, name: str) -> str:
    triangles = len(made.corners) // 3
    what = f"{made.count} vertices and {triangles} triangles" if triangles else f"{made.count} points"
    said = f"Extracted '{name}' in {result['seconds']:.1f} s: {what}"
    if triangles and not result["watertight"]:
        return f"{said}; not watertight: somewhere it is open, as where no view has seen it."
    return f"{said}; watertight." if triangles else f"{said}."


CLASSES = (SRN_OT_extract_geometry,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
