"""What several panels draw alike: a task's progress, and sentences that fit the sidebar."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy

from .tasks import CANCELLED, DONE, FAILED, RUNNING, Task

LETTER = 6.6  # pixels of an average letter, at a scale of 1
ICONS = {DONE: "CHECKMARK", CANCELLED: "CANCEL", FAILED: "ERROR"}


class SidebarPanel(bpy.types.Panel):
    """What is common to the panels of the tab SRN in the 3D view's sidebar."""

    layout: Any

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "SRN"

    def columns(self) -> Any:
        """A layout of properties, their names on the left."""
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        return column


def describe(task: Task) -> str:
    """How far a running task is, on one line."""
    left = f", {clock(task.eta)} left" if task.eta is not None else ""
    return f"{task.message} ({task.fraction:.0%}{left})"


def clock(seconds: float) -> str:
    """A duration as a person reads it: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def sentence(layout: Any, text: str, icon: str = "NONE") -> None:
    """A text over as many lines as the sidebar's width asks for, the icon before the first.

    It is translated as a whole, as Blender does it with labels: its lines are nothing to look up.
    """
    context: Any = bpy.context
    scale = context.preferences.system.ui_scale
    width = context.region.width if context.region is not None else 300
    letters = max(int((width / scale - 70) / LETTER), 16)
    column = layout.column(align=True)
    column.scale_y = 0.8
    translated = bpy.app.translations.pgettext_iface(text)
    for line_number, line in enumerate(textwrap.wrap(translated, letters)):
        mark = icon if line_number == 0 else ("NONE" if icon == "NONE" else "BLANK1")
        column.label(text=line, icon=mark, translate=False)


def task_status(layout: Any, kind: str, otherwise: str) -> None:
    """How the task of a kind goes, with a button to cancel it, or how the last one ended.

    otherwise: what to do, where none was started yet.
    """
    task = Task.latest.get(kind)
    if task is None:
        sentence(layout, otherwise, "INFO")
    elif task.state == RUNNING:
        left = f"{clock(task.eta)} left" if task.eta is not None else "..."
        layout.progress(factor=task.fraction, text=f"{task.fraction:.0%}, {left}", translate=False)
        sentence(layout, task.message)
        layout.operator("srn.cancel", icon="X").kind = kind
    else:
        sentence(layout, task.message, "ERROR" if task.warns else ICONS[task.state])


def redraw() -> None:
    """Draws preferences, properties and the 3D views' sidebars again, but not the views, which may be slow to draw."""
    manager: Any = bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type in ("PREFERENCES", "PROPERTIES"):
                area.tag_redraw()
            elif area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def redraw_views() -> None:
    """Draws every 3D view again."""
    manager: Any = bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
