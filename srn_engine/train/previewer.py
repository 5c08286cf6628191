"""Previews of a training: one view, rendered again and again in a small part of its time."""

import time
from collections.abc import Callable

from srn_engine.errors import UserError
from srn_engine.memory import is_shortage
from srn_engine.previews import Previews, View
from srn_engine.train.run import Run

PAUSE = 0.5  # seconds from one preview to the next, at least, and before the first, which would show a fog
SHARE = 0.1  # of the training's time that previews may take
PASSES = ("colour",)


class Previewer:
    """Renders what is wanted, when it is due. `trouble` is why there is no preview, in a sentence; else empty."""

    def __init__(self, previews: Previews, run: Run, check: Callable[[], None]) -> None:
        """check: raises Cancelled once the training is to stop."""
        self.trouble = ""
        self._previews, self._run, self._check = previews, run, check
        self._due: float | None = None  # on the clock of `time.perf_counter`
        self._refused: View | None = None

    def look(self, step: int, seconds: float) -> None:
        """Shows a preview where one is due, after `step` steps in `seconds` of training."""
        start = time.perf_counter()
        self._due = start + PAUSE if self._due is None else self._due
        view = self._previews.wanted()
        if view is None:
            self.trouble = ""
        if start < self._due or view is None or view is self._refused:
            return
        instance = view.instance or self._run.info.instances[0].id
        try:
            arrays = self._run.render(instance, view.camera, PASSES, lambda progress: self._check())
        except UserError as error:  # it is the view that will not do: the training goes on
            self.trouble, self._refused = str(error), view
            return
        except (MemoryError, RuntimeError) as error:  # so it is with a view too large for what the training leaves
            if not is_shortage(error):
                raise
            self.trouble, self._refused = "there is too little memory for it", view
            return
        self.trouble = ""
        self._previews.show(step, seconds, arrays)
        end = time.perf_counter()
        self._due = max(start + PAUSE, end + (end - start) * (1 / SHARE - 1))
