"""A capture as a task: short steps, so that a window stays free, and the view just taken in an image editor."""

from __future__ import annotations

import time
from collections.abc import Generator

import bpy

from ..capture.session import CaptureProgress
from ..errors import CaptureChanged, UserError
from . import tasks
from .image_editors import image_editors
from .tasks import CANCELLED, DONE, FAILED

LATEST = "SRN Capture"  # the image datablock of the view taken last
STEP = 0.02  # seconds of short steps at a time


class CaptureTask(tasks.Task):
    """Steps through a capture. changed: it failed because the views on disk show something else."""

    pause = 0.0
    operator, button = "capture_views", "Capture Views"  # what goes on with it

    def __init__(self, steps: Generator[CaptureProgress | str, None, None]) -> None:
        super().__init__("capture", "Preparing the capture.")
        self._steps = steps
        self._last: CaptureProgress | None = None
        self._cancel_asked = False
        self.changed = False

    def step(self) -> None:
        """Goes on until a view is done, or the window has waited long enough."""
        if self._cancel_asked:
            self.abandon()
            return
        deadline = time.monotonic() + STEP
        while time.monotonic() < deadline:
            try:
                progress = next(self._steps, None)
            except CaptureChanged:
                self.changed = True
                raise
            if progress is None:
                self._finish()
                return
            if isinstance(progress, str):
                self.message = progress
                continue
            self._last = progress
            self.fraction, self.eta = progress.done / max(progress.total, 1), progress.eta
            self.message = f"View {progress.done} of {progress.total}"
            show_latest(progress)
            return

    def cancel(self) -> None:
        self._cancel_asked = True

    def abandon(self, why: str = "Cancelled") -> None:
        """Ends at once; the scene is as it was, and what is done is kept where the disk takes it."""
        try:
            self._steps.close()
        except UserError as error:
            self.end(FAILED, str(error))
            return
        taken = f"{self._last.done} of {self._last.total} views are kept" if self._last else "no view was taken"
        self.end(CANCELLED, f"{why}: {taken}; {self.button} goes on from there.")

    def _finish(self) -> None:
        last = self._last
        self.end(DONE, describe_capture(last) if last else "There was nothing to capture.")
        self.warns = bool(last and (last.left_out or (last.check and last.check.warning)))


def describe_capture(last: CaptureProgress) -> str:
    """How a capture ended, and what to do next."""
    captured = f"{last.total} views are captured"
    if last.left_out:
        more = f" and {len(last.left_out) - 1} more" if len(last.left_out) > 1 else ""
        return f"{captured}; left out{more}: {last.left_out[0]}"
    if last.check is None:
        return f"{captured}. Next: Train SRN."
    if last.check.warning:
        return f"{captured}. {last.check.warning}"
    return f"{captured}; depth agrees between views at {last.check.agreeing:.0%} of the points. Next: Train SRN."


def show_latest(progress: CaptureProgress) -> None:
    """Shows the view just taken in the image editors that show nothing else, or the one before."""
    spaces = [area.spaces.active for area in image_editors()]
    spaces = [space for space in spaces if space.image is None or space.image.name == LATEST]
    if not spaces or progress.path is None:
        return
    image = bpy.data.images.get(LATEST)
    if image is None:
        image = bpy.data.images.load(str(progress.path))
        image.name = LATEST
    else:
        image.filepath = str(progress.path)
        image.reload()
    for space in spaces:
        space.image = image
