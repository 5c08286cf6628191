"""The panel Engine: which one, how it is, start and stop."""

from __future__ import annotations

from typing import Any

from ..engine.engine import FAILED, READY, STARTING, engine
from .engine_choice import ADD_ON, HOST, INTERPRETER, interpreter_of, preferences_of, source_of
from .engine_setup import draw_setup
from .panel_parts import SidebarPanel, sentence, task_status
from .tasks import Task


class SRN_PT_engine(SidebarPanel):
    bl_idname = "SRN_PT_engine"
    bl_label = "Engine"

    def draw_header_preset(self, context: Any) -> None:
        if preferences_of(context) is not None:
            self.layout.operator("preferences.addon_show", text="", icon="PREFERENCES", emboss=False).module = ADD_ON

    def draw(self, context: Any) -> None:
        layout = self.layout
        state = engine().state
        preferences = preferences_of(context)
        if state == READY:
            sentence(layout, engine().message, "CHECKMARK")
            row = layout.row(align=True)
            row.operator("srn.engine_stop", icon="PAUSE")
            row.operator("srn.engine_check", text="Check", icon="CHECKMARK")
            if "check" in Task.latest:
                task_status(layout, "check", "")
            return
        if state == STARTING:
            task_status(layout, "engine", engine().message)
            return
        if preferences is not None:
            draw_setup(layout, context, preferences)
        source = source_of(context)
        if source == HOST:
            layout.operator("srn.engine_start", text="Connect", icon="URL")
        elif interpreter_of(context):
            layout.operator("srn.engine_start", icon="PLAY")
        elif source == INTERPRETER:
            sentence(layout, "Choose the Python that the engine is installed in.", "INFO")
        if state == FAILED:
            sentence(layout, engine().message, "ERROR")
