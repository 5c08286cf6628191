"""The add-on's preferences: which Python the engine runs in."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from ..engine.process import default_interpreter

# The add-on itself: bl_ext.<repository>.srn when installed, srn_blender when a script imports it.
ADD_ON = __package__.rpartition(".")[0]


class SRN_AddonPreferences(bpy.types.AddonPreferences):
    """Kept with Blender, not with a file."""

    bl_idname = ADD_ON

    interpreter: StringProperty(
        name="Engine's Python",
        description="The Python interpreter that the engine is installed in, as in /home/me/srn/.venv/bin/python",
        subtype="FILE_PATH",
    )

    def draw(self, context: Any) -> None:
        self.layout.prop(self, "interpreter")
        if not self.interpreter and default_interpreter():
            self.layout.label(text=f"While this is empty: {default_interpreter()}", icon="INFO")


def preferences_of(context: Any) -> Any:
    """The preferences, or None where the add-on is imported by a script and not installed."""
    addon = context.preferences.addons.get(ADD_ON)
    return addon.preferences if addon is not None else None


def interpreter_of(context: Any) -> str:
    """The interpreter to start the engine with; empty where none is chosen."""
    preferences = preferences_of(context)
    chosen = bpy.path.abspath(preferences.interpreter) if preferences is not None else ""
    return chosen or default_interpreter()


def register() -> None:
    bpy.utils.register_class(SRN_AddonPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(SRN_AddonPreferences)
