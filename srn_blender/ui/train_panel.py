"""The panel Train, and under it how the training goes."""

from __future__ import annotations

from typing import Any

from ..engine.engine import engine
from ..results.runs import PAUSED, THERE, RunSummary
from . import tasks
from .panel_parts import SidebarPanel, clock, sentence, task_status
from .properties import settings_of
from .runs_list import run_in_mind, summary_in_mind
from .runs_panel import draw_runs, draw_summary
from .train_icons import PLOT, PREVIEW, icon
from .train_task import TrainTask, latest_training
from .train_watch import is_under_way

PICTURE = 12.0  # units of the interface, each the height of a button: as wide as the sidebar is at first


class SRN_PT_train(SidebarPanel):
    bl_idname = "SRN_PT_train"
    bl_label = "Train"

    def draw(self, context: Any) -> None:
        settings = settings_of(context.scene)
        draw_runs(self.layout, context)
        column = self.columns()
        column.prop(settings, "run_path")
        column.prop(settings, "preset")
        column.prop(settings, "seconds")
        task = latest_training()
        if task is not None and task.state == tasks.RUNNING:
            _draw_running(self.layout, context, task)
            return
        run = summary_in_mind(context.scene)
        if is_under_way(run_in_mind(context.scene)):
            sentence(self.layout, "The engine is training this run.", "PLAY")
            self.layout.operator("srn.train_continue", text="Follow Training", icon="PLAY")
            return
        _draw_buttons(self.layout, settings, run)
        if "train" in tasks.Task.latest and (task is None or task.run == run_in_mind(context.scene)):
            task_status(self.layout, "train", "")
        elif run is not None:
            draw_summary(self.layout, context)
        else:
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
    sentence(layout, describe(task))
    row = layout.row(align=True)
    row.operator("srn.train_pause", icon="PAUSE")
    row.operator("srn.cancel", text="Stop and Keep", icon="X").kind = "train"


def describe(task: TrainTask) -> str:
    """Step, speed, loss and PSNR of a training that runs."""
    history = task.history
    if task.number is None or not task.message.startswith("Step"):
        return task.message
    words = [f"Step {history.step}"]
    if history.speed is not None:
        words.append(f"{history.speed:.3g} steps/s")
    if history.loss.last is not None:
        words.append(f"loss {history.loss.last:.2g}")
    if history.psnr.last is not None:
        words.append(f"PSNR {history.psnr.last:.1f} dB")
    return ", ".join(words)


class SRN_PT_train_progress(SidebarPanel):
    bl_idname = "SRN_PT_train_progress"
    bl_label = "Progress"
    bl_parent_id = "SRN_PT_train"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and (summary_in_mind(context.scene) is not None or _is_seen(context))

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
        if task is None or not _is_seen(context):
            return
        if task.preview_problem:
            sentence(self.layout, task.preview_problem, "INFO")
        elif picture is not None:
            self.layout.template_icon(icon_value=picture, scale=PICTURE)


def _is_seen(context: Any) -> bool:
    """Whether the training that runs, or the last one that did, is that of the run in mind."""
    task = latest_training()
    return task is not None and task.run == run_in_mind(context.scene)
