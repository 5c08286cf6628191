"""The tab SRN in the 3D view's sidebar: its panels in their order, and those of training, rendering and comparing."""

from __future__ import annotations

from typing import Any

import bpy

from ..engine import torch_builds
from ..engine.engine import engine
from ..results import compositor, images
from . import tasks
from .capture_panel import SRN_PT_capture
from .engine_panel import SRN_PT_engine
from .panel_parts import SidebarPanel, redraw, sentence, task_status
from .properties import settings_of


class SRN_PT_train(SidebarPanel):
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
            if engine().has_storage:
                self.layout.operator("srn.fetch_run", icon="IMPORT")
        task_status(self.layout, "train", "Trains on the captured views.")


class SRN_PT_render(SidebarPanel):
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


class SRN_PT_compare(SidebarPanel):
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
    now = (engine().state, engine().message, torch_builds.proposed(), *told)
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
