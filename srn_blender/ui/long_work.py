"""How an operator runs a task: step by step in a window, which stays free, or to its end in a script."""

from __future__ import annotations

import time
from typing import Any

from ..errors import UserError
from .panel_parts import describe, redraw
from .tasks import DONE, FAILED, RUNNING, Task

INTERVAL = 0.05  # seconds between two steps in a window


class LongWork:
    """Mixed into an operator: `begin` makes the task, the rest runs it. Esc cancels it."""

    # Such a task keeps hold of parts of the scene between its steps; undo would take them away.
    holds_scene = False
    interval = INTERVAL

    def begin(self, context: Any) -> Task:
        """The task, made from what the person chose. Raises UserError where that does not do."""
        raise NotImplementedError

    def execute(self: Any, context: Any) -> Any:
        if not self._begin(context):
            return {"CANCELLED"}
        task: Task = self._task
        while task.state == RUNNING:
            take_step(task)
            time.sleep(task.pause)
        return self._report(task)

    def invoke(self: Any, context: Any, event: Any) -> Any:
        if not self._begin(context):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(self.interval, window=context.window)
        self._status = ""
        manager.progress_begin(0, 100)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self: Any, context: Any, event: Any) -> Any:
        task: Task = self._task
        if event.type == "ESC" and event.value == "PRESS":
            task.cancel()
            return {"RUNNING_MODAL"}
        if self.holds_scene and event.type == "Z" and (event.ctrl or event.oskey):
            self.report({"INFO"}, "Undo has to wait for the end; Esc cancels")
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            take_step(task)
        finally:
            if task.state != RUNNING:
                self._leave(context)
        if task.state != RUNNING:
            return self._report(task)
        status = f"{describe(task)}   |   Esc: Cancel"
        if status != self._status:
            self._status = status
            context.workspace.status_text_set(status)
            context.window_manager.progress_update(round(100 * task.fraction))
        return {"PASS_THROUGH"}

    def cancel(self: Any, context: Any) -> None:
        """Called by Blender where it takes the operator away, as when another file is opened."""
        self._task.abandon()
        self._leave(context)

    def _begin(self: Any, context: Any) -> bool:
        try:
            task: Task = self.begin(context)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return False
        for notice in task.notices:
            self.report({"WARNING"}, notice)
        self._task = Task.latest[task.kind] = task
        return True

    def _leave(self: Any, context: Any) -> None:
        manager = context.window_manager
        manager.event_timer_remove(self._timer)
        manager.progress_end()
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        redraw()

    def _report(self: Any, task: Task) -> Any:
        level = "ERROR" if task.state == FAILED else "WARNING" if task.warns else "INFO"
        self.report({level}, task.message)
        return {"FINISHED" if task.state == DONE else "CANCELLED"}


def take_step(task: Task) -> None:
    """One step of a task; what goes wrong in it ends the task."""
    if task.state != RUNNING:  # something else ended it, such as saving the file
        return
    try:
        task.step()
    except UserError as error:
        task.end(FAILED, str(error))
    except BaseException:
        task.end(FAILED, "This failed in an unexpected way: Blender's console has the details.")
        raise
