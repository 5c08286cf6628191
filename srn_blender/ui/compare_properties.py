"""The part of `scene.srn` that says how to compare."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty

from ..results import compare_group, compositor, view

NO_CLASS = ("NONE", "None", "The neural view has no labels")
_items: list[tuple[str, str, str]] = []  # Blender keeps pointers into what it is given


def _classes(settings: Any, context: Any) -> list[tuple[str, str, str]]:
    _items[:] = [(name, name, "White where the neural view sees this class") for name, _ in view.shown_classes()]
    return _items or [NO_CLASS]


def _show_comparison(settings: Any, context: Any) -> None:
    owner = settings.id_data
    if isinstance(owner, bpy.types.Scene):
        compositor.select(owner, settings.compare_mode, settings.compare_class)


def _move_wipe(settings: Any, context: Any) -> None:
    compare_group.set_wipe(settings.compare_wipe)


class CompareProperties:
    """Mixed into `scene.srn`."""

    compare_mode: EnumProperty(
        name="Show",
        description="How Cycles and the neural view are compared",
        items=compositor.MODES,
        update=_show_comparison,
    )
    compare_class: EnumProperty(
        name="Class", description="Whose mask is shown", items=_classes, update=_show_comparison
    )
    compare_wipe: FloatProperty(
        name="Wipe",
        description="Where Cycles' picture ends and the neural one begins, from the left end to the right one",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_move_wipe,
    )
    compare_live: BoolProperty(
        name="Live",
        description="Render the neural view, and the comparison, again where the camera or the run has changed",
    )
