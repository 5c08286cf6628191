"""Render Neural View, and how a neural view is shown in the window."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import bpy
from bpy.props import StringProperty

from ..capture.camera import Camera
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED
from ..errors import UserError
from ..results import images, view
from . import tasks
from .capture_operator import source_in_mind
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of


class SRN_OT_render_view(LongWork, bpy.types.Operator):
    """Render the neural scene through a camera into the images SRN Colour, SRN Depth, SRN Normal and SRN Labels"""

    bl_idname = "srn.render_view"
    bl_label = "Render Neural View"
    bl_options = {"UNDO"}

    camera: StringProperty(
        name="Camera",
        description="Name of the camera; the scene's active one where this is empty",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("render"):
            cls.poll_message_set("A neural view is being rendered already")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        scene = context.scene
        trained = view.read_run(folder_of(settings_of(scene).run_path, "Run"), source_in_mind(context))
        seen = view.seen_by(scene, self._find_camera(scene))
        return tasks.JobTask("render", view_job(seen, trained), lambda: open_engine(context))

    def _find_camera(self, scene: Any) -> bpy.types.Object:
        camera = scene.objects.get(self.camera) if self.camera else scene.camera
        if camera is None or camera.type != "CAMERA":
            if self.camera:
                raise UserError(f"Choose another camera: the scene has none named '{self.camera}'.")
            raise UserError("Add a camera to the scene and make it the active one.")
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
        show_in_editors(shown[images.COLOUR])
        return f"{said} Next: Compare with Cycles."

    request = JobRequest("render", view.request(camera, trained), {"run": FolderRead(trained.run, RENDERED)})
    return tasks.Job(request, done, lambda result: "The rendering was cancelled.")


def show_in_editors(image: bpy.types.Image) -> None:
    """Shows the neural view in image editors that show nothing, a render or an image of ours."""
    manager: Any = bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            space: Any = area.spaces.active
            if area.type != "IMAGE_EDITOR" or space.mode != "VIEW":
                continue
            if space.image is None or space.image.type == "RENDER_RESULT" or space.image.name.startswith("SRN "):
                space.image = image


CLASSES = (SRN_OT_render_view,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
