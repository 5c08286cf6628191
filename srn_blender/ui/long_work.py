"""How an operator runs a task: step by step in a window, which stays free, or to its end in a script."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import bpy

from ..errors import UserError
from .panel_parts import describe, redraw
from .tasks import DONE, FAILED, RUNNING, UNEXPECTED, Task, running

INTERVAL = 0.05  # seconds between two steps in a window


class HeldWindow:
    """What a task takes of the window it runs in: a timer, the number at the pointer, and the status bar.

    all: those not released yet. Of a class that is unregistered Blender ends the operators without calling `cancel`.
    """

    all: ClassVar[list[HeldWindow]] = []

    def __init__(self, context: Any, interval: float) -> None:
        manager = context.window_manager
        self._timer = manager.event_timer_add(interval, window=context.window)
        manager.progress_begin(0, 100)
        self._shown: dict[str, str] = {}  # the status by workspace, as a person may change to another one
        self.all.append(self)

    def show(self, context: Any, task: Task) -> None:
        """Says in the status bar how the task goes."""
        status = f"{describe(task)}   |   Esc: Cancel"
        if self._shown.get(context.workspace.name) != status:
            self._shown[context.workspace.name] = status
            context.workspace.status_text_set(status)
            context.window_manager.progress_update(round(100 * task.fraction))

    def release(self) -> None:
        """Gives all of it back."""
        self.all.remove(self)
        context: Any = bpy.context
        context.window_manager.event_timer_remove(self._timer)
        context.window_manager.progress_end()
        for name in self._shown:
            workspace: Any = bpy.data.workspaces.get(name)
            if workspace is not None:
                with context.temp_override(workspace=workspace):  # its status bar is that of the context's workspace
                    workspace.status_text_set(None)
        redraw()


class LongWork:
    """Mixed into an operator. Its own `begin(context)` makes the task, and raises UserError where what the person chose
    does not do; the rest runs it. Esc cancels it.

    kind: the task's, where one at a time is enough; busy: what to say while one runs.
    """

    kind = ""
    busy = ""
    # Such a task keeps hold of parts of the scene between its steps; undo would take them away.
    holds_scene = False
    interval = INTERVAL

    @classmethod
    def poll(cls: Any, context: Any) -> bool:
        if cls.kind and running(cls.kind):
            cls.poll_message_set(cls.busy)
            return False
        return context.scene is not None

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
        self._held = HeldWindow(context, self.interval)
        context.window_manager.modal_handler_add(self)
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
                self._held.release()
        if task.state != RUNNING:
            return self._report(task)
        self._held.show(context, task)
        return {"PASS_THROUGH"}

    def cancel(self: Any, context: Any) -> None:
        """Called by Blender where it takes the operator away, as when another file is opened."""
        self._task.abandon()
        self._held.release()

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
    except BaseException:  # whatever it is, and it goes on: the panel must not wait for ever
        task.end(FAILED, UNEXPECTED)
        raise


def register() -> None:
    """Nothing is held before an operator begins."""


def unregister() -> None:
    for held in list(HeldWindow.all):
        held.release()
