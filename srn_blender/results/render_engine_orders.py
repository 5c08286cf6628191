"""How renders ask the engine: from any thread, while the engine is the main thread's alone.

In a window Blender renders in a thread of its own, and a timer tends the orders in the main one; without a window, and
where a script renders, the main thread itself renders and tends them while it waits.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from ..engine.engine import READY, STARTING, engine
from ..engine.errand import Errand, JobRequest
from ..engine.jobs import JobCallbacks
from ..errors import UserError

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
SOON, LATER = 0.004, 0.05  # seconds between two looks, while there are orders and while there are none

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


class Order:
    """Jobs that belong together. Any thread may look at it and cancel it; only the main one changes it.

    message and fraction say how far it is. arrays: those of each job, in order, once it is DONE, and seconds: what all
    of them took in the engine. error: a sentence, once it has FAILED.
    """

    def __init__(self, jobs: Sequence[JobRequest], ended: Callable[[], None] = lambda: None) -> None:
        """ended: called in the main thread when it is DONE or has FAILED."""
        self.jobs = jobs
        self.state = WAITING
        self.message = "Waiting for the engine."
        self.arrays: list[Arrays] = [{}] * len(jobs)
        self.seconds = 0.0
        self.error = ""
        self.cancel_asked = False
        self._ended = ended
        self._fractions = [0.0] * len(jobs)
        self._left = len(jobs)
        self._errands: list[Errand] = []
        self._engine_opened = False

    @property
    def ended(self) -> bool:
        return self.state in (DONE, FAILED, CANCELLED)

    @property
    def fraction(self) -> float:
        return sum(self._fractions) / max(len(self._fractions), 1)

    def cancel(self) -> None:
        """Asks the engine to drop what it has not done yet; nothing follows."""
        self.cancel_asked = True

    def tend(self, open_engine: Callable[[], None]) -> None:
        """Does what can be done by now, in the main thread."""
        try:
            if self.cancel_asked:
                self._drop(CANCELLED)
            elif not self.jobs:
                self._end(DONE)
            elif self.state == WAITING:
                self._begin(open_engine)
        except UserError as error:
            self._fail(str(error))

    def _begin(self, open_engine: Callable[[], None]) -> None:
        if engine().state not in (READY, STARTING) and not self._engine_opened:
            open_engine()
        self._engine_opened = True
        self.message = engine().message
        if engine().state == READY:
            self.state, self.message = RUNNING, "Rendering."
            for number in range(len(self.jobs)):
                self._errands.append(Errand(engine(), self.jobs[number], self._callbacks(number)))
        elif engine().state != STARTING:
            raise UserError(engine().message)

    def _callbacks(self, number: int) -> JobCallbacks:
        def progress(state: Mapping[str, Any]) -> None:
            self._fractions[number] = float(state["progress"])

        def done(result: Mapping[str, Any], arrays: Arrays) -> None:
            self._fractions[number], self.arrays[number] = 1.0, arrays
            self.seconds += float(result["seconds"])
            self._left -= 1
            if self._left == 0 and not self.ended:
                self._end(DONE)

        def cancelled(result: Mapping[str, Any]) -> None:
            if not self.ended:  # by somebody else, on the engine's side
                self._fail("The engine cancelled the rendering: render again.")

        return JobCallbacks(progress, done, self._fail, cancelled)

    def _fail(self, sentence: str) -> None:
        if not self.ended:
            self.error = sentence
            self._drop(FAILED)

    def _drop(self, state: str) -> None:
        self.state = state  # first: cancelling calls back
        for errand in self._errands:
            errand.cancel()
        if state == FAILED:
            self._ended()

    def _end(self, state: str) -> None:
        self.state = state
        self._ended()


class Orders:
    """All that renders wait for. `place` may be called in any thread, `tend` in the main one alone."""

    def __init__(self, open_engine: Callable[[], None]) -> None:
        """open_engine: starts the engine or connects to it, and returns at once; UserError where it cannot."""
        self._open_engine = open_engine
        self._new: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._open: list[Order] = []

    def place(self, order: Order) -> Order:
        self._new.put(order)
        return order

    def tend(self) -> bool:
        """Does what can be done by now, and never waits; whether there is anything left to wait for."""
        while not self._new.empty():
            self._open.append(self._new.get())
        if not self._open:
            return False
        for order in self._open:
            order.tend(self._open_engine)
        engine().poll()
        self._open = [order for order in self._open if not order.ended]
        return bool(self._open)

    def close(self) -> None:
        """Cancels all of them."""
        self.tend()
        for order in self._open:
            order.cancel()
        self.tend()


_orders: Orders | None = None


def start(open_engine: Callable[[], None]) -> None:
    """Takes orders from now on; see `Orders`."""
    global _orders
    _orders = Orders(open_engine)
    if not bpy.app.background:
        _look_again(LATER)


def stop() -> None:
    """Cancels all orders and takes no more."""
    global _orders
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
    assert _orders is not None, "start() comes first"
    _orders.close()
    _orders = None


def place(order: Order) -> Order:
    """Has an order carried out, from any thread. UserError where the add-on is being turned off."""
    if _orders is None:
        raise UserError("Turn the extension on again: nothing renders without it.")
    _orders.place(order)
    if in_main_thread() and bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
        _look_again(0.0)
    return order


def tend() -> None:
    """Does what can be done by now; for a main thread that waits."""
    if _orders is not None:
        _orders.tend()


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _look() -> None:
    busy = True
    try:
        busy = _orders is not None and _orders.tend()
    finally:
        # Not by its return value: Blender drops a timer whose function raised.
        _look_again(SOON if busy else LATER)


def _look_again(seconds: float) -> None:
    bpy.app.timers.register(_look, first_interval=seconds, persistent=True)
