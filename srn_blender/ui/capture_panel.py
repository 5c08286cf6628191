"""The panel Capture: of what, from where, how."""

from __future__ import annotations

from typing import Any

from . import tasks
from .capture_operator import what_to_capture
from .capture_presets import SRN_PT_capture_presets
from .panel_parts import SidebarPanel, task_status
from .properties import settings_of


class SRN_PT_capture(SidebarPanel):
    bl_idname = "SRN_PT_capture"
    bl_label = "Capture"

    def draw_header_preset(self, context: Any) -> None:
        SRN_PT_capture_presets.draw_panel_header(self.layout)

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "collection")
        column.prop(settings, "dataset_path")
        column.separator()
        picture = column.column(align=True)
        picture.prop(settings, "size")
        picture.prop(settings, "samples")
        objects, source = what_to_capture(context)
        what = f"Captures '{source}'." if objects else "Select the object to capture, or choose a collection."
        if not tasks.running("capture"):
            self.layout.operator("srn.capture_views", icon="OUTLINER_OB_CAMERA")
        task_status(self.layout, "capture", what)
