"""The tab SRN in the 3D view's sidebar: engine, capture, train, render, compare."""

from __future__ import annotations

from typing import Any

import bpy

from ..engine.engine import FAILED, READY, STARTING, engine
from ..results import compositor, images
from . import tasks
from .capture_operator import what_to_capture
from .panel_parts import redraw, sentence, task_status
from .preferences import interpreter_of, preferences_of
from .properties import settings_of


class _Panel(bpy.types.Panel):
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


class SRN_PT_engine(_Panel):
    bl_idname = "SRN_PT_engine"
    bl_label = "Engine"

    def draw(self, context: Any) -> None:
        layout = self.layout
        state = engine().state
        preferences = preferences_of(context)
        if state == READY:
            sentence(layout, engine().message, "CHECKMARK")
            layout.operator("srn.engine_stop", icon="PAUSE")
            return
        if preferences is not None:
            layout.label(text="Engine's Python:")
            layout.prop(preferences, "interpreter", text="")
        if state == STARTING:
            task_status(layout, "engine", engine().message)
            return
        if state == FAILED:
            sentence(layout, engine().message, "ERROR")
        elif not interpreter_of(context):
            sentence(layout, "Choose the Python that the engine is installed in.", "INFO")
        layout.operator("srn.engine_start", icon="PLAY")


class SRN_PT_capture(_Panel):
    bl_idname = "SRN_PT_capture"
    bl_label = "Capture"

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "collection")
        column.prop(settings, "dataset_path")
        column.separator()
        column.prop(settings, "rig")
        views = column.column(align=True)
        views.prop(settings, "train_views")
        views.prop(settings, "val_views")
        views.prop(settings, "test_views")
        picture = column.column(align=True)
        picture.prop(settings, "size")
        picture.prop(settings, "samples")
        column.prop(settings, "labels")
        column.prop(settings, "seed")
        objects, source = what_to_capture(context)
        what = f"Captures '{source}'." if objects else "Select the object to capture, or choose a collection."
        if not tasks.running("capture"):
            self.layout.operator("srn.capture_views", icon="OUTLINER_OB_CAMERA")
        task_status(self.layout, "capture", what)


class SRN_PT_train(_Panel):
    bl_idname = "SRN_PT_train"
    bl_label = "Train"

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "run_path")
        column.prop(settings, "preset")
        column.prop(settings, "seconds")
        if not tasks.running("train"):
            self.layout.operator("srn.train", icon="PLAY")
        task_status(self.layout, "train", "Trains on the captured views.")


class SRN_PT_render(_Panel):
    bl_idname = "SRN_PT_render"
    bl_label = "Render"

    def draw(self, context: Any) -> None:
        self.columns().prop(context.scene, "camera")
        if not tasks.running("render"):
            self.layout.operator("srn.render_view", icon="RENDER_STILL")
        task_status(self.layout, "render", "Renders what the camera sees with what was trained.")
        image = bpy.data.images.get(images.COLOUR)
        preview = image.preview if image is not None else None
        if preview is not None:
            self.layout.template_icon(icon_value=preview.icon_id, scale=9.0)


class SRN_PT_compare(_Panel):
    bl_idname = "SRN_PT_compare"
    bl_label = "Compare"

    def draw(self, context: Any) -> None:
        if not compositor.is_built(context.scene):
            self.layout.operator("srn.compare", icon="NODE_COMPOSITING")
            ready = images.COLOUR in bpy.data.images
            text = "Puts the comparison into the compositor." if ready else "Render a neural view first."
            sentence(self.layout, text, "INFO")
            return
        self.columns().prop(settings_of(context.scene), "compare_mode")
        self.layout.operator("render.render", text="Render Comparison", icon="RENDER_STILL")
        row = self.layout.row(align=True)
        row.operator("srn.compare", text="Rebuild", icon="FILE_REFRESH")
        row.operator("srn.compare_remove", text="Remove", icon="X")


CLASSES = (SRN_PT_engine, SRN_PT_capture, SRN_PT_train, SRN_PT_render, SRN_PT_compare)
WATCH_SECONDS = 0.25


_seen: tuple[object, ...] = ()


def _watch() -> float:
    """Draws the sidebar again when something has changed: a task went on, or the engine was lost."""
    global _seen
    told = [(task.state, task.message, task.fraction) for task in tasks.Task.latest.values()]
    now = (engine().state, engine().message, *told)
    if now != _seen:
        _seen = now
        redraw()
    return WATCH_SECONDS


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    if not bpy.app.background:
        bpy.app.timers.register(_watch, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_watch):
        bpy.app.timers.unregister(_watch)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
