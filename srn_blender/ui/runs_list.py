"""The runs beside the one in mind, as they were last seen; `train_watch` looks at them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
from bpy.props import CollectionProperty, PointerProperty

from ..errors import UserError
from ..results.runs import RunSummary
from ..results.runs_report import Report
from ..results.runs_watch import Seen
from .properties import folder_of, settings_of

_seen: Seen | None = None


class SRN_PG_run(bpy.types.PropertyGroup):
    """A run in the list, by its name."""


class SRN_PG_runs(bpy.types.PropertyGroup):
    """The runs in the folder of the run in mind. They belong to the window manager: no file keeps them."""

    items: CollectionProperty(name="Runs", description="What was trained in this folder", type=SRN_PG_run)


def run_in_mind(scene: Any) -> Path | None:
    """The folder that is chosen in `scene.srn`; None where none is, and where // means nothing yet."""
    if scene is None:
        return None
    try:
        return folder_of(settings_of(scene).run_path, "Run")
    except UserError:
        return None


def summary_in_mind(scene: Any) -> RunSummary | None:
    """What was seen of the run in mind; None where there is none, or where it was not looked at yet."""
    return _seen.summary if _seen is not None and _seen.run == run_in_mind(scene) else None


def summary_of(name: str) -> RunSummary | None:
    """What was seen of a run in the list."""
    return next((run for run in _seen.runs if run.name == name), None) if _seen is not None else None


def seen() -> Seen | None:
    return _seen


def take(found: Seen) -> None:
    """Shows what was found from now on."""
    global _seen
    _seen = found
    items = runs_of(bpy.context).items
    names = [run.name for run in found.runs]
    if [item.name for item in items] != names:
        items.clear()
        for name in names:
            items.add().name = name


def take_report(run: Path, report: Report) -> None:
    """Shows a report that was made just now, before the next look."""
    global _seen
    if _seen is not None and _seen.run == run:
        _seen = replace(_seen, report=report)


def runs_of(context: Any) -> Any:
    """`window_manager.srn_runs`, which the type checker does not know."""
    return context.window_manager.srn_runs


CLASSES = (SRN_PG_run, SRN_PG_runs)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    setattr(bpy.types.WindowManager, "srn_runs", PointerProperty(type=SRN_PG_runs))  # noqa: B010


def unregister() -> None:
    global _seen
    _seen = None
    delattr(bpy.types.WindowManager, "srn_runs")
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
