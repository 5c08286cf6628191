"""The tab SRN in the 3D view's sidebar: its panels in their order."""

from __future__ import annotations

import bpy

from ..engine import torch_builds
from ..engine.engine import engine
from . import tasks
from .capture_panel import SRN_PT_capture
from .compare_panel import SRN_PT_compare
from .engine_panel import SRN_PT_engine
from .fit_panel import SRN_PT_fit
from .geometry_panel import SRN_PT_geometry
from .panel_parts import redraw
from .placed_panel import SRN_PT_placed
from .report_panel import SRN_PT_report
from .train_panel import SRN_PT_train, SRN_PT_train_progress
from .view_panel import SRN_PT_render

CLASSES = (
    SRN_PT_engine,
    SRN_PT_capture,
    SRN_PT_train,
    SRN_PT_train_progress,
    SRN_PT_render,
    SRN_PT_placed,
    SRN_PT_compare,
    SRN_PT_report,
    SRN_PT_fit,
    SRN_PT_geometry,
)
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
