"""The chapters of the manual as they are done in a window: docs/manual has the same steps in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy

from .scene import build_scene
from .window import Window

srn: Any = bpy.ops.srn


def settings() -> Any:
    return bpy.context.scene.srn


def first_comparison(window: Window) -> Iterator[float]:
    """From an empty scene to a comparison."""
    scene: Any = bpy.context.scene
    settings().collection = build_scene(scene)
    scene.view_settings.view_transform = "Standard"
    scene.cycles.use_denoising = False  # some builds have no denoiser
    scene.render.resolution_x, scene.render.resolution_y = 480, 360
    settings().show_rig = True
    yield from window.picture("first-rig")
    settings().show_rig = False
    yield from window.press(srn.capture_views)
    yield from window.work_to_end("capture")
    yield from window.press(srn.train)
    yield from window.work_to_end("train")
    yield from window.picture("first-trained")
    yield from window.press(srn.render_view)
    yield from window.work_to_end("render")
    yield from window.press(srn.compare)
    yield from window.picture("first-compared")


CHAPTERS: Mapping[str, Callable[[Window], Iterator[float]]] = {"first": first_comparison}
