"""Train SRN, Pause, Continue, and Fetch Run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty

from ..engine.engine import READY, engine
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import HostRun
from ..errors import UserError
from ..results import preview
from ..results.runs import BROKEN, RunSummary, free_name, read_run, sibling
from ..results.runs_history import History
from . import tasks, train_watch
from .capture_operator import source_in_mind
from .engine_choice import open_engine
from .image_editors import show_in_one
from .long_work import LongWork
from .properties import folder_of, settings_of
from .train_task import Resumed, TrainTask, latest_training


class SRN_OT_train(LongWork, bpy.types.Operator):
    """Train a neural scene on the captured views; starts the engine where it is not running"""

    bl_idname = "srn.train"
    bl_label = "Train SRN"
    bl_options = {"UNDO"}
    kind, busy = "train", "A training is running already"

    new_run: BoolProperty(
        name="New Run",
        description="Where there is a run already, train into a new folder beside it; else the earlier training moves "
        "into the folder 'previous' of its run",
        options={"SKIP_SAVE"},
    )

    def begin(self, context: Any) -> tasks.Task:
        return begin_training(context, self.new_run)


class SRN_OT_train_continue(LongWork, bpy.types.Operator):
    """Go on with the training of the chosen run, with its own preset and what it has learned so far; where the engine \
still trains it, follow it"""

    bl_idname = "srn.train_continue"
    bl_label = "Continue"
    bl_options = {"UNDO"}
    kind, busy = "train", "A training is running already"

    seconds: FloatProperty(
        name="Time",
        description="How long it is trained in all, what it has used before included; the time that it was given "
        "where this is 0",
        min=0.0,
        max=604_800.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
        options={"SKIP_SAVE"},
    )

    def begin(self, context: Any) -> tasks.Task:
        return continue_training(context, self.seconds)


class SRN_OT_train_pause(bpy.types.Operator):
    """Stop the training for now; Continue goes on from here, also after Blender was closed"""

    bl_idname = "srn.train_pause"
    bl_label = "Pause"

    @classmethod
    def poll(cls, context: Any) -> bool:
        task = latest_training()
        if task is None or task.state != tasks.RUNNING:
            cls.poll_message_set("No training is running")
            return False
        return True

    def execute(self, context: Any) -> Any:
        task = latest_training()
        assert task is not None
        task.halt(describe_pause)
        return {"FINISHED"}


class SRN_OT_train_plot(bpy.types.Operator):
    """Show the plot of loss and PSNR in an image editor, in a window of its own where none is open"""

    bl_idname = "srn.train_plot"
    bl_label = "Show Plot in Image Editor"
    bl_options = {"UNDO"}

    def execute(self, context: Any) -> Any:
        image = train_watch.show_plot()
        if image is None:
            self.report({"ERROR"}, "Train first: there is nothing to plot yet.")
            return {"CANCELLED"}
        show_in_one(image)
        return {"FINISHED"}


def begin_training(context: Any, new_run: bool = False) -> TrainTask:
    """The training of what is chosen, ready to be stepped; new_run: into a new folder where the chosen one holds a run.

    Raises UserError where something chosen does not do.
    """
    settings = settings_of(context.scene)
    dataset = folder_of(settings.dataset_path, "Dataset")
    target = preview.target_in_dataset(dataset, source_in_mind(context))
    path = free_path(settings.run_path) if new_run else settings.run_path
    request = JobRequest(
        "train",
        {"preset": settings.preset, "seconds": settings.seconds, "seed": settings.seed},
        {"dataset": FolderRead(dataset)},
        {"run": folder_of(path, "Run")},
    )
    task = TrainTask(_job(request), lambda: open_engine(context), target, History())
    settings.run_path = path
    return task


def continue_training(context: Any, seconds: float = 0.0) -> TrainTask:
    """The training of the run in mind, ready to be stepped on until it took so long in all; 0 for its own time.

    Raises UserError where there is none that could go on.
    """
    settings = settings_of(context.scene)
    folder = folder_of(settings.run_path, "Run")
    run = read_run(folder)
    problem = _why_not(folder, run, seconds)
    if problem is not None and engine().state != READY:  # one that is ready may have it under way
        raise problem
    kept = run is not None and run.resumable and run.dataset.is_dir()
    dataset = run.dataset if run is not None and kept else folder_of(settings.dataset_path, "Dataset")
    request = JobRequest(
        "train",
        {"resume": True} | ({"seconds": seconds} if seconds else {}),
        {"dataset": FolderRead(dataset)},
        {"run": folder},
    )
    source = source_in_mind(context)
    known = run is not None and run.preset
    target = preview.target_in_run(folder, source) if known else preview.target_in_dataset(dataset, source)
    return TrainTask(_job(request), lambda: open_engine(context), target, History.read(folder), Resumed(run, problem))


def free_path(path: str) -> str:
    """The path of a run, or of a new one beside it where its folder holds something."""
    folder = folder_of(path, "Run")

    def is_taken(name: str) -> bool:
        there = folder.with_name(name)
        return there.exists() and (not there.is_dir() or any(there.iterdir()))

    return sibling(path, free_name(folder.name, is_taken))


def _why_not(folder: Path, run: RunSummary | None, seconds: float) -> UserError | None:
    """Why the run in a folder cannot go on until `seconds`, 0 for its own time; None where it can."""
    if run is None:
        return UserError(f"Train first, or choose another run: there is none in {folder}.")
    if run.state == BROKEN:
        return UserError(run.problem)
    if not run.can_continue:
        return UserError(f"Train anew: '{run.name}' was fitted or converted, and keeps no training that could go on.")
    if run.preset and run.fraction >= 1.0 and seconds <= run.seconds:
        return UserError(f"Give it more than {run.seconds:.0f} s in all: '{run.name}' has used up its time.")
    return None


def _job(request: JobRequest) -> tasks.Job:
    return tasks.Job(request, lambda result, arrays: describe_training(result), describe_cut_training)


def describe_training(result: Mapping[str, Any]) -> str:
    """How a training ended, and what to do next."""
    psnr = result.get("psnr")
    quality = f"PSNR {psnr:.1f} dB" if psnr is not None else "no validation views to measure with"
    return f"Trained {result['steps']} steps in {result['seconds']:.0f} s: {quality}. Next: Render Neural View."


def describe_cut_training(result: Mapping[str, Any]) -> str:
    """What a cancelled training has left."""
    if "run" in result:
        return "Training stopped; what it had learned is kept, can be rendered, and can go on."
    return "Training cancelled before it had learned anything."


def describe_pause(result: Mapping[str, Any]) -> str:
    """Where a training has paused."""
    if "run" in result:
        return f"Paused at step {result['steps']}: Continue goes on from there."
    return describe_cut_training(result)


class SRN_OT_fetch_run(LongWork, bpy.types.Operator):
    """Fetch what was trained for this run on another computer, where it could not be fetched or goes on training"""

    bl_idname = "srn.fetch_run"
    bl_label = "Fetch Run"
    kind, busy = "train", "A training is running; it fetches its run at its end"

    def begin(self, context: Any) -> tasks.Task:
        folder = folder_of(settings_of(context.scene).run_path, "Run")
        if HostRun.read(folder) is None:
            raise UserError(f"Train first: nothing was trained on another computer for {folder}.")
        return tasks.FetchTask("train", folder, lambda: open_engine(context))


CLASSES = (SRN_OT_train, SRN_OT_train_continue, SRN_OT_train_pause, SRN_OT_train_plot, SRN_OT_fetch_run)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
