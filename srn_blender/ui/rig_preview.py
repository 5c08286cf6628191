"""Draws the cameras of the next capture in the 3D view while `show_rig` is on.

Each drawing compares what it is asked for with what was surveyed last; where something has changed, a timer surveys
the rig anew once the changes pause. Nothing of this runs without a window.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import blf
import bpy
import gpu
from bpy.app.handlers import persistent
from bpy.app.translations import pgettext_iface as _word
from gpu_extras.batch import batch_for_shader

from ..capture.rigs.drawing import SPLIT_COLOURS, TROUBLE_COLOUR, Lines, rig_lines
from ..capture.rigs.survey import Survey, survey_rig
from ..capture.settings import FOUND_RIGS, CaptureSettings
from ..errors import UserError
from . import tasks
from .capture_operator import instances_to_capture, what_to_capture
from .panel_parts import redraw_views
from .properties import settings_of
from .rig_properties import rig_settings

PAUSE = 0.15  # seconds without a change before the rig is surveyed anew
LINE_WIDTH = 1.5  # pixels, at a scale of 1
TEXT_SIZE = 12
MOVING = (bpy.types.Camera, bpy.types.Action)  # changes of these move cameras, or widen their view
TROUBLE_NAME = "Inside, or nothing in view"
SPLIT_NAMES = {"train": "Training", "val": "Validation", "test": "Test"}


@dataclass(frozen=True)
class _Request:
    """What the drawing depends on, but for the objects' shapes and places; names, for datablocks may go any time.

    objects: none where `problem` says why.
    """

    scene: str
    layer: str
    objects: tuple[str, ...]
    problem: str
    settings: CaptureSettings
    around: tuple[object, ...]


class _Preview:
    """What was surveyed last of a view layer, and whether that still holds."""

    def __init__(self) -> None:
        self.request: _Request | None = None
        self.wanted: _Request | None = None
        self.is_stale = False
        self.survey: Survey | None = None
        self.problem = ""
        self.lines: Sequence[Lines] = ()
        self.batches: list[tuple[Lines, Any]] | None = None

    @property
    def is_due(self) -> bool:
        return self.wanted is not None and (self.is_stale or self.wanted != self.request)


_previews: dict[tuple[str, str], _Preview] = {}  # by the names of the scene and its view layer
_handles: list[Any] = []
_changed = 0.0  # when something has, by time.monotonic()
_is_busy = False  # with a survey, for which cameras may stand in a scene of their own


def latest(context: Any) -> tuple[Survey | None, str]:
    """What the drawing shows, or a sentence why it shows nothing."""
    preview = _preview_of(context)
    return preview.survey, preview.problem


def _preview_of(context: Any) -> _Preview:
    return _previews.setdefault((context.scene.name, context.view_layer.name), _Preview())


def _wish(context: Any) -> _Request:
    scene, render = context.scene, context.scene.render
    settings = rig_settings(settings_of(scene))
    around: tuple[object, ...] = ()
    if settings.rig in FOUND_RIGS:  # cameras of the scene have its frame and its pictures' shape
        size = (render.resolution_x, render.resolution_y, render.resolution_percentage)
        around = (*size, render.pixel_aspect_x, render.pixel_aspect_y, scene.frame_start, scene.frame_end)
        around += (scene.frame_step, scene.frame_current if settings.rig == "cameras" else None)
    objects, problem = _subject(context)
    names = tuple(sorted(chosen.name_full for chosen in objects))
    return _Request(scene.name, context.view_layer.name, names, problem, settings, around)


def _subject(context: Any) -> tuple[Sequence[bpy.types.Object], str]:
    """The objects of the instance that the rig is drawn around, the first of many; or why there are none."""
    objects, _ = what_to_capture(context)
    if not objects:
        return (), "Select the object to capture, or choose a collection."
    if settings_of(context.scene).instances in ("one", "frames"):
        return objects, ""
    try:
        return instances_to_capture(context)[0].objects, ""
    except UserError as error:
        return (), str(error)


def _draw_lines() -> None:
    context: Any = bpy.context
    if not _is_shown(context):
        return
    preview = _preview_of(context)
    _keep_up(context, preview)
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    if preview.batches is None:
        preview.batches = [(line, _batch(shader, line)) for line in preview.lines]
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    shader.bind()
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", LINE_WIDTH * context.preferences.system.ui_scale)
    for line, batch in preview.batches:
        if line.colour == TROUBLE_COLOUR:  # seen also where an object hides it, in which it may be
            gpu.state.depth_test_set("NONE")
        shader.uniform_float("color", line.colour)
        batch.draw(shader)
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def _batch(shader: Any, line: Lines) -> Any:
    points: Any = line.points
    return batch_for_shader(shader, "LINES", {"pos": points})


def _draw_legend() -> None:
    context: Any = bpy.context
    if not _is_shown(context):
        return
    survey, _ = latest(context)
    if survey is None:
        return
    counts = {split: len(poses) for split, poses in survey.rig.poses.items() if len(poses)}
    entries = [(SPLIT_COLOURS[split], f"{_word(SPLIT_NAMES[split])} {count}") for split, count in counts.items()]
    trouble = sum(map(len, survey.trouble().values()))
    if trouble:
        entries.append((TROUBLE_COLOUR, f"{_word(TROUBLE_NAME)} {trouble}"))
    scale = context.preferences.system.ui_scale
    blf.size(0, TEXT_SIZE * scale)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 1.0)
    for row, (colour, text) in enumerate(reversed(entries)):
        blf.position(0, 20 * scale, (20 + 18 * row) * scale, 0)
        blf.color(0, *colour)
        blf.draw(0, text)
    blf.disable(0, blf.SHADOW)


def _is_shown(context: Any) -> bool:
    return bool(settings_of(context.scene).show_rig and context.space_data.overlay.show_overlays)


def _keep_up(context: Any, preview: _Preview) -> None:
    """Has the rig surveyed where that is due."""
    wish = _wish(context)
    if wish != preview.wanted:
        preview.wanted = wish
        _note_change()
    if preview.is_due and not tasks.running("capture") and not bpy.app.timers.is_registered(_survey):
        bpy.app.timers.register(_survey, first_interval=PAUSE)


def _note_change() -> None:
    global _changed
    _changed = time.monotonic()


def _survey() -> float | None:
    """A timer: surveys what the last drawings wanted, once nothing has changed for a while."""
    global _is_busy
    if time.monotonic() - _changed < PAUSE:
        return PAUSE
    _is_busy = True
    try:
        for preview in _previews.values():
            if preview.is_due:
                _renew(preview)
    finally:
        _is_busy = False
    redraw_views()
    return None


def _renew(preview: _Preview) -> None:
    preview.request, preview.is_stale = preview.wanted, False
    preview.survey, preview.problem, preview.lines, preview.batches = None, "", (), None
    try:
        preview.survey = survey = _carry_out(preview.request)
        preview.lines = rig_lines(survey.rig.camera, survey.rig.poses, survey.trouble(), survey.centre, survey.scale)
    except UserError as error:
        preview.problem = str(error)


def _carry_out(wanted: _Request | None) -> Survey:
    assert wanted is not None, "it was due"
    if wanted.problem:
        raise UserError(wanted.problem)
    scene = bpy.data.scenes.get(wanted.scene)
    layer = scene.view_layers.get(wanted.layer) if scene is not None else None
    objects = [found for name in wanted.objects if (found := bpy.data.objects.get(name)) is not None]
    if scene is None or layer is None or layer.depsgraph is None or not objects:
        raise UserError("Select the object to capture, or choose a collection.")  # it has gone since
    return survey_rig(scene, layer.depsgraph, objects, wanted.settings)


@persistent  # type: ignore[untyped-decorator]
def _on_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Notes that an object has moved or changed its shape."""
    if _is_busy or not _previews:
        return
    for update in depsgraph.updates:
        moved = update.is_updated_geometry or update.is_updated_transform
        # Collections count as changed whenever a scene goes, such as that of the cameras.
        if (moved and isinstance(update.id, bpy.types.Object)) or isinstance(update.id, MOVING):
            for preview in _previews.values():
                preview.is_stale = True
            _note_change()
            return


@persistent  # type: ignore[untyped-decorator]
def _on_load(*_: object) -> None:
    """Another file has other objects, maybe of the same names."""
    _previews.clear()


def _app_handlers() -> list[tuple[Any, Any]]:
    return [(bpy.app.handlers.depsgraph_update_post, _on_change), (bpy.app.handlers.load_post, _on_load)]


def start() -> None:
    """Adds the handlers."""
    space: Any = bpy.types.SpaceView3D
    _handles.append(space.draw_handler_add(_draw_lines, (), "WINDOW", "POST_VIEW"))
    _handles.append(space.draw_handler_add(_draw_legend, (), "WINDOW", "POST_PIXEL"))
    for handlers, handler in _app_handlers():
        handlers.append(handler)


def stop() -> None:
    """Takes away all that `start` and the drawing have added."""
    space: Any = bpy.types.SpaceView3D
    while _handles:
        space.draw_handler_remove(_handles.pop(), "WINDOW")
    if bpy.app.timers.is_registered(_survey):
        bpy.app.timers.unregister(_survey)
    _previews.clear()
    for handlers, handler in _app_handlers():
        if handler in handlers:
            handlers.remove(handler)


def register() -> None:
    if not bpy.app.background:
        start()


def unregister() -> None:
    stop()
