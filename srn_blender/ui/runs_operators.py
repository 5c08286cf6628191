"""New Run, Rename Run and Delete Run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from ..errors import UserError
from ..results.runs import checked_name, delete_run, rename_run, sibling
from . import tasks, train_watch
from .properties import folder_of, settings_of
from .runs_list import run_in_mind
from .train_operators import free_path
from .train_task import latest_training


class SRN_OT_run_new(bpy.types.Operator):
    """Choose a new name beside the chosen run, so that the next training leaves that one as it is"""

    bl_idname = "srn.run_new"
    bl_label = "New Run"
    bl_options = {"UNDO"}

    name: StringProperty(
        name="Name", description="What to call it; the next free number where this is empty", options={"SKIP_SAVE"}
    )

    def execute(self, context: Any) -> Any:
        settings = settings_of(context.scene)
        try:
            path = sibling(settings.run_path, checked_name(self.name)) if self.name else settings.run_path
            settings.run_path = free_path(path)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        train_watch.look(context.scene)
        return {"FINISHED"}


class SRN_OT_run_rename(bpy.types.Operator):
    """Rename the chosen run, and its folder with it"""

    bl_idname = "srn.run_rename"
    bl_label = "Rename Run"
    bl_options = {"UNDO"}

    name: StringProperty(name="Name", description="The run's new name, and its folder's", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: Any) -> bool:
        return _is_at_rest(cls, context)

    def invoke(self, context: Any, event: Any) -> Any:
        self.name = run_in_mind(context.scene).name  # type: ignore[union-attr]  # poll has seen it
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: Any) -> Any:
        try:
            folder = folder_of(settings_of(context.scene).run_path, "Run")
            users = users_of(folder)
            renamed = rename_run(folder, self.name)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for user in users:
            user.run_path = sibling(user.run_path, renamed.name)
        train_watch.look(context.scene)
        return {"FINISHED"}


class SRN_OT_run_delete(bpy.types.Operator):
    """Delete what the training of the chosen run has written; what else lies in its folder stays"""

    bl_idname = "srn.run_delete"
    bl_label = "Delete Run"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return _is_at_rest(cls, context)

    def invoke(self, context: Any, event: Any) -> Any:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: Any) -> Any:
        settings = settings_of(context.scene)
        try:
            folder = folder_of(settings.run_path, "Run")
            left = delete_run(folder)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if left:
            shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            self.report({"WARNING"}, f"'{folder.name}' is deleted but for what others have put there: {shown}")
        else:
            self.report({"INFO"}, f"'{folder.name}' is deleted")
        _forget(folder)
        train_watch.look(context.scene)
        return {"FINISHED"}


def _is_at_rest(operator: Any, context: Any) -> bool:
    """Whether there is a run in mind that nothing of ours is writing."""
    run = run_in_mind(context.scene)
    if run is None or not run.is_dir():
        operator.poll_message_set("There is no such run yet")
        return False
    task = latest_training()
    if tasks.running("report"):
        operator.poll_message_set("Wait for the end of the report")
        return False
    if task is not None and task.state == tasks.RUNNING and task.run == run:
        operator.poll_message_set("Wait for the end of its training, or stop it")
        return False
    return True


def users_of(folder: Path) -> list[Any]:
    """The settings of scenes and placed instances of this file that name a run's folder."""
    owners = [*bpy.data.scenes, *(thing for thing in bpy.data.objects if thing.type == "EMPTY")]
    users: list[Any] = [getattr(owner, "srn") for owner in owners if owner.library is None]  # noqa: B009
    return [user for user in users if user.run_path and _names(user.run_path, folder)]


def _names(path: str, folder: Path) -> bool:
    try:
        return folder_of(path, "Run") == folder
    except UserError:
        return False


def _forget(folder: Path) -> None:
    """How the last training ended is no longer true where its run is gone."""
    task = latest_training()
    if task is not None and task.run == folder:
        del tasks.Task.latest["train"]


CLASSES = (SRN_OT_run_new, SRN_OT_run_rename, SRN_OT_run_delete)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
