"""The panel Dataset: what was captured, what is wrong with it, and other programs' layouts of it."""

from __future__ import annotations

from typing import Any

import bpy

from . import tasks
from .inspect_operators import NAME
from .panel_parts import SidebarPanel, task_status


class SRN_PT_dataset(SidebarPanel):
    bl_idname = "SRN_PT_dataset"
    bl_label = "Dataset"
    bl_parent_id = "SRN_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        if not tasks.running("inspect"):
            self.layout.operator("srn.inspect", icon="VIEWZOOM")
        task_status(self.layout, "inspect", "Shows the views and cameras, and says what is wrong with them.")
        image = bpy.data.images.get(NAME)
        preview = image.preview if image is not None else None
        if preview is not None:
            self.layout.template_icon(icon_value=preview.icon_id, scale=9.0)
        if not tasks.running("export"):
            self.layout.operator_menu_enum("srn.dataset_export", "layout", icon="EXPORT")
        if "export" in tasks.Task.latest:
            task_status(self.layout, "export", "")


def register() -> None:
    bpy.utils.register_class(SRN_PT_dataset)


def unregister() -> None:
    bpy.utils.unregister_class(SRN_PT_dataset)
