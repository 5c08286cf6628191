"""The part of `scene.srn` that says what to train and how."""

from __future__ import annotations

import re
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from .. import compat
from ..results.runs import sibling

PRESETS = (
    ("fast", "Fast", "Good views after a minute, also without a GPU"),
    ("paper", "Paper", "The networks of Sitzmann et al. 2019; slower, and the views are softer"),
)


def _names() -> list[str]:
    context: Any = bpy.context
    return [run.name for run in context.window_manager.srn_runs.items]


def _get_run(settings: Any) -> int:
    """The place in the list of the run that is chosen by its path; -1 where it is not there."""
    name = re.split(r"[/\\]", settings.run_path.rstrip("/\\"))[-1]
    names = _names()
    return names.index(name) if name in names else -1


def _set_run(settings: Any, place: int) -> None:
    names = _names()
    if 0 <= place < len(names):  # a script may set any number
        settings.run_path = sibling(settings.run_path, names[place])


def _is_camera(settings: Any, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


class TrainProperties:
    """Mixed into `scene.srn`."""

    run_path: StringProperty(
        name="Run",
        description="Folder that the training is written into; // is the folder of the saved file",
        subtype="DIR_PATH",
        default="//srn/run",
        options=compat.PATH_OPTIONS,
    )
    preset: EnumProperty(name="Preset", description="What is trained, and how", items=PRESETS)
    seconds: FloatProperty(
        name="Time",
        description="How long to train; longer makes a better neural scene",
        default=60.0,
        min=1.0,
        soft_max=3600.0,
        max=604_800.0,
        precision=0,
        step=1000,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
    )
    active_run: IntProperty(
        name="Chosen Run",
        description="Which run of the list is meant",
        get=_get_run,
        set=_set_run,
        options={"SKIP_SAVE"},
    )
    preview: BoolProperty(
        name="Live Preview",
        description="Render a small picture now and then while it trains, in at most a tenth of the time",
        default=True,
    )
    preview_camera: PointerProperty(
        name="Preview Camera",
        description="The camera that the training is watched through; the scene's active one where this is empty",
        type=bpy.types.Object,
        poll=_is_camera,
    )
