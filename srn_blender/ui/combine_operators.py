"""Combine with Cycles and its undoing."""

from __future__ import annotations

from typing import Any

import bpy

from ..errors import UserError
from ..results import combined


class SRN_OT_combine(bpy.types.Operator):
    """Render the placed instances among what Cycles renders, nearer things in front of farther ones"""

    bl_idname = "srn.combine"
    bl_label = "Combine with Cycles"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None

    def execute(self, context: Any) -> Any:
        try:
            second = combined.combine(context.scene)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Renders of this scene now show the instances, which '{second.name}' renders")
        return {"FINISHED"}


class SRN_OT_combine_remove(bpy.types.Operator):
    """Take the instances out of what Cycles renders, and the second scene out of the file"""

    bl_idname = "srn.combine_remove"
    bl_label = "Remove Combination"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or not combined.is_combined(context.scene):
            cls.poll_message_set("The compositor combines nothing")
            return False
        return True

    def execute(self, context: Any) -> Any:
        combined.remove(context.scene)
        return {"FINISHED"}


CLASSES = (SRN_OT_combine, SRN_OT_combine_remove)


@bpy.app.handlers.persistent  # type: ignore[untyped-decorator]
def match_scenes(scene: bpy.types.Scene, *_: Any) -> None:
    combined.match_before_render(scene)


HANDLERS = (bpy.app.handlers.render_init, bpy.app.handlers.render_pre)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for handlers in HANDLERS:
        handlers.append(match_scenes)


def unregister() -> None:
    for handlers in HANDLERS:
        handlers.remove(match_scenes)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
