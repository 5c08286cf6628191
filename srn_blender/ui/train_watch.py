"""Keeps in step what the panel shows of trainings: the runs and the plot, looked at by a thread, and the preview."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..engine.engine import READY, engine
from ..errors import UserError
from ..results import images, plot
from ..results.placed_run import PlacedRun, last_read
from ..results.runs_watch import RunWatch, Seen
from . import placed_panel, runs_list, tasks
from .image_editors import draw_again
from .panel_parts import redraw
from .train_icons import PLOT, clear_icon, set_icon
from .train_task import latest_training, training_of

TIMER_SECONDS = 0.25
LOOK_SECONDS = 1.0  # between two looks at the runs
END_SECONDS = 2.0  # for a look to end when the add-on is turned off
IMAGE = "SRN Training"  # the plot as an image, where somebody has asked for it

_watch = RunWatch()
_looked = 0.0
_shown: plot.Array | None = None
_asked_for: object = None  # the run and the engine's state at the last question for trainings
_placed: PlacedRun | UserError | None = None  # what was known of the placed instance that was drawn last
_under_way: Path | None = None  # the run that the engine trains, by its answer


def look(scene: Any) -> None:
    """Looks at the runs: at once without a window, else soon."""
    global _looked
    _looked = 0.0
    run = runs_list.run_in_mind(scene)
    if bpy.app.background:
        _watch.begin(run, _live(run), placed_panel.run_drawn())
        _watch.end(timeout=60.0)
        _take(run)


def show_plot() -> bpy.types.Image | None:
    """The plot as an image, which follows the training from now on; None where there is none to show."""
    found = runs_list.seen()
    if found is None or found.encoded is None:
        return None
    return images.place(IMAGE, found.encoded)


def is_under_way(run: Path | None) -> bool:
    """Whether the engine trains a run that this Blender does not follow."""
    return run is not None and _under_way == run and not tasks.running("train")


def _look_for_trainings(run: Path) -> None:
    """Asks an engine that has just become ready, or where another run is in mind, whether it trains that."""
    global _asked_for, _under_way
    asked_for = (run, engine().state)
    if asked_for == _asked_for or tasks.running("train"):
        return
    _asked_for, _under_way = asked_for, None
    if engine().state == READY:
        engine().request("jobs", {}, functools.partial(_take_trainings, run), lambda sentence: None)


def _take_trainings(run: Path, result: Mapping[str, Any]) -> None:
    global _under_way
    _under_way = run if training_of(result["jobs"], run) is not None else None
    redraw()


def _timer() -> float:
    global _looked
    scene: Any = bpy.context.scene
    run = runs_list.run_in_mind(scene)
    task = latest_training()
    if task is not None:
        task.tend()
    placed = placed_panel.run_drawn()
    if run is None and placed is None:
        return TIMER_SECONDS
    _take(run)
    if run is not None:
        _look_for_trainings(run)
    found = runs_list.seen()
    is_new = run is not None and (found is None or found.run != run)
    if (is_new or time.monotonic() - _looked > LOOK_SECONDS) and _watch.begin(run, _live(run), placed):
        _looked = time.monotonic()
    return TIMER_SECONDS


def _live(run: Path | None) -> Any:
    """How a run's training goes, where this Blender follows it."""
    task = latest_training()
    return task.history if task is not None and task.run == run else None


def _take(run: Path | None) -> None:
    """Shows what a look has found, unless another run is in mind by now."""
    global _shown, _placed
    found = _watch.take()
    drawn = placed_panel.run_drawn()
    placed = last_read(drawn) if drawn is not None else None
    if placed is not _placed:
        _placed = placed
        redraw()
    if found is None or found.run != run:
        return
    before = runs_list.seen()
    runs_list.take(found)
    if before is None or _told(before) != _told(found) or found.picture is not _shown:
        redraw()
    if found.picture is not _shown:
        _shown = found.picture
        if _shown is None:
            clear_icon(PLOT)
        else:
            set_icon(PLOT, _shown)
            if IMAGE in bpy.data.images and found.encoded is not None:
                draw_again(images.place(IMAGE, found.encoded))


def _told(found: Seen) -> tuple[object, ...]:
    """What the panels say of it in words."""
    return found.runs, found.summary, found.report


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_timer, persistent=True)


def unregister() -> None:
    global _shown
    _shown = None
    if bpy.app.timers.is_registered(_timer):
        bpy.app.timers.unregister(_timer)
    _watch.end(END_SECONDS)
