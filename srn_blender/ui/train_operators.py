"""Train SRN and Fetch Run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import HostRun
from ..errors import UserError
from . import tasks
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of


class SRN_OT_train(LongWork, bpy.types.Operator):
    """Train a neural scene on the captured views; starts the engine where it is not running"""

    bl_idname = "srn.train"
    bl_label = "Train SRN"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("train"):
            cls.poll_message_set("A training is running already")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        settings = settings_of(context.scene)
        dataset = folder_of(settings.dataset_path, "Dataset")
        if not (dataset / "dataset.json").is_file():
            raise UserError(f"Capture views first, or choose the folder of a dataset: there is none in {dataset}.")
        request = JobRequest(
            "train",
            {"preset": settings.preset, "seconds": settings.seconds, "seed": settings.seed},
            {"dataset": FolderRead(dataset)},
            {"run": folder_of(settings.run_path, "Run")},
        )
        job = tasks.Job(request, lambda result, arrays: describe_training(result), describe_cut_training)
        return tasks.JobTask("train", job, lambda: open_engine(context))


def describe_training(result: Mapping[str, Any]) -> str:
    """How a training ended, and what to do next."""
    psnr = result.get("psnr")
    quality = f"PSNR {psnr:.1f} dB" if psnr is not None else "no validation views to measure with"
    return f"Trained {result['steps']} steps in {result['seconds']:.0f} s: {quality}. Next: Render Neural View."


def describe_cut_training(result: Mapping[str, Any]) -> str:
    """What a cancelled training has left."""
    if "run" in result:
        return "Training cancelled; what it had learned is kept and can be rendered."
    return "Training cancelled before it had learned anything."


class SRN_OT_fetch_run(LongWork, bpy.types.Operator):
    """Fetch what was trained for this run on another computer, where it could not be fetched or goes on training"""

    bl_idname = "srn.fetch_run"
    bl_label = "Fetch Run"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("train"):
            cls.poll_message_set("A training is running; it fetches its run at its end")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        folder = folder_of(settings_of(context.scene).run_path, "Run")
        if HostRun.read(folder) is None:
            raise UserError(f"Train first: nothing was trained on another computer for {folder}.")
        return tasks.FetchTask("train", folder, lambda: open_engine(context))


CLASSES = (SRN_OT_train, SRN_OT_fetch_run)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
