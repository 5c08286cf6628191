"""Blender's render engine SRN: the placed instances, as pictures with passes."""

from __future__ import annotations

import time
from typing import Any

import bpy

from ..capture.camera import NO_CAMERA, Camera, camera_in
from ..errors import UserError
from . import render_engine_orders as orders
from .layers import Picture, composite
from .placed import is_placed, placed_in
from .placed_view import parts
from .render_engine_world import Backdrop
from .view import MAX_SIZE
from .viewport import Viewport

PASSES = (
    ("Combined", 4, "RGBA", "COLOR"),
    ("Depth", 1, "Z", "VALUE"),
    ("Normal", 3, "XYZ", "VECTOR"),
    ("Semantic", 1, "X", "VALUE"),
)
LOOK = 0.005  # seconds between two looks at the engine's answer
UNEXPECTED = "The rendering failed in an unexpected way: Blender's console has the details."


class SRN_RenderEngine(bpy.types.RenderEngine):
    """Renders stills, animations and the viewport.

    No `__init__`: what Blender passes to it differs from version to version.
    """

    bl_idname = "SRN"
    bl_label = "SRN"
    bl_use_preview = False

    _viewport: Viewport | None = None

    def update_render_passes(self: Any, scene: Any = None, renderlayer: Any = None) -> None:
        for name, channels, ids, kind in passes_of(renderlayer):
            self.register_pass(scene, renderlayer, name, channels, ids, kind)

    def render(self: Any, depsgraph: Any) -> None:  # type: ignore[override]
        try:
            self._render(depsgraph)
        except UserError as error:
            self._say(str(error))
        except BaseException:  # whatever it is, and it goes on to the console: Blender itself says nothing of it
            self._say(UNEXPECTED)
            raise

    def view_update(self: Any, context: Any, depsgraph: Any) -> None:
        self._of_view().update()

    def view_draw(self: Any, context: Any, depsgraph: Any) -> None:
        self._of_view().draw(context, depsgraph)

    def _of_view(self) -> Viewport:
        if self._viewport is None:
            self._viewport = Viewport(self)
        return self._viewport

    def _render(self: Any, depsgraph: Any) -> None:
        layer = depsgraph.view_layer_eval
        camera = _camera_of(depsgraph, self.camera_override)
        seen = parts(_placed_for(depsgraph), camera)
        with_normal = any(name == "Normal" for name, *_ in passes_of(layer))
        order = orders.Order([part.request(with_normal, with_labels=True) for part in seen])
        if not self._wait(order):
            return
        layers = [part.layer(arrays) for part, arrays in zip(seen, order.arrays, strict=True)]
        picture = composite(layers, camera.width, camera.height)
        Backdrop.of(depsgraph.scene_eval).finish(picture)
        self._write(picture, layer)

    def _wait(self: Any, order: orders.Order) -> bool:
        """Whether the engine has answered; False where the person has cancelled."""
        began = time.monotonic()
        orders.place(order)
        while not order.ended:
            if self.test_break():
                order.cancel()
                break
            self.update_progress(order.fraction)
            self.update_stats("", _told(order, time.monotonic() - began))
            time.sleep(LOOK)
            if orders.in_main_thread():
                orders.tend()
        if orders.in_main_thread():
            orders.tend()  # has the cancelled jobs cancelled
        if order.state == orders.FAILED:
            raise UserError(order.error)
        return order.state == orders.DONE

    def _write(self: Any, picture: Picture, layer: Any) -> None:
        height, width = picture.depth.shape
        result = self.begin_result(0, 0, width, height, layer=layer.name)
        if result is None:
            raise UserError(
                "Render the scene by itself: its size is another one than that of the picture it is part of."
            )
        arrays = dict(zip((name for name, *_ in PASSES), vars(picture).values(), strict=True))
        passes = result.layers[0].passes
        for name, channels, ids, _ in passes_of(layer):
            if name not in passes:
                self.add_pass(name, channels, ids, layer=layer.name)
            passes[name].rect.foreach_set(arrays[name].ravel())
        self.end_result(result)

    def _say(self: Any, sentence: str) -> None:
        self.error_set(sentence)
        self.report({"ERROR"}, sentence)  # ends an animation


def passes_of(layer: Any) -> list[tuple[str, int, str, str]]:
    """The passes that a view layer has: name, channels, their ids and the kind of socket."""
    wanted = {"Depth": layer.use_pass_z, "Normal": layer.use_pass_normal}
    return [one for one in PASSES if wanted.get(one[0], True)]


def _camera_of(depsgraph: Any, camera_object: Any) -> Camera:
    if camera_object is None:
        raise UserError(NO_CAMERA)
    camera = camera_in(depsgraph, depsgraph.scene.render, camera_object.original, in_border=True)
    if max(camera.width, camera.height) > MAX_SIZE:
        raise UserError(f"Lower the resolution: the engine renders at most {MAX_SIZE} pixels a side.")
    return camera


def _placed_for(depsgraph: Any) -> list[Any]:
    """The instances that this render shows. UserError where the scene has none at all, hidden or not."""
    placed = placed_in(depsgraph)
    if not placed and not any(is_placed(one) for one in depsgraph.scene.objects):
        raise UserError("Place an instance first, by Place Instance in the tab SRN: the scene has none.")
    return placed


def _told(order: orders.Order, seconds: float) -> str:
    """How the rendering goes, for the render window."""
    if not 0.05 < order.fraction < 1.0:
        return order.message
    left = seconds / order.fraction - seconds
    return f"{order.message} Remaining: {left // 60:02.0f}:{left % 60:02.0f}"
