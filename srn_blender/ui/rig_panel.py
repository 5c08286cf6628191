"""The panel Rig: where the cameras of a capture stand."""

from __future__ import annotations

from typing import Any

import bpy

from ..capture.settings import FOUND_RIGS
from . import rig_preview
from .panel_parts import SidebarPanel, sentence
from .properties import settings_of


class SRN_PT_rig(SidebarPanel):
    bl_idname = "SRN_PT_rig"
    bl_label = "Rig"
    bl_parent_id = "SRN_PT_capture"

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "rig")
        if settings.rig in FOUND_RIGS:
            _draw_found(column, settings, context.scene)
        else:
            _draw_placed(column, settings)
        show = settings.show_rig
        self.layout.prop(settings, "show_rig", toggle=True, icon="HIDE_OFF" if show else "HIDE_ON")
        if show:
            self._draw_survey(context)

    def _draw_survey(self, context: Any) -> None:
        survey, problem = rig_preview.latest(context)
        if problem:
            sentence(self.layout, problem, "INFO")
        for warning in survey.warnings() if survey is not None else ():
            sentence(self.layout, warning, "ERROR")


def _draw_placed(column: Any, settings: Any) -> None:
    views = column.column(align=True)
    views.prop(settings, "train_views")
    views.prop(settings, "val_views")
    views.prop(settings, "test_views")
    lens = column.column(align=True)
    lens.prop(settings, "focal_length")
    lens.prop(settings, "distance")
    if settings.rig in ("spiral", "turntable"):
        rings = column.column(align=True)
        rings.prop(settings, "rings", text="Turns" if settings.rig == "spiral" else "Rings")
        rings.prop(settings, "lowest_elevation")
        rings.prop(settings, "highest_elevation")
    jitter = column.column(align=True)
    jitter.prop(settings, "jitter_angle")
    jitter.prop(settings, "jitter_distance")
    column.prop(settings, "seed")


def _draw_found(column: Any, settings: Any, scene: Any) -> None:
    if settings.rig == "cameras":
        column.prop_search(settings, "camera_collection", bpy.data, "collections")
    elif settings.rig == "animation":
        column.prop(scene, "camera")
        frames = column.column(align=True)
        frames.prop(scene, "frame_start", text="Frame Start")
        frames.prop(scene, "frame_end", text="End")
        frames.prop(scene, "frame_step", text="Step")
    else:
        column.prop(settings, "poses_path")
        column.prop(settings, "poses_units")
    column.prop(settings, "hold_out")


def register() -> None:
    bpy.utils.register_class(SRN_PT_rig)


def unregister() -> None:
    bpy.utils.unregister_class(SRN_PT_rig)
