"""Compare with Cycles and Remove Comparison."""

from __future__ import annotations

from typing import Any

import bpy

from ..errors import UserError
from ..results import compare_group, compositor, images, view
from .properties import settings_of

# The depth error that has the heat map's last colour, as a part of the instance's radius.
DEPTH_RANGE = 0.1


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
            current = scene.camera is not None and view.is_of(view.seen_by(scene, scene.camera))
            changes = build_comparison(scene)
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


def build_comparison(scene: bpy.types.Scene) -> list[str]:
    """The comparison as it is chosen in `scene.srn`; returns a sentence for each setting of the scene it changed."""
    settings = settings_of(scene)
    classes = [name for name, _ in view.shown_classes()]
    depth_range = DEPTH_RANGE * view.shown_scale()
    changes = compositor.build(scene, settings.compare_mode, depth_range, classes, settings.compare_class)
    compare_group.set_wipe(settings.compare_wipe)
    return changes


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


CLASSES = (SRN_OT_compare, SRN_OT_compare_remove)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
