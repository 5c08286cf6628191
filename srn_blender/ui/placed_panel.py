"""The panel Placed Instance: in the tab SRN, and among an empty's own properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..errors import UserError
from ..results import combined
from ..results.placed import folder_of_instance
from ..results.placed_run import last_read
from .panel_parts import SidebarPanel, sentence
from .placed_operators import active_instance

_drawn: Path | None = None


class SRN_PT_placed(SidebarPanel):
    bl_idname = "SRN_PT_placed"
    bl_label = "Placed Instances"

    def draw(self, context: Any) -> None:
        self.layout.operator("srn.place_instance", icon="EMPTY_AXIS")
        if combined.is_combined(context.scene):
            self.layout.operator("srn.combine_remove", icon="X")
        else:
            self.layout.operator("srn.combine", icon="NODE_COMPOSITING")
        settings = active_instance(context)
        if settings is None:
            sentence(self.layout, "Make a placed empty the active object to change what it shows.", "INFO")
        else:
            draw_instance(self.columns(), settings)


class SRN_PT_instance(bpy.types.Panel):
    bl_idname = "SRN_PT_instance"
    bl_label = "SRN Instance"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "data"

    layout: Any

    @classmethod
    def poll(cls, context: Any) -> bool:
        return active_instance(context) is not None

    def draw(self, context: Any) -> None:
        column = self.layout.column()
        column.use_property_split = True
        draw_instance(column, active_instance(context))


def draw_instance(column: Any, settings: Any) -> None:
    """What an empty stands for, to look at and to change."""
    column.prop(settings, "run_path")
    if not settings.run_path:
        return
    column.prop(settings, "instance")
    column.prop(settings, "second")
    if settings.second:
        column.prop(settings, "blend", slider=True)
    for index, share in enumerate(settings.further):
        row = column.row(align=True)
        row.use_property_split = False
        row.prop(share, "instance", text="")
        row.prop(share, "weight", text="")
        row.operator("srn.share_remove", text="", icon="X").index = index
    if settings.second:
        column.operator("srn.share_add", icon="ADD")
    problem = problem_of(settings)
    if problem:
        sentence(column, problem, "ERROR")


def run_drawn() -> Path | None:
    """The run of the instance that was drawn last; `train_watch` looks at it, as nothing here touches the disk."""
    return _drawn


def problem_of(settings: Any) -> str:
    """Why this cannot be shown, in a sentence; empty where it can, and where it was not looked at yet."""
    global _drawn
    try:
        _drawn = folder_of_instance(settings.id_data)
    except UserError as error:
        return str(error)
    run = last_read(_drawn)
    if run is None or isinstance(run, UserError):
        return str(run or "")
    named = (settings.instance, settings.second, *(share.instance for share in settings.further))
    unknown = [name for name in named if name and name not in run.sources]
    return f"Choose another instance: the run holds none named '{unknown[0]}'." if unknown else ""


CLASSES = (SRN_PT_instance,)  # SRN_PT_placed has its place among the panels of the tab

register, unregister = bpy.utils.register_classes_factory(CLASSES)
