"""The panel Engine: which one, how it is, start and stop."""

from __future__ import annotations

from typing import Any

from ..engine.engine import FAILED, READY, STARTING, engine
from .engine_choice import interpreter_of, preferences_of
from .panel_parts import SidebarPanel, sentence, task_status


class SRN_PT_engine(SidebarPanel):
    bl_idname = "SRN_PT_engine"
    bl_label = "Engine"

    def draw(self, context: Any) -> None:
        layout = self.layout
        state = engine().state
        preferences = preferences_of(context)
        if state == READY:
            sentence(layout, engine().message, "CHECKMARK")
            layout.operator("srn.engine_stop", icon="PAUSE")
            return
        if preferences is not None:
            layout.label(text="Engine's Python:")
            layout.prop(preferences, "interpreter", text="")
        if state == STARTING:
            task_status(layout, "engine", engine().message)
            return
        if state == FAILED:
            sentence(layout, engine().message, "ERROR")
        elif not interpreter_of(context):
            sentence(layout, "Choose the Python that the engine is installed in.", "INFO")
        layout.operator("srn.engine_start", icon="PLAY")
