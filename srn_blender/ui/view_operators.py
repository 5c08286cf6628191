"""Render Neural View, and how a neural view is shown in the window."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import bpy
from bpy.props import StringProperty

from ..capture.camera import Camera, active_camera
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED
from ..errors import UserError
from ..results import images, view
from . import tasks
from .capture_operator import source_in_mind
from .engine_choice import open_engine
from .image_editors import give, may_go
from .long_work import LongWork
from .properties import folder_of, settings_of


class SRN_OT_render_view(LongWork, bpy.types.Operator):
    """Render the neural scene through a camera into the images SRN Colour, SRN Depth, SRN Normal and SRN Labels"""

    bl_idname = "srn.render_view"
    bl_label = "Render Neural View"
    bl_options = {"UNDO"}
    kind, busy = "render", "A neural view is being rendered already"

    camera: StringProperty(
        name="Camera",
        description="Name of the camera; the scene's active one where this is empty",
        options={"SKIP_SAVE"},
    )

    def begin(self, context: Any) -> tasks.Task:
        scene = context.scene
        trained = view.read_run(folder_of(settings_of(scene).run_path, "Run"), source_in_mind(context))
        seen = view.seen_by(scene, self._find_camera(scene))
        return tasks.JobTask("render", view_job(seen, trained), lambda: open_engine(context))

    def _find_camera(self, scene: Any) -> bpy.types.Object:
        if not self.camera:
            return active_camera(scene)
        camera = scene.objects.get(self.camera)
        if camera is None or camera.type != "CAMERA":
            raise UserError(f"Choose another camera: the scene has none named '{self.camera}'.")
        return camera  # type: ignore[no-any-return]


def view_job(camera: Camera, trained: view.Trained, in_editors: bool = True) -> tasks.Job:
    """The job that renders what a camera, in Blender units, sees of a run into our images.

    in_editors: whether image editors then show it; those that show one of our images follow by themselves.
    """
    stamp = view.stamp_of(trained.run)

    def done(result: Mapping[str, Any], arrays: Mapping[str, Any]) -> Generator[None, None, str]:
        shown = yield from view.show(arrays, camera, trained, stamp)
        said = f"Rendered in {result['seconds']:.2f} s."
        if not in_editors:
            return said
        give(shown[images.COLOUR], may_go)
        return f"{said} Next: Compare with Cycles."

    request = JobRequest("render", view.request(camera, trained), {"run": FolderRead(trained.run, RENDERED)})
    return tasks.Job(request, done, lambda result: "The rendering was cancelled.")


CLASSES = (SRN_OT_render_view,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
