"""Capture Views, and Start Anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import BoolProperty, StringProperty

from ..capture import stage
from ..capture.instance import Instance, instance_id
from ..capture.many import each_collection, each_frame, each_object
from ..capture.rigs.survey import survey_rig
from ..capture.session import capture_steps
from ..capture.settings import PASSES, CaptureSettings
from ..capture.shards import WHOLE, Shard, parse_shard
from ..errors import UserError
from . import tasks
from .capture_properties import CAPTURE
from .capture_task import CaptureTask
from .label_properties import classes_of
from .long_work import LongWork
from .properties import folder_of, settings_of
from .rig_properties import rig_settings


class SRN_OT_capture_views(LongWork, bpy.types.Operator):
    """Render views of the selected objects, or of the chosen collection, from all around and write them as a dataset"""

    bl_idname = "srn.capture_views"
    bl_label = "Capture Views"
    holds_scene = True
    interval = 0.005  # many steps make a view, and each is short

    shard: StringProperty(
        name="Shard",
        description="Which part of the views, as in 1/4: several processes can share one capture. Empty for all",
        options={"SKIP_SAVE"},
    )
    anew: BoolProperty(
        name="Start Anew",
        description="Delete what an earlier capture has left in the dataset's folder",
        options={"SKIP_SAVE"},
    )

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
        return begin_capture(context, parse_shard(self.shard), self.anew)


class SRN_OT_capture_anew(bpy.types.Operator):
    """Delete the captured views, which show something else than what is there now, and capture all again"""

    bl_idname = "srn.capture_anew"
    bl_label = "Start Anew"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return SRN_OT_capture_views.poll(context)

    def invoke(self, context: Any, event: Any) -> Any:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: Any) -> Any:
        failed = tasks.Task.latest.get("capture")
        name = failed.operator if isinstance(failed, CaptureTask) else CaptureTask.operator
        operators: Any = bpy.ops
        return getattr(operators.srn, name)("EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT", anew=True)


def begin_capture(context: Any, shard: Shard = WHOLE, anew: bool = False) -> CaptureTask:
    """The capture of what is chosen, ready to be stepped. Raises UserError where something chosen does not do."""
    settings = capture_settings(context.scene)
    task = CaptureTask(capture_steps(context.scene, instances_to_capture(context), settings, shard, anew))
    if settings_of(context.scene).instances == "one":
        task.notices = _warnings_of_rig(context, what_to_capture(context)[0])
    return task


def _warnings_of_rig(context: Any, objects: Sequence[bpy.types.Object]) -> list[str]:
    settings = rig_settings(settings_of(context.scene))
    try:
        return survey_rig(context.scene, context.evaluated_depsgraph_get(), objects, settings).warnings()
    except UserError:
        return []  # the capture is about to say so itself


def capture_settings(scene: bpy.types.Scene) -> CaptureSettings:
    """What is chosen in `scene.srn`. Raises UserError without a folder."""
    settings = settings_of(scene)
    chosen = {name: getattr(settings, name) for name in CAPTURE if hasattr(settings, name) and name != "name"}
    chosen["classes"] = classes_of(settings)
    chosen["passes"] = tuple(name for name in PASSES if name in settings.passes)  # in one order, which a set lacks
    root = folder_of(settings.dataset_path, "Dataset")
    return CaptureSettings(root=root, **chosen)


def what_to_capture(context: Any) -> tuple[Sequence[bpy.types.Object], str]:
    """The objects that are captured, and the name to remember; none where nothing is chosen."""
    collection = settings_of(context.scene).collection
    if collection is not None:
        return list(collection.all_objects), collection.name
    return selected_objects(context)


def selected_objects(context: Any) -> tuple[Sequence[bpy.types.Object], str]:
    """The selected objects, and the name to remember; none where nothing is selected."""
    selected = list(context.view_layer.objects.selected)  # context.selected_objects is not there without a window
    if not selected:
        return [], ""
    active: Any = context.view_layer.objects.active
    return selected, (active if active in selected else selected[0]).name


def source_in_mind(context: Any) -> str:
    """The name of the instance that is meant where one is to be shown: of many, the active object's."""
    active: Any = context.view_layer.objects.active
    if settings_of(context.scene).instances == "objects" and active is not None:
        return str(active.name)
    return what_to_capture(context)[1]


def instances_to_capture(context: Any) -> list[Instance]:
    """What is chosen, as instances. Raises UserError where there are none."""
    scene, settings = context.scene, settings_of(context.scene)
    objects, source = what_to_capture(context)
    if settings.instances == "objects":
        return each_object(objects, settings.align)
    if settings.instances == "collections":
        if settings.collection is None:
            raise UserError("Choose under Collection the one that holds a collection for each instance.")
        return each_collection(settings.collection, settings.align)
    whole = Instance(instance_id(source), source, objects, settings.align)
    if settings.instances == "frames":
        return each_frame(whole, range(scene.frame_start, scene.frame_end + 1, scene.frame_step))
    return [whole]


@persistent  # type: ignore[untyped-decorator]
def _before_saving(*_: object) -> None:
    """The capture's own scenes and indices must not become the user's."""
    _end_capture("Ended by saving")


@persistent  # type: ignore[untyped-decorator]
def _before_loading(*_: object) -> None:
    _end_capture("Ended by opening a file")


@persistent  # type: ignore[untyped-decorator]
def _before_undo(*_: object) -> None:
    """Undo takes away what a capture holds on to."""
    _end_capture("Ended by undo or redo")


@persistent  # type: ignore[untyped-decorator]
def _sweep(*_: object) -> None:
    stage.sweep()


def _end_capture(why: str) -> None:
    task = tasks.Task.latest.get("capture")
    if isinstance(task, CaptureTask) and task.state == tasks.RUNNING:
        task.abandon(why)


HANDLERS = (
    ("save_pre", _before_saving),
    ("load_pre", _before_loading),
    ("undo_pre", _before_undo),
    ("redo_pre", _before_undo),
    ("undo_post", _sweep),
    ("redo_post", _sweep),
    ("load_post", _sweep),
)


CLASSES = (SRN_OT_capture_views, SRN_OT_capture_anew)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    _end_capture("Ended by turning the add-on off")
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
