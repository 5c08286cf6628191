"""The panel Compare."""

from __future__ import annotations

from typing import Any

import bpy

from ..results import compare_group, compositor, images, view
from . import compare_live, compare_swatches
from .panel_parts import SidebarPanel, sentence, task_status
from .properties import settings_of

SCALES = {"DIFFERENCE": compare_group.DIFFERENCE, "DEPTH_ERROR": compare_group.DEPTH_ERROR}
RANGES = {"DIFFERENCE": compare_group.DIFFERENCE_RANGE, "DEPTH_ERROR": compare_group.DEPTH_RANGE}
MOST_SWATCHES = 12


class SRN_PT_compare(SidebarPanel):
    bl_idname = "SRN_PT_compare"
    bl_label = "Compare"

    def draw(self, context: Any) -> None:
        node = compositor.group_node(context.scene)
        if node is None:
            self.layout.operator("srn.compare", icon="NODE_COMPOSITING")
            ready = images.COLOUR in bpy.data.images
            text = "Puts the comparison into the compositor." if ready else "Render a neural view first."
            sentence(self.layout, text, "INFO")
            return
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "compare_mode")
        missing = why_missing(context.scene)
        if missing:
            sentence(self.layout, missing, "ERROR")
        if settings.compare_mode in ("WIPE", "DEPTH"):
            column.prop(settings, "compare_wipe", slider=True)
        elif settings.compare_mode in SCALES:
            self._scale(column, node, settings.compare_mode)
        elif settings.compare_mode == compositor.MASKS:
            column.prop(settings, "compare_class")
        else:
            self._palette()
        column.prop(settings, "compare_live")
        if settings.compare_live:
            task_status(self.layout, compare_live.KIND, compare_live.problem() or "Waits for a change.")
        self.layout.operator("render.render", text="Render Comparison", icon="RENDER_STILL")
        row = self.layout.row(align=True)
        row.operator("srn.compare", text="Rebuild", icon="FILE_REFRESH")
        row.operator("srn.compare_remove", text="Remove", icon="X")

    def _scale(self, column: Any, node: Any, mode: str) -> None:
        """The heat map's colours, and the numbers that they stand for."""
        full = node.inputs.get(RANGES[mode])
        ramp = compare_group.heat_ramp(SCALES[mode])
        if full is None or ramp is None:  # a comparison of an earlier version: Rebuild brings them
            return
        column.prop(full, "default_value", text="Full Scale")
        ends = self.layout.column(align=True)
        row = ends.row(align=True)
        for swatch in compare_swatches.heat_icons():
            row.label(text="", icon_value=swatch)
        middle, end = (_number(full.default_value * part) for part in (0.5, 1.0))
        thirds = ends.split(factor=1 / 3)
        first, rest = thirds.row(), thirds.split(factor=1 / 2)
        for part, text, side in (
            (first, "0", "LEFT"),
            (rest.row(), middle, "CENTER"),
            (rest.row(), f"{end} or more", "RIGHT"),
        ):
            part.alignment = side
            part.label(text=text, translate=False)
        if mode == "DIFFERENCE":
            sentence(self.layout, "Mean of red, green and blue, where 1 is from black to white.")
        else:
            sentence(self.layout, "In the scene's units, along the camera's axis.")

    def _palette(self) -> None:
        """The colours of the classes, and their names."""
        classes = view.shown_classes()[1:]
        column = self.layout.column(align=True)
        for name, colour in classes[:MOST_SWATCHES]:
            column.label(text=name, icon_value=compare_swatches.icon(colour), translate=False)
        if len(classes) > MOST_SWATCHES:
            column.label(text=f"and {len(classes) - MOST_SWATCHES} more", translate=False)


def why_missing(scene: bpy.types.Scene) -> str:
    """Why the render does not show what is chosen, in a sentence; empty where it does."""
    settings = settings_of(scene)
    if settings.compare_mode in (compositor.LABELLED, compositor.MASKS) and not view.shown_classes():
        return "Choose another comparison: the neural view has no labels."
    if not compositor.can_show(scene, settings.compare_mode, settings.compare_class):
        return "Press Rebuild: the comparison was built before there was this to show."
    return ""


def _number(value: float) -> str:
    return f"{value:.3g}"
