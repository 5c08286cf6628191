"""The panel Report."""

from __future__ import annotations

from typing import Any

from . import tasks
from .panel_parts import SidebarPanel, sentence, task_status
from .report_operators import is_outdated, means_of, page_of

# What is measured: the name in the engine's answer, the name shown, and how the number is written.
ROWS = (
    ("psnr", "PSNR", "{:.1f} dB"),
    ("ssim", "SSIM", "{:.3f}"),
    ("lpips", "LPIPS", "{:.3f}"),
    ("depth_abs_rel", "Depth Error", "{:.2%}"),
    ("miou", "mIoU", "{:.3f}"),
)


class SRN_PT_report(SidebarPanel):
    bl_idname = "SRN_PT_report"
    bl_label = "Report"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        means = means_of(context.scene)
        table = self.layout.column(align=True)
        for name, shown, form in ROWS if means else ():
            value = means.get(name)
            row = table.row()
            row.label(text=shown)
            number = row.row()
            number.alignment = "RIGHT"
            number.label(text=form.format(value) if value is not None else "not measured", translate=False)
        if is_outdated(context.scene):
            sentence(self.layout, "The run was trained on since: make the report again.", "ERROR")
        row = self.layout.row(align=True)
        if not tasks.running("report"):
            row.operator("srn.report", icon="FILE_TEXT")
        if page_of(context.scene) is not None:
            row.operator("srn.report_open", icon="URL")
        task_status(self.layout, "report", "Measures what was trained on the test views.")
