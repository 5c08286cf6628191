"""Draws the choice of the engine and what there is to set up, in the panel and in the preferences alike."""

from __future__ import annotations

from typing import Any

import bpy

from ..engine.installation import ABSENT, BROKEN, COMPLETE, INTERRUPTED, OUTDATED
from ..engine.process import default_interpreter
from ..engine.torch_builds import build_named, proposed
from ..errors import UserError
from . import tasks
from .engine_choice import HOST, INSTALLED, installation_of, source_of
from .install_operators import plan_of
from .panel_parts import sentence, task_status

# By state of the installation: what the button is called, and why it is there.
BUTTONS = {ABSENT: "Install Engine", INTERRUPTED: "Repair Engine", BROKEN: "Repair Engine", OUTDATED: "Update Engine"}
WHY = {
    ABSENT: "The engine trains and renders. It is a program of its own, and is downloaded once.",
    INTERRUPTED: "The last installation was interrupted.",
    BROKEN: "The Python that the engine was installed with is gone, perhaps with an older Blender.",
    OUTDATED: "The add-on has brought a newer engine.",
}


def draw_setup(layout: Any, context: Any, preferences: Any) -> None:
    """Where the engine comes from, and what is still to be done for it."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(preferences, "source")
    if source_of(context) == HOST:
        column.prop(preferences, "host")
        column.prop(preferences, "token")
    elif source_of(context) == INSTALLED:
        _draw_installation(layout, context)
    else:
        column.prop(preferences, "interpreter", text="Python")
        if not preferences.interpreter and default_interpreter():
            sentence(layout, f"While this is empty: {default_interpreter()}", "INFO")


def draw_preferences(layout: Any, context: Any, preferences: Any) -> None:
    """All of it, with what few people need."""
    draw_setup(layout, context, preferences)
    layout.operator("srn.engine_check", icon="CHECKMARK")
    if "check" in tasks.Task.latest:
        task_status(layout, "check", "")
    if source_of(context) != INSTALLED:
        return
    box = layout.box()
    box.use_property_split = True
    box.use_property_decorate = False
    box.prop(preferences, "torch_build")
    box.prop(preferences, "engine_folder")
    box.prop(preferences, "package_index")
    row = layout.row()
    there = installation_of(context)
    if there.log.is_file():
        row.operator("wm.path_open", text="Open Log", icon="TEXT").filepath = str(there.log)
    row.operator("srn.engine_uninstall", icon="TRASH")


def _draw_installation(layout: Any, context: Any) -> None:
    if tasks.running("install"):
        task_status(layout, "install", "")
        return
    try:
        plan = plan_of(context)
    except UserError as error:
        sentence(layout, str(error), "ERROR")
        return
    there = plan.installation
    state = there.state(plan.wheel)
    if state == COMPLETE:
        what = there.stamped()
        sentence(layout, f"Engine {what['engine']}, PyTorch for {build_named(what['torch_build']).title}.", "CHECKMARK")
    else:
        layout.operator("srn.engine_install", text=BUTTONS[state], icon="IMPORT")
        sentence(layout, WHY[state], "INFO")
        sentence(layout, plan.summary if proposed() else "Looking at this computer's graphics card.")
        if not bpy.app.online_access:
            sentence(layout, "Blender is not allowed to go online: allow it under System first.", "ERROR")
            layout.operator("screen.userpref_show", text="Open Preferences", icon="PREFERENCES").section = "SYSTEM"
    if "install" in tasks.Task.latest and (state != COMPLETE or tasks.Task.latest["install"].state != tasks.CANCELLED):
        task_status(layout, "install", "")
