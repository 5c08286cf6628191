"""The panel Geometry."""

from __future__ import annotations

from typing import Any

from . import tasks
from .panel_parts import SidebarPanel, task_status
from .properties import settings_of


class SRN_PT_geometry(SidebarPanel):
    bl_idname = "SRN_PT_geometry"
    bl_label = "Geometry"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "geometry")
        column.prop(settings, "mesh_resolution")
        if settings.geometry == "points":
            column.prop(settings, "point_count")
        if not tasks.running("geometry"):
            self.layout.operator("srn.extract_geometry", icon="MESH_DATA")
        task_status(self.layout, "geometry", "Makes a mesh with the captured colours.")
