"""Train SRN, Render Neural View and Compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np
from bpy.props import StringProperty

from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED, HostRun
from ..errors import UserError
from ..results import compositor, images, view
from . import tasks
from .capture_operator import source_in_mind
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of

# The depth error that shows as white, as a part of the instance's radius.
DEPTH_RANGE = 0.1
THUMBNAIL = 256  # pixels at most


class SRN_OT_train(LongWork, bpy.types.Operator):
    """Train a neural scene on the captured views; starts the engine where it is not running"""

    bl_idname = "srn.train"
    bl_label = "Train SRN"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("train"):
            cls.poll_message_set("A training is running already")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        settings = settings_of(context.scene)
        dataset = folder_of(settings.dataset_path, "Dataset")
        if not (dataset / "dataset.json").is_file():
            raise UserError(f"Capture views first, or choose the folder of a dataset: there is none in {dataset}.")
        request = JobRequest(
            "train",
            {"preset": settings.preset, "seconds": settings.seconds, "seed": settings.seed},
            {"dataset": FolderRead(dataset)},
            folder_of(settings.run_path, "Run"),
        )
        job = tasks.Job(request, lambda result, arrays: describe_training(result), describe_cut_training)
        return tasks.JobTask("train", job, lambda: open_engine(context))


def describe_training(result: Mapping[str, Any]) -> str:
    """How a training ended, and what to do next."""
    psnr = result.get("psnr")
    quality = f"PSNR {psnr:.1f} dB" if psnr is not None else "no validation views to measure with"
    return f"Trained {result['steps']} steps in {result['seconds']:.0f} s: {quality}. Next: Render Neural View."


def describe_cut_training(result: Mapping[str, Any]) -> str:
    """What a cancelled training has left."""
    if "run" in result:
        return "Training cancelled; what it had learned is kept and can be rendered."
    return "Training cancelled before it had learned anything."


class SRN_OT_fetch_run(LongWork, bpy.types.Operator):
    """Fetch what was trained for this run on another computer, where it could not be fetched or goes on training"""

    bl_idname = "srn.fetch_run"
    bl_label = "Fetch Run"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("train"):
            cls.poll_message_set("A training is running; it fetches its run at its end")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        folder = folder_of(settings_of(context.scene).run_path, "Run")
        if HostRun.read(folder) is None:
            raise UserError(f"Train first: nothing was trained on another computer for {folder}.")
        return tasks.FetchTask("train", folder, lambda: open_engine(context))


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

        def done(result: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
            colour = view.show(arrays, seen, trained)[images.COLOUR]
            show_in_editors(colour)
            show_thumbnail(colour)
            return f"Rendered in {result['seconds']:.2f} s. Next: Compare with Cycles."

        request = JobRequest("render", view.request(seen, trained), {"run": FolderRead(trained.run, RENDERED)})
        job = tasks.Job(request, done, lambda result: "The rendering was cancelled.")
        return tasks.JobTask("render", job, lambda: open_engine(context))

    def _find_camera(self, scene: Any) -> bpy.types.Object:
        camera = scene.objects.get(self.camera) if self.camera else scene.camera
        if camera is None or camera.type != "CAMERA":
            if self.camera:
                raise UserError(f"Choose another camera: the scene has none named '{self.camera}'.")
            raise UserError("Add a camera to the scene and make it the active one.")
        return camera  # type: ignore[no-any-return]


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


def show_thumbnail(image: bpy.types.Image) -> None:
    """Makes the image's preview, which the panel shows. Blender's own comes later, or not without a window."""
    pixels = images.pixels_of(image)[::-1]
    skip = -(-max(pixels.shape[:2]) // THUMBNAIL)
    small = np.ascontiguousarray(pixels[::skip, ::skip])
    preview: Any = image.preview_ensure()
    preview.image_size = small.shape[1], small.shape[0]
    preview.image_pixels_float.foreach_set(small.ravel())


class SRN_OT_compare(bpy.types.Operator):
    """Build the compositor nodes that compare Cycles with the neural view; the next render shows the comparison"""

    bl_idname = "srn.compare"
    bl_label = "Compare with Cycles"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if images.COLOUR not in bpy.data.images:
            cls.poll_message_set("Press Render Neural View first")
            return False
        return context.scene is not None

    def execute(self, context: Any) -> Any:
        scene = context.scene
        try:
            changes = compositor.build(scene, settings_of(scene).compare_mode, DEPTH_RANGE * view.shown_scale())
            current = scene.camera is not None and view.is_of(view.seen_by(scene, scene.camera))
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if changes:
            self.report({"INFO"}, f"For the comparison {', '.join(changes)}")
        if not current:
            self.report({"WARNING"}, "The neural view is of another camera or size: press Render Neural View again")
        strangers = view.strangers(scene)
        if strangers:
            names = ", ".join(strangers[:3])
            self.report({"WARNING"}, f"Hide from renders what was not captured, or it will differ: {names}")
        return {"FINISHED"}


class SRN_OT_compare_remove(bpy.types.Operator):
    """Take the comparison out of the compositor; the engine and the film stay as the comparison set them"""

    bl_idname = "srn.compare_remove"
    bl_label = "Remove Comparison"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or not compositor.is_built(context.scene):
            cls.poll_message_set("The compositor holds no comparison")
            return False
        return True

    def execute(self, context: Any) -> Any:
        compositor.remove(context.scene)
        return {"FINISHED"}


CLASSES = (SRN_OT_train, SRN_OT_fetch_run, SRN_OT_render_view, SRN_OT_compare, SRN_OT_compare_remove)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
