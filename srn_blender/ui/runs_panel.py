"""The list of runs in the panel Train, and what is said of a run."""

from __future__ import annotations

from typing import Any

import bpy

from ..results.runs import BROKEN, PAUSED, THERE, TRAINED, RunSummary
from . import tasks
from .panel_parts import clock
from .properties import settings_of
from .runs_list import runs_of, summary_of
from .train_task import latest_training

ROWS = 3
ICONS = {TRAINED: "CHECKMARK", PAUSED: "PAUSE", THERE: "URL", BROKEN: "ERROR"}
WIDE = 420  # pixels of the sidebar, at a scale of 1, from which on a row has room for preset and dataset


class SRN_UL_runs(bpy.types.UIList):
    """The runs: state, name, and PSNR; in a wide sidebar preset and dataset too."""

    def draw_item(  # type: ignore[override]  # Blender takes it with or without the last two arguments
        self, context: Any, layout: Any, data: Any, item: Any, icon: Any, active_data: Any, active_property: Any
    ) -> None:
        run = summary_of(item.name)
        if run is None:
            layout.label(text=item.name, translate=False)
            return
        trains = _trains(run)
        row = layout.row()
        row.label(text=item.name, icon="PLAY" if trains else ICONS[run.state], translate=False)
        if context.region is not None and context.region.width > WIDE * context.preferences.system.ui_scale:
            row.label(text=f"{run.preset}, {run.dataset.name}", translate=False)
        side = row.row()
        side.alignment = "RIGHT"
        if run.state == PAUSED and not trains:
            side.label(text=f"{run.fraction:.0%}", translate=False)
        if run.psnr is not None:
            side.label(text=f"{run.psnr:.1f} dB", translate=False)


def _trains(run: RunSummary) -> bool:
    task = latest_training()
    return task is not None and task.state == tasks.RUNNING and task.run == run.folder


def draw_runs(layout: Any, context: Any) -> None:
    """The list, where there is one, and the buttons beside it."""
    settings, runs = settings_of(context.scene), runs_of(context)
    if not runs.items:
        return
    row = layout.row()
    row.template_list("SRN_UL_runs", "", runs, "items", settings, "active_run", rows=ROWS)
    buttons = row.column(align=True)
    buttons.operator("srn.run_new", icon="ADD", text="")
    buttons.operator("srn.run_delete", icon="REMOVE", text="")
    buttons.separator()
    buttons.operator("srn.run_rename", icon="GREASEPENCIL", text="")


def describe(run: RunSummary) -> str:
    """A run in a sentence or two."""
    if run.state == BROKEN:
        return run.problem
    if run.state == THERE:
        return "Trained on another computer: Continue follows it there, Fetch Run brings what there is."
    quality = f", PSNR {run.psnr:.1f} dB" if run.psnr is not None else ""
    how_long = f"{run.steps} steps in {clock(run.seconds)}"
    what = f"{run.preset.capitalize()} on '{run.dataset.name}', {how_long}{quality}."
    return f"Paused at {run.fraction:.0%}. {what}" if run.state == PAUSED else what


CLASSES = (SRN_UL_runs,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
