"""The panel Capture: of what, from where, how."""

from __future__ import annotations

from typing import Any

from . import tasks
from .capture_operator import what_to_capture
from .capture_presets import SRN_PT_capture_presets
from .capture_task import CaptureTask
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
        column.prop(settings, "instances")
        if settings.instances == "frames":
            frames = column.column(align=True)
            frames.prop(context.scene, "frame_start")
            frames.prop(context.scene, "frame_end", text="End")
            frames.prop(context.scene, "frame_step", text="Step")
        column.prop(settings, "align")
        column.prop(settings, "dataset_path")
        column.separator()
        column.prop(settings, "engine")
        picture = column.column(align=True)
        picture.prop(settings, "size")
        if settings.engine != "workbench":
            picture.prop(settings, "samples")
        column.row(align=True).prop(settings, "passes")
        objects, source = what_to_capture(context)
        what = f"Captures '{source}'." if objects else "Select the object to capture, or choose a collection."
        if not tasks.running("capture"):
            self.layout.operator("srn.capture_views", icon="OUTLINER_OB_CAMERA")
            task = tasks.Task.latest.get("capture")
            if isinstance(task, CaptureTask) and task.changed:
                self.layout.operator("srn.capture_anew", icon="FILE_REFRESH")
        task_status(self.layout, "capture", what)
