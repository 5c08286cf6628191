"""Live: a timer that asks for the neural view again when the camera or the run has changed and then stood still.

It works beside everything else: one view at a time, what is no longer wanted is dropped, and nothing of it is undone or
makes the file count as changed. What is shown says itself what it shows, so that undo and other files are no matter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..capture.camera import Camera, active_camera, camera_in
from ..engine.engine import READY, engine
from ..errors import UserError
from ..results import compositor, view
from . import tasks
from .long_work import take_step
from .properties import folder_of, settings_of
from .view_operators import view_job

KIND = "live"
WATCH_SECONDS = 0.1
STILL_SECONDS = 0.4  # without a change before a view is asked for
BUSY = ("render", "capture")  # kinds of tasks that it waits for


@dataclass
class _State:
    """wanted: what the view last looked for shows. since: when it was first wanted. tried: whether it was asked for."""

    wanted: tuple[object, ...] = ()
    since: float = 0.0
    tried: bool = False
    problem: str = ""


_state = _State()


def tick(scene: bpy.types.Scene | None, now: float) -> None:
    """Goes on with the view that is under way, and begins one where it is time; takes a moment.

    scene: the one to keep up with, None for none. now: in seconds, as of `time.monotonic`.
    """
    task = tasks.Task.latest.get(KIND)
    if task is not None and task.state == tasks.RUNNING:
        take_step(task)
        if task.state == tasks.DONE and scene is not None and compositor.is_built(scene):
            _render_comparison()
    if scene is None or _is_busy():
        _drop()
        return
    try:
        camera, trained = _wanted(scene)
    except UserError as error:
        _state.problem = str(error)
        _drop()
        return
    _state.problem = "" if engine().state == READY else "Live waits for the engine: start it."
    wanted = (repr(camera.to_json()), trained.run, trained.instance, view.stamp_of(trained.run))
    if wanted != _state.wanted:
        _state.wanted, _state.since, _state.tried = wanted, now, False
        _drop()
    elif now - _state.since >= STILL_SECONDS and not (_state.tried or _state.problem or tasks.running(KIND)):
        _state.tried = True
        if not view.is_current(camera, trained):
            job = view_job(camera, trained, in_editors=False)  # one of them may show the comparison
            tasks.Task.latest[KIND] = tasks.JobTask(KIND, job, lambda: None)


def problem() -> str:
    """Why no view can be asked for, as a sentence; empty where one can."""
    return _state.problem


def _wanted(scene: Any) -> tuple[Camera, view.Trained]:
    """What the neural view is to show: of the run in mind the instance that it shows already, else the first.

    Raises UserError where there is no such thing.
    """
    run = folder_of(settings_of(scene).run_path, "Run")
    trained = _read(run, view.shown_source(run), view.stamp_of(run))
    camera = active_camera(scene)
    layer = scene.view_layers[0]
    if layer.depsgraph is None:  # not drawn yet
        return view.seen_by(scene, camera), trained
    return view.fitting(camera_in(layer.depsgraph, scene.render, camera)), trained


@lru_cache(maxsize=1)  # ten times a second, and a run of many instances says much; a new stamp reads it again
def _read(run: Path, source: str, stamp: str) -> view.Trained:
    return view.read_run(run, source)


def _is_busy() -> bool:
    return bpy.app.is_job_running("RENDER") or any(tasks.running(kind) for kind in BUSY)


def _drop() -> None:
    """Gives up the view under way; it takes some more ticks to end."""
    if tasks.running(KIND):
        tasks.cancel_all(KIND)
        _state.tried = False


def _render_comparison() -> None:
    """Renders Cycles' side again and composites, beside the window's work and without a window of its own."""
    manager: Any = bpy.context.window_manager
    if bpy.app.background or not manager.windows:
        return
    preferences: Any = bpy.context.preferences
    shown, changed = preferences.view.render_display_type, preferences.is_dirty
    preferences.view.render_display_type = "NONE"
    try:
        with bpy.context.temp_override(window=manager.windows[0]):
            bpy.ops.render.render("INVOKE_DEFAULT")
    finally:
        preferences.view.render_display_type, preferences.is_dirty = shown, changed


def _live_scene() -> bpy.types.Scene | None:
    """The scene of the first window that is to be kept up with."""
    manager: Any = bpy.context.window_manager
    scenes = [window.scene for window in manager.windows]
    return next((scene for scene in scenes if settings_of(scene).compare_live), None)


def _watch() -> None:
    try:
        tick(_live_scene(), time.monotonic())
    finally:
        # Not by its return value: Blender drops a timer whose function raised.
        bpy.app.timers.register(_watch, first_interval=WATCH_SECONDS, persistent=True)


@persistent  # type: ignore[untyped-decorator]
def _before_loading(*_: object) -> None:
    tasks.cancel_all(KIND)


def register() -> None:
    bpy.app.handlers.load_pre.append(_before_loading)
    if not bpy.app.background:
        bpy.app.timers.register(_watch, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_watch):
        bpy.app.timers.unregister(_watch)
    bpy.app.handlers.load_pre.remove(_before_loading)
    tasks.cancel_all(KIND)
