"""The panel Render."""

from __future__ import annotations

from typing import Any

import bpy

from ..results import images
from . import tasks
from .panel_parts import SidebarPanel, task_status


class SRN_PT_render(SidebarPanel):
    bl_idname = "SRN_PT_render"
    bl_label = "Render"

    def draw(self, context: Any) -> None:
        self.columns().prop(context.scene, "camera")
        if not tasks.running("render"):
            self.layout.operator("srn.render_view", icon="RENDER_STILL")
        task_status(self.layout, "render", "Renders what the camera sees with what was trained.")
        image = bpy.data.images.get(images.COLOUR)
        preview = image.preview if image is not None else None
        if preview is not None:
            self.layout.template_icon(icon_value=preview.icon_id, scale=9.0)
