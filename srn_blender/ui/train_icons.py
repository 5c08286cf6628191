"""The pictures that the panel shows of a training, as icons: they are in no file."""

from __future__ import annotations

from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ..results import plot
from ..results.images import Array

PLOT, PREVIEW = "plot", "preview"
LARGEST = 256  # pixels a side
BACKGROUND = np.array(plot.BACKGROUND, np.float32)
_previews: Any = None


def set_icon(name: str, picture: Array) -> None:
    """Shows a picture, (H, W, 4) sRGB from the top with straight alpha, where the icon `name` is drawn; of a large one
    every nth pixel."""
    skip = -(-max(picture.shape[:2]) // LARGEST)
    small = np.ones((*picture[::skip, ::skip].shape[:2], 4), np.float32)
    # Opaque: where it is drawn smaller than it is, edges of a straight alpha would shine.
    alpha = picture[::-skip, ::skip, 3:]
    small[..., :3] = picture[::-skip, ::skip, :3] * alpha + BACKGROUND * (1.0 - alpha)
    preview = _previews.get(name) or _previews.new(name)
    preview.image_size = small.shape[1], small.shape[0]
    preview.image_pixels_float.foreach_set(small.ravel())


def clear_icon(name: str) -> None:
    """Takes the picture away."""
    if name in _previews:
        del _previews[name]


def icon(name: str) -> int | None:
    """The number to draw, None where there is no picture."""
    return int(_previews[name].icon_id) if name in _previews else None


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    global _previews
    bpy.utils.previews.remove(_previews)
    _previews = None
