"""The panel Train."""

from __future__ import annotations

from typing import Any

from ..engine.engine import engine
from . import tasks
from .panel_parts import SidebarPanel, task_status
from .properties import settings_of


class SRN_PT_train(SidebarPanel):
    bl_idname = "SRN_PT_train"
    bl_label = "Train"

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "run_path")
        column.prop(settings, "preset")
        column.prop(settings, "seconds")
        if not tasks.running("train"):
            self.layout.operator("srn.train", icon="PLAY")
            if engine().has_storage:
                self.layout.operator("srn.fetch_run", icon="IMPORT")
        task_status(self.layout, "train", "Trains on the captured views.")
