"""Place Instance, and the further instances of a mix."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import IntProperty, StringProperty

from ..errors import UserError
from ..results.combined import match_contents
from ..results.placed_run import placed_run
from .capture_operator import source_in_mind
from .properties import folder_of, settings_of


class SRN_OT_place_instance(bpy.types.Operator):
    """Add an empty that stands for an instance of the run, where it was captured; the render engine SRN shows it"""

    bl_idname = "srn.place_instance"
    bl_label = "Place Instance"
    bl_options = {"REGISTER", "UNDO"}

    instance: StringProperty(
        name="Instance",
        description="Name of the instance in the run; the one of the selected object where this is empty",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave the mode for editing first")
            return False
        return context.scene is not None

    def execute(self, context: Any) -> Any:
        path = settings_of(context.scene).run_path
        try:
            run = placed_run(folder_of(path, "Run"))
            name = self.instance or run.instance_of(source_in_mind(context))
            if name not in run.sources:
                raise UserError(f"Choose another instance: the run in {run.folder} holds none named '{name}'.")
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        empty = bpy.data.objects.new(f"{run.sources[name] or name} SRN", None)
        empty.empty_display_type, empty.empty_display_size = "SPHERE", run.scales[name]
        empty.location = run.centres[name]
        settings = getattr(empty, "srn")  # noqa: B009
        settings.run_path, settings.instance = path, name
        context.collection.objects.link(empty)
        match_contents(context.scene)
        for other in context.selected_objects:
            other.select_set(False)
        empty.select_set(True)
        context.view_layer.objects.active = empty
        return {"FINISHED"}


def active_instance(context: Any) -> Any:
    """`object.srn` of the active empty, None where the active object is none."""
    active = context.object
    return active.srn if active is not None and active.type == "EMPTY" else None


class ActiveInstance:
    """Mixed into operators on the active empty."""

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        if active_instance(context) is None:
            cls.poll_message_set("Make an empty the active object")
            return False
        return True


class SRN_OT_share_add(ActiveInstance, bpy.types.Operator):
    """Mix one more instance into what the empty stands for"""

    bl_idname = "srn.share_add"
    bl_label = "Add Instance"
    bl_options = {"UNDO"}

    def execute(self, context: Any) -> Any:
        active_instance(context).further.add()
        return {"FINISHED"}


class SRN_OT_share_remove(ActiveInstance, bpy.types.Operator):
    """Take this instance out of the mix"""

    bl_idname = "srn.share_remove"
    bl_label = "Remove Instance"
    bl_options = {"UNDO"}

    index: IntProperty(name="Index", description="Which of the further instances, from 0", min=0)

    def execute(self, context: Any) -> Any:
        active_instance(context).further.remove(self.index)
        return {"FINISHED"}


CLASSES = (SRN_OT_place_instance, SRN_OT_share_add, SRN_OT_share_remove)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
