"""Extract Geometry."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

import bpy

from ..capture.background import in_background
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED
from ..errors import UserError
from ..results import geometry, view
from . import tasks
from .capture_operator import source_in_mind
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of

NAMES = {"mesh": "Surface", "points": "Points"}


class SRN_OT_extract_geometry(LongWork, bpy.types.Operator):
    """Make a mesh or a point cloud of the neural scene, with its colours and classes, where the object was captured"""

    bl_idname = "srn.extract_geometry"
    bl_label = "Extract Geometry"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("geometry"):
            cls.poll_message_set("Geometry is being extracted already")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        settings = settings_of(context.scene)
        trained = view.read_run(folder_of(settings.run_path, "Run"), source_in_mind(context))
        params: dict[str, Any] = {"instance": trained.instance, "resolution": settings.mesh_resolution}
        if settings.geometry == "points":
            params["points"] = settings.point_count
        name = f"{trained.source} {NAMES[settings.geometry]}"
        request = JobRequest("mesh", params, {"run": FolderRead(trained.run, RENDERED)})
        place = partial(_place, trained, name, context.scene.name)
        job = tasks.Job(request, place, lambda result: "The extraction was cancelled.")
        return tasks.JobTask("geometry", job, lambda: open_engine(context))


def _place(
    trained: view.Trained, name: str, scene_name: str, result: Mapping[str, Any], arrays: Mapping[str, Any]
) -> Generator[None, None, str]:
    """Puts what came into the scene; says how it went. The selection stays: it is what is captured next."""
    prepared = yield from in_background(partial(geometry.prepare, arrays, trained))
    scene: Any = bpy.data.scenes.get(scene_name)
    if scene is None:
        raise UserError("Extract again: the scene is no longer there.")
    placed = geometry.place(prepared, geometry.captured_at(trained), name)
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


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
