"""The part of `scene.srn` that says how to compare."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty

from ..results import compositor

MODES = tuple((identifier, name, tip) for identifier, name, tip, _ in compositor.MODES)


def _show_comparison(settings: Any, context: Any) -> None:
    owner = settings.id_data
    if isinstance(owner, bpy.types.Scene):
        compositor.select(owner, settings.compare_mode)


class CompareProperties:
    """Mixed into `scene.srn`."""

    compare_mode: EnumProperty(
        name="Show", description="How Cycles and the neural view are compared", items=MODES, update=_show_comparison
    )
