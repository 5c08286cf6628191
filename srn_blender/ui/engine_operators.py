"""Starting and stopping the engine, and cancelling what runs."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from ..engine.engine import READY, STARTING, engine
from . import tasks
from .engine_choice import open_engine
from .long_work import LongWork
from .panel_parts import redraw


class SRN_OT_engine_start(LongWork, bpy.types.Operator):
    """Start the engine, the program that trains and renders, with the Python chosen in the preferences"""

    bl_idname = "srn.engine_start"
    bl_label = "Start Engine"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if engine().state in (READY, STARTING):
            cls.poll_message_set("The engine is running already")
            return False
        return True

    def begin(self, context: Any) -> tasks.Task:
        return tasks.EngineTask(lambda: open_engine(context))


class SRN_OT_engine_stop(bpy.types.Operator):
    """Stop the engine; a training that runs keeps what it has learned"""

    bl_idname = "srn.engine_stop"
    bl_label = "Stop Engine"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if engine().state not in (READY, STARTING):
            cls.poll_message_set("The engine is not running")
            return False
        return True

    def execute(self, context: Any) -> Any:
        engine().stop()
        tasks.Task.latest.pop("engine", None)
        redraw()
        return {"FINISHED"}


class SRN_OT_cancel(bpy.types.Operator):
    """End what is running; nothing that is done so far is lost"""

    bl_idname = "srn.cancel"
    bl_label = "Cancel"

    kind: StringProperty(
        name="Kind",
        description="What to cancel, as in capture, train, render, engine or install; everything where this is empty",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not any(task.state == tasks.RUNNING for task in tasks.Task.latest.values()):
            cls.poll_message_set("Nothing is running")
            return False
        return True

    def execute(self, context: Any) -> Any:
        if tasks.cancel_all(self.kind) == 0:
            self.report({"INFO"}, f"Nothing of the kind '{self.kind}' is running")
            return {"CANCELLED"}
        redraw()
        return {"FINISHED"}


CLASSES = (SRN_OT_engine_start, SRN_OT_engine_stop, SRN_OT_cancel)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
