"""The panel Adaptive, inside Capture: when an adaptive capture is good enough."""

from __future__ import annotations

from typing import Any

import bpy

from . import tasks
from .adaptive_properties import WISH
from .panel_parts import SidebarPanel
from .properties import settings_of


class SRN_PT_adaptive(SidebarPanel):
    bl_idname = "SRN_PT_adaptive"
    bl_label = "Adaptive"
    bl_parent_id = "SRN_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        for name in (*WISH, "ask_seconds"):
            column.prop(settings, name)
        if not tasks.running("capture"):
            self.layout.operator("srn.capture_adaptively", icon="VIEWZOOM")


def register() -> None:
    bpy.utils.register_class(SRN_PT_adaptive)


def unregister() -> None:
    bpy.utils.unregister_class(SRN_PT_adaptive)
