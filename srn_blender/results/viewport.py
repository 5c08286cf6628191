"""The viewport's rendered mode: coarse while the view moves, sharp when it stands still, never in the way of it.

Drawing shows the last picture that came and asks for the next; what is asked for a view that is gone is dropped, but
for the coarse pictures of a moving view, which are all that it shows.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.presets import draw_texture_2d
from numpy.typing import NDArray

from ..capture.camera import Camera
from ..errors import UserError
from . import render_engine_orders as orders
from .layers import Picture, composite
from .placed import Placed, placed_in
from .placed_view import Part, parts
from .render_engine_world import Backdrop
from .viewport_camera import shrunk, view_camera
from .viewport_pace import Pace

RETRY = 2.0  # seconds after a failure until the engine is asked again, and then only for another view
SMALL = 60_000  # pixels: a picture that is made faster than a thread has begun


@dataclass(frozen=True, eq=False)
class _View:
    """What is to be seen: key tells one from another; camera is that of the whole region."""

    key: tuple[object, ...]
    camera: Camera
    placed: Sequence[Placed]
    backdrop: Backdrop


@dataclass(frozen=True, eq=False)
class _Try:
    """A picture on its way. factor: by how much it is smaller than the view."""

    view: _View
    level: int
    factor: float
    camera: Camera
    parts: Sequence[Part]

    @property
    def pixels(self) -> int:
        return sum(part.camera.width * part.camera.height for part in self.parts)

    @property
    def area(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the part of the view, in its pixels, that holds all instances."""
        if not self.parts:
            return 0, 0, 0, 0
        left, top = min(part.left for part in self.parts), min(part.top for part in self.parts)
        right = max(part.left + part.camera.width for part in self.parts)
        bottom = max(part.top + part.camera.height for part in self.parts)
        return left, top, right - left, bottom - top


class Viewport:
    """Of one 3D view. `update` takes in the scene, `draw` shows it; both are called by Blender in the main thread."""

    def __init__(self, engine: Any) -> None:
        self._engine = weakref.ref(engine)
        self._pace = Pace()
        self._threads = ThreadPoolExecutor(1, "srn-viewport")
        self._placed: Sequence[Placed] = ()
        self._problem = ""
        self._stale = True
        self._order: orders.Order | None = None
        self._try: _Try | None = None
        self._making: Future[tuple[Picture, float]] | None = None
        self._came: tuple[_Try, Picture] | None = None
        self._shown: _Try | None = None
        self._texture: Any = None
        self._behind: Any = None
        self._failed_at = 0.0
        self._failed_key: tuple[object, ...] | None = None
        self._failure = self._told = ""

    def __del__(self) -> None:
        self._drop()
        self._threads.shutdown(wait=False)

    def update(self) -> None:
        """The scene has changed."""
        self._stale = True

    def draw(self, context: Any, depsgraph: Any) -> None:
        try:
            view = self._view(context, depsgraph)
            self._upload()
            self._ask(view)
        except UserError as error:
            self._drop()
            self._tell(str(error))
            return
        self._tell(self._status(view))
        if self._shown is not None:
            self._show(depsgraph.scene, context.region)

    def _view(self, context: Any, depsgraph: Any) -> _View:
        if self._stale:
            self._placed, self._stale = (), False
            self._problem = ""
            try:
                self._placed = placed_in(depsgraph, context.space_data)
            except UserError as error:
                self._problem = str(error)
        if self._problem:
            raise UserError(self._problem)
        camera = view_camera(context, depsgraph)
        backdrop = Backdrop.of(depsgraph.scene_eval)
        lens = camera.fl_x, camera.fl_y, camera.cx, camera.cy, camera.width, camera.height
        key = (*camera.pose.ravel().tolist(), *lens, backdrop.key, *(one.signature for one in self._placed))
        return _View(key, camera, self._placed, backdrop)

    def _ask(self, view: _View) -> None:
        """Asks for the next picture, where one is due."""
        if self._try is not None:
            if self._try.view.key != view.key and self._try.level > 0:
                self._drop()
            else:
                return
        if view.key == self._failed_key or time.monotonic() < self._failed_at + RETRY:
            return
        level = 0
        if self._shown is not None and self._shown.view.key == view.key:
            if self._shown.factor == 1.0:
                return
            level = self._shown.level + 1
        self._begin(view, level)

    def _begin(self, view: _View, level: int) -> None:
        whole = sum(part.camera.width * part.camera.height for part in parts(view.placed, view.camera))
        factor = self._pace.factor(whole, level)
        camera = shrunk(view.camera, factor)
        self._try = _Try(view, level, factor, camera, parts(view.placed, camera))
        me = weakref.ref(self)

        def ended() -> None:
            viewport = me()
            if viewport is not None and viewport._order is order:  # else it was dropped meanwhile
                viewport._answered()

        jobs = [part.request(with_normal=False, with_labels=False) for part in self._try.parts]
        order = orders.Order(jobs, ended)
        self._order = orders.place(order)

    def _drop(self) -> None:
        if self._order is not None:
            self._order.cancel()
        self._order = self._try = self._making = None

    def _answered(self) -> None:
        """The engine has answered: a thread makes the picture, and a timer waits for it."""
        order, asked = self._order, self._try
        if order is None or asked is None:
            return
        self._order = None
        if order.state == orders.FAILED:
            self._failed_at, self._failed_key, self._failure = time.monotonic(), asked.view.key, order.error
            self._drop()
            self._redraw()
            return
        work = functools.partial(_make, asked, order.arrays, order.seconds)
        if asked.pixels <= SMALL:
            self._take(asked, *work())
            return
        self._making = self._threads.submit(work)
        me = weakref.ref(self)

        def look() -> float | None:
            viewport = me()
            return viewport._made() if viewport is not None else None

        bpy.app.timers.register(look, first_interval=0.0)

    def _made(self) -> float | None:
        making, asked = self._making, self._try
        if making is None or asked is None:
            return None  # dropped meanwhile
        if not making.done():
            return orders.SOON
        self._making = self._try = None  # first: what went wrong in the thread comes out here
        self._take(asked, *making.result())
        return None

    def _take(self, asked: _Try, picture: Picture, seconds: float) -> None:
        """A picture is there, after so many seconds of work."""
        self._making = self._try = None
        if asked.parts:
            self._pace.learn(asked.pixels, seconds)
        self._came, self._failed_key = (asked, picture), None
        self._redraw()

    def _upload(self) -> None:
        if self._came is None:
            return
        self._shown, picture = self._came
        self._came = None
        colour = self._shown.view.backdrop.colour
        self._behind = _texture(np.array([[(*colour, 1.0)]], np.float32)) if colour is not None else None
        self._texture = _texture(picture.combined) if picture.combined.size else None

    def _show(self: Any, scene: Any, region: Any) -> None:
        engine, factor = self._engine(), self._shown.factor
        left, top, width, height = (pixels / factor for pixels in self._shown.area)
        gpu.state.blend_set("ALPHA_PREMULT")
        engine.bind_display_space_shader(scene)
        if self._behind is not None:
            draw_texture_2d(self._behind, (0, 0), region.width, region.height)
        if self._texture is not None:
            draw_texture_2d(self._texture, (left, region.height - top - height), width, height)
        engine.unbind_display_space_shader()
        gpu.state.blend_set("NONE")

    def _status(self, view: _View) -> str:
        """What to say beside the picture; empty where that is all there is to it."""
        if not view.placed:
            return "Place an instance first, by Place Instance in the tab SRN."
        if self._failed_key is not None:
            return self._failure
        return self._order.message if self._order is not None and self._shown is None else ""

    def _tell(self, text: str) -> None:
        engine = self._engine()
        if engine is not None and text != self._told:
            engine.update_stats("", text)
            self._told = text

    def _redraw(self) -> None:
        engine = self._engine()
        if engine is not None:
            engine.tag_redraw()


def _make(asked: _Try, arrays: Sequence[orders.Arrays], seconds: float) -> tuple[Picture, float]:
    """The picture of what the engine took so many seconds for, and what all of it took; touches no Blender."""
    began = time.perf_counter()
    left, top, width, height = asked.area
    layers = [part.layer(one) for part, one in zip(asked.parts, arrays, strict=True)]
    moved = [replace(layer, left=layer.left - left, top=layer.top - top) for layer in layers]
    picture = composite(moved, width, height)
    asked.view.backdrop.adapt(picture)
    return picture, seconds + time.perf_counter() - began


def _texture(pixels: NDArray[np.float32]) -> Any:
    """A texture of (H, W, 4) scene-linear pixels, the bottom row first."""
    height, width = pixels.shape[:2]
    data = gpu.types.Buffer("FLOAT", pixels.size, pixels.ravel())  # type: ignore[arg-type]
    return gpu.types.GPUTexture((width, height), format="RGBA16F", data=data)
