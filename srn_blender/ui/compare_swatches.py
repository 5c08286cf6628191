"""Small squares of one colour, as icons: what the colours of a picture stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy.utils.previews
import numpy as np

from ..results.compare_group import INFERNO

SIDE = 16  # pixels
_previews: Any = None


def icon(colour: Sequence[float]) -> int:
    """The icon of an sRGB colour (3,), from 0 to 1, for `icon_value`."""
    name = " ".join(f"{part:.4f}" for part in colour)
    if name not in _previews:
        preview = _previews.new(name)
        preview.icon_size = preview.image_size = (SIDE, SIDE)
        pixels = np.tile(np.array([*colour, 1.0], np.float32), SIDE * SIDE)
        preview.icon_pixels_float.foreach_set(pixels)
        preview.image_pixels_float.foreach_set(pixels)
    return int(_previews[name].icon_id)


def heat_icons() -> list[int]:
    """The heat map's colours from nothing to the full scale."""
    return [icon(colour) for colour in INFERNO[::2].tolist()]


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    global _previews
    bpy.utils.previews.remove(_previews)
    _previews = None
