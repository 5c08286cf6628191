"""The panel Fit."""

from __future__ import annotations

from typing import Any

from . import tasks
from .capture_operator import selected_objects
from .panel_parts import SidebarPanel, task_status
from .properties import settings_of


class SRN_PT_fit(SidebarPanel):
    bl_idname = "SRN_PT_fit"
    bl_label = "Fit"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "fit_source")
        if settings.fit_source == "images":
            column.prop(settings, "fit_reference")
            if settings.fit_reference is None:
                column.prop(settings, "fit_radius")
        if not tasks.running("fit"):
            self.layout.operator("srn.fit", icon="MOD_SHRINKWRAP")
        task_status(self.layout, "fit", _what(context))


def _what(context: Any) -> str:
    """What a press would do."""
    if settings_of(context.scene).fit_source == "images":
        return "Finds what pictures show in the run's class."
    name = selected_objects(context)[1]
    return f"Finds '{name}' in the run's class." if name else "Select a new object of the run's class."
