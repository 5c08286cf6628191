"""The panel Labels: what the semantic classes are made of, their names and their colours."""

from __future__ import annotations

from typing import Any

import bpy

from . import label_preview
from .label_operators import active_class
from .panel_parts import SidebarPanel, sentence
from .properties import settings_of

ROWS = 4


class SRN_UL_classes(bpy.types.UIList):
    """The classes: colour, name, and how many sources each has."""

    def draw_item(  # type: ignore[override]  # Blender takes it with or without the last two arguments
        self, context: Any, layout: Any, data: Any, item: Any, icon: Any, active_data: Any, active_property: Any
    ) -> None:
        row = layout.row(align=True)
        colour = row.row()
        colour.ui_units_x = 1.5
        colour.prop(item, "colour", text="")
        row.prop(item, "name", text="", emboss=False)
        count = row.row()
        count.alignment = "RIGHT"
        count.label(text=str(len(item.sources)), translate=False)


class SRN_PT_labels(SidebarPanel):
    bl_idname = "SRN_PT_labels"
    bl_label = "Labels"
    bl_parent_id = "SRN_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "labels")
        if settings.labels == "none":
            return
        if settings.labels == "property":
            column.prop(settings, "label_property")
        column.prop(settings, "labelled_views")
        if settings.instances != "one":
            column.prop(settings, "labelled_instances")
        self._draw_classes(settings)
        is_on = label_preview.is_on()
        self.layout.operator("srn.label_preview", icon="HIDE_OFF" if is_on else "HIDE_ON", depress=is_on)
        if label_preview.problem():
            sentence(self.layout, label_preview.problem(), "ERROR")

    def _draw_classes(self, settings: Any) -> None:
        layout = self.layout
        row = layout.row()
        row.template_list("SRN_UL_classes", "", settings, "classes", settings, "active_class", rows=ROWS)
        buttons = row.column(align=True)
        buttons.operator("srn.add_class", icon="ADD", text="")
        buttons.operator("srn.remove_class", icon="REMOVE", text="")
        buttons.separator()
        buttons.operator("srn.move_class", icon="TRIA_UP", text="").direction = "UP"
        buttons.operator("srn.move_class", icon="TRIA_DOWN", text="").direction = "DOWN"
        layout.operator("srn.fill_classes", icon="FILE_REFRESH")
        chosen = active_class(settings)
        if chosen is None:
            sentence(layout, "While the list is empty, each source is a class of its own.", "INFO")
            return
        box = layout.box().column(align=True)
        for source in chosen.sources:
            line = box.row()
            line.label(text=source.name, translate=False)
            line.operator("srn.remove_source", icon="X", text="", emboss=False).source = source.name
        box.operator("srn.add_source", icon="ADD")


CLASSES = (SRN_UL_classes, SRN_PT_labels)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
