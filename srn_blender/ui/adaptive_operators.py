"""Capture Adaptively: after a first few views the engine says from where it wants the next."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty

from ..capture.adaptive import Ask, Proposal, Wish, adaptive_steps
from ..capture.background import PATIENCE
from ..capture.camera import Camera
from ..capture.session import CaptureProgress
from ..engine.engine import READY, STARTING, engine
from ..engine.errand import Errand, FolderRead, JobRequest
from ..engine.jobs import JobCallbacks
from ..errors import UserError
from . import tasks
from .adaptive_properties import WISH
from .capture_operator import SRN_OT_capture_views, capture_settings, instances_to_capture
from .capture_task import CaptureTask
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import settings_of


class SRN_OT_capture_adaptively(LongWork, bpy.types.Operator):
    """Capture a first few views, then those that a quickly trained model asks for, until it is good enough"""

    bl_idname = "srn.capture_adaptively"
    bl_label = "Capture Adaptively"
    holds_scene = True
    interval = SRN_OT_capture_views.interval

    anew: BoolProperty(
        name="Start Anew",
        description="Delete what an earlier capture has left in the dataset's folder",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return SRN_OT_capture_views.poll(context)

    def begin(self, context: Any) -> tasks.Task:
        if engine().state not in (READY, STARTING):
            open_engine(context)
        scene, chosen = context.scene, settings_of(context.scene)
        settings = capture_settings(scene)
        wish = Wish(**{name: getattr(chosen, name) for name in WISH})
        ask = asking(settings.root, chosen.ask_seconds)
        return AdaptiveTask(adaptive_steps(scene, instances_to_capture(context), settings, wish, ask, self.anew))


class AdaptiveTask(CaptureTask):
    """Steps through an adaptive capture."""

    operator, button = "capture_adaptively", "Capture Adaptively"

    def __init__(self, steps: Generator[CaptureProgress | str, None, Mapping[str, float]]) -> None:
        self._expected: Mapping[str, float] = {}
        super().__init__(self._with_end(steps))

    def _with_end(
        self, steps: Generator[CaptureProgress | str, None, Mapping[str, float]]
    ) -> Generator[CaptureProgress | str, None, None]:
        self._expected = yield from steps

    def _finish(self) -> None:
        super()._finish()
        if self._expected:
            worst = min(self._expected.values())
            self.message = f"{self.message} A quick look at unseen views before the last batch: {worst:.1f} dB."


def asking(dataset: Path, seconds: float) -> Ask:
    """How an adaptive capture into the folder `dataset` asks the engine, which has `seconds` to answer."""

    def ask(instance: str, cameras: Sequence[Camera], count: int) -> Generator[str, None, Proposal]:
        params = {
            "instance": instance,
            "cameras": [camera.to_json() for camera in cameras],
            "count": count,
            "seconds": seconds,
        }
        yield from _until_ready()
        answer = _Answer()
        callbacks = JobCallbacks(progress=answer.told, done=answer.done, failed=answer.failed, cancelled=answer.done)
        errand = Errand(engine(), JobRequest("propose_views", params, {"dataset": FolderRead(dataset)}), callbacks)
        try:
            while answer.result is None and not answer.error:
                yield f"Asking where the next views shall be. {answer.message}"
                _poll()
        finally:
            if answer.result is None and not answer.error:
                errand.cancel()
        if answer.error or not answer.result:
            raise UserError(answer.error or "The engine was told to stop; Capture Adaptively goes on from there.")
        return Proposal([int(number) for number in answer.result["views"]], float(answer.result["psnr"]))

    return ask


class _Answer:
    """What came of a question to the engine so far."""

    def __init__(self) -> None:
        self.result: Mapping[str, Any] | None = None
        self.error, self.message = "", ""

    def told(self, news: Mapping[str, Any]) -> None:
        self.message = str(news.get("message") or news.get("state", ""))

    def done(self, result: Mapping[str, Any], arrays: object = None) -> None:
        self.result = result

    def failed(self, sentence: str) -> None:
        self.error = sentence


def _until_ready() -> Generator[str, None, None]:
    while engine().state == STARTING:
        yield engine().message
        _poll()
    if engine().state != READY:
        raise UserError(engine().message)


def _poll() -> None:
    """Hears what the engine says; no more often than there can be something."""
    time.sleep(PATIENCE)
    engine().poll()


CLASSES = (SRN_OT_capture_adaptively,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
