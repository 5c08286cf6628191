"""The window's image editors, and which pictures of ours they show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy


def image_editors() -> list[Any]:
    """The areas of all windows that show images as such, the largest first."""
    manager: Any = bpy.context.window_manager
    areas = [area for window in manager.windows for area in window.screen.areas if area.type == "IMAGE_EDITOR"]
    viewing = [area for area in areas if area.spaces.active.mode == "VIEW"]
    return sorted(viewing, key=lambda area: area.width * area.height, reverse=True)


def is_shown(image: bpy.types.Image) -> bool:
    """Whether an image editor shows an image."""
    return any(area.spaces.active.image == image for area in image_editors())


def give(image: bpy.types.Image, instead: Callable[[bpy.types.Image], bool] = lambda shown: False) -> None:
    """Shows an image in the editors that show nothing, or one that it may stand in for."""
    for area in image_editors():
        shown = area.spaces.active.image
        if shown is None or instead(shown):
            area.spaces.active.image = image


def may_go(shown: bpy.types.Image) -> bool:
    """Whether a picture of ours may take an image's place: that of a render, or of another one of ours."""
    return shown.type == "RENDER_RESULT" or shown.name.startswith("SRN ")


def draw_again(image: bpy.types.Image) -> None:
    """Draws the editors again that show an image."""
    for area in image_editors():
        if area.spaces.active.image == image:
            area.tag_redraw()


def show_in_one(image: bpy.types.Image) -> None:
    """Shows an image in the largest image editor, or in a new window where there is none."""
    editors = image_editors()
    manager: Any = bpy.context.window_manager
    if not editors and manager.windows:
        bpy.ops.wm.window_new()
        largest = max(manager.windows[-1].screen.areas, key=lambda area: area.width * area.height)
        largest.type = "IMAGE_EDITOR"
        editors = [largest]
    if editors:
        editors[0].spaces.active.image = image
        editors[0].tag_redraw()
