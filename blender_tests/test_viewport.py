"""The viewport's questions to the engine, without a window: which answer it takes. What it draws is seen in gui/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from blender_tests.engine_harness import poll_until
from blender_tests.render_harness import camera_of, place
from srn_blender.engine.engine import engine
from srn_blender.results import render_engine_orders as orders
from srn_blender.results.placed import placed_in
from srn_blender.results.render_engine_world import Backdrop
from srn_blender.results.viewport import Viewport, _View


class Gone:
    """Stands for a render engine that Blender has freed by now: nothing is drawn."""


def seen(scene: Any, name: str) -> _View:
    """What the scene's camera is to see by now."""
    bpy.context.view_layer.update()
    placed = placed_in(bpy.context.evaluated_depsgraph_get())
    return _View((name,), camera_of(scene), placed, Backdrop.of(scene))


def test_an_answer_to_what_is_no_longer_wanted_is_dropped(scene: Any, run: Path) -> None:
    empty = place(scene, run)
    viewport = Viewport(Gone())
    viewport._begin(seen(scene, "first"), level=1)
    first: Any = viewport._order
    poll_until(engine(), lambda: _tended(first).state == orders.RUNNING, 60.0)
    empty.location.x += 3.0
    viewport._ask(seen(scene, "second"))
    second: Any = viewport._order
    assert second is not first and first.cancel_asked
    poll_until(engine(), lambda: first.state == orders.DONE, 60.0)  # it comes all the same
    assert viewport._order is second and viewport._came is None
    poll_until(engine(), lambda: _tended(second).state == orders.DONE, 60.0)
    asked, picture = viewport._came
    assert asked.view.key == ("second",) and picture.combined.any()


def _tended(order: orders.Order) -> orders.Order:
    """The order, after what can be done for it by now."""
    orders.tend()
    return order
