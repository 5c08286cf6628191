"""Capture Views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..capture.instance import instance_id
from ..capture.session import CaptureProgress, capture
from ..capture.settings import CaptureSettings
from . import tasks
from .capture_properties import CAPTURE
from .long_work import LongWork
from .properties import folder_of, settings_of


class SRN_OT_capture_views(LongWork, bpy.types.Operator):
    """Render views of the selected objects, or of the chosen collection, from all around and write them as a dataset"""

    bl_idname = "srn.capture_views"
    bl_label = "Capture Views"
    holds_scene = True

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("capture"):
            cls.poll_message_set("A capture is running already")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go back to Object Mode first")
            return False
        if context.scene is None or not what_to_capture(context)[0]:
            cls.poll_message_set("Select the object to capture, or choose a collection")
            return False
        return True

    def begin(self, context: Any) -> tasks.Task:
        scene = context.scene
        settings = settings_of(scene)
        objects, source = what_to_capture(context)
        chosen = {name: getattr(settings, name) for name in CAPTURE if hasattr(settings, name) and name != "name"}
        root = folder_of(settings.dataset_path, "Dataset")
        plan = CaptureSettings(root=root, instance=instance_id(source), **chosen)
        return tasks.CaptureTask(capture(scene, objects, source, plan), describe_capture)


def what_to_capture(context: Any) -> tuple[Sequence[bpy.types.Object], str]:
    """The objects that make up the instance, and the name to remember; none where nothing is chosen."""
    collection = settings_of(context.scene).collection
    if collection is not None:
        return list(collection.all_objects), collection.name
    selected = list(context.selected_objects)
    if not selected:
        return [], ""
    active: Any = context.view_layer.objects.active
    return selected, (active if active in selected else selected[0]).name


def describe_capture(last: CaptureProgress) -> str:
    """How a capture ended, and what to do next."""
    captured = f"{last.total} views are captured"
    if last.check is None:
        return f"{captured}. Next: Train SRN."
    if last.check.warning:
        return f"{captured}. {last.check.warning}"
    return f"{captured}; depth agrees between views at {last.check.agreeing:.0%} of the points. Next: Train SRN."


@persistent  # type: ignore[untyped-decorator]
def _put_scene_back(*_: object) -> None:
    """Ends a capture before the file is saved: its own scene and indices must not become the user's."""
    if tasks.running("capture"):
        tasks.Task.latest["capture"].abandon()


def register() -> None:
    bpy.utils.register_class(SRN_OT_capture_views)
    bpy.app.handlers.save_pre.append(_put_scene_back)


def unregister() -> None:
    bpy.app.handlers.save_pre.remove(_put_scene_back)
    bpy.utils.unregister_class(SRN_OT_capture_views)
