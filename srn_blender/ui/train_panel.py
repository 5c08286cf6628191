"""The panel Train, and under it how the training goes."""

from __future__ import annotations

from typing import Any

from ..engine.engine import engine
from ..results.runs import PAUSED, THERE, RunSummary
from . import tasks
from .panel_parts import SidebarPanel, clock, sentence, task_status
from .properties import settings_of
from .runs_list import run_in_mind, runs_of, summary_in_mind
from .runs_panel import ICONS, draw_runs
from .runs_panel import describe as describe_run
from .train_icons import PLOT, PREVIEW, icon
from .train_task import TrainTask, latest_training
from .train_watch import is_under_way

PICTURE = 12.0  # units of the interface, each the height of a button: as wide as the sidebar is at first


class SRN_PT_train(SidebarPanel):
    bl_idname = "SRN_PT_train"
    bl_label = "Train"

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        task, run = latest_training(), summary_in_mind(context.scene)
        trains = task is not None and task.state == tasks.RUNNING
        draw_runs(self.layout, context)
        if run is not None and not trains:
            sentence(self.layout, describe_run(run), ICONS[run.state])
        column = self.columns()
        column.prop(settings, "run_path")
        column.prop(settings, "preset")
        column.prop(settings, "seconds")
        if task is not None and trains:
            _draw_running(self.layout, context, task)
            return
        if is_under_way(run_in_mind(context.scene)):
            sentence(self.layout, "The engine is training this run.", "PLAY")
            self.layout.operator("srn.train_continue", text="Follow Training", icon="PLAY")
            return
        _draw_buttons(self.layout, settings, run)
        is_fetch = task is None and "train" in tasks.Task.latest
        if is_fetch or _is_seen(context):
            task_status(self.layout, "train", "")
        elif run is None:
            sentence(self.layout, "Trains on the captured views.", "INFO")


def _draw_buttons(layout: Any, settings: Any, run: RunSummary | None) -> None:
    if run is not None and run.state in (PAUSED, THERE):
        layout.operator("srn.train_continue", icon="PLAY")
    elif run is not None and run.can_continue:
        more = f"Train {clock(settings.seconds)} More"
        layout.operator("srn.train_continue", text=more, icon="PLAY", translate=False).seconds = (
            run.seconds + settings.seconds
        )
    if run is None:
        layout.operator("srn.train", icon="PLAY").new_run = True
    else:
        layout.operator("srn.train", text="Train New Run", icon="ADD").new_run = True
    if engine().has_storage:
        layout.operator("srn.fetch_run", icon="IMPORT")


def _draw_running(layout: Any, context: Any, task: TrainTask) -> None:
    left = f"{clock(task.eta)} left" if task.eta is not None else "..."
    layout.progress(factor=task.fraction, text=f"{task.fraction:.0%}, {left}", translate=False)
    if task.run != run_in_mind(context.scene):
        sentence(layout, f"This is '{task.run.name}', another run than the chosen one.", "INFO")
    for line in describe(task):
        sentence(layout, line)
    row = layout.row(align=True)
    row.operator("srn.train_pause", icon="PAUSE")
    row.operator("srn.cancel", text="Stop and Keep", icon="X").kind = "train"


def describe(task: TrainTask) -> list[str]:
    """Step, speed, loss, PSNR and what else a training that runs tells, on lines that fit the sidebar."""
    history = task.history
    if task.number is None or not task.message.startswith("Step"):
        return [task.message]
    speed = f", {history.speed:.3g} steps/s" if history.speed is not None else ""
    metrics = [f"Loss {history.loss.last:.2g}"] if history.loss.last is not None else []
    if history.psnr.last is not None:
        metrics.append(f"PSNR {history.psnr.last:.1f} dB")
    notes = [note[:1].upper() + note[1:] for note in task.message.split("; ")[1:]]
    return [f"Step {history.step}{speed}", *([", ".join(metrics)] if metrics else []), *notes]


class SRN_PT_train_progress(SidebarPanel):
    bl_idname = "SRN_PT_train_progress"
    bl_label = "Progress"
    bl_parent_id = "SRN_PT_train"

    @classmethod
    def poll(cls, context: Any) -> bool:
        # As long as there is any run: panels that come and go while one is picked would make all below jump.
        return context.scene is not None and (len(runs_of(context).items) > 0 or _is_seen(context))

    def draw(self, context: Any) -> None:
        plot = icon(PLOT)
        if plot is not None:
            self.layout.template_icon(icon_value=plot, scale=PICTURE)
            self.layout.operator("srn.train_plot", icon="IMAGE_DATA")
        settings = settings_of(context.scene)
        column = self.columns()
        column.prop(settings, "preview")
        if not settings.preview:
            return
        column.prop(settings, "preview_camera")
        task, picture = latest_training(), icon(PREVIEW)
        # Only while it runs: what comes next would else lie below the window's edge.
        if task is None or task.state != tasks.RUNNING or not _is_seen(context):
            return
        if task.preview_problem:
            sentence(self.layout, task.preview_problem, "INFO")
        elif picture is not None:
            self.layout.template_icon(icon_value=picture, scale=PICTURE)


def _is_seen(context: Any) -> bool:
    """Whether the training that runs, or the last one that did, is that of the run in mind."""
    task = latest_training()
    return task is not None and task.run == run_in_mind(context.scene)
