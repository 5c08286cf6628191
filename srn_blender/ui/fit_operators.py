"""Fit New Object: a new object from one or a few views, into the run of a class in mind."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from ..capture.background import in_background
from ..capture.instance import Instance, instance_id
from ..capture.matched import matched_view, place_of, write_matched
from ..capture.rigs.scene_cameras import collection_cameras
from ..capture.session import capture_steps
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED
from ..errors import UserError
from ..results import view
from . import tasks
from .capture_operator import capture_settings, selected_objects
from .capture_task import CaptureTask
from .engine_choice import open_engine
from .long_work import LongWork, take_step
from .properties import folder_of, settings_of

VIEWS = "-views"  # what the folder of a fit's views is called beyond the fitted run's own name
# How sure a fit is, in words, from which number on.
WORDS = ((0.8, "sure"), (0.5, "fairly sure"), (0.25, "not sure"), (0.0, "little more than a guess"))
CANCELLED = "The fit was cancelled."
CAUTION = "What no view shows is guessed from the class."


class FitTask(tasks.Task):
    """Takes the views, then has the engine fit them."""

    def __init__(self, views: tasks.Task, fit: Callable[[], tasks.Task]) -> None:
        super().__init__("fit", views.message)
        self._now, self._fit = views, fit
        self._fits = False
        self.pause = views.pause

    def step(self) -> None:
        now = self._now
        take_step(now)
        self.message, self.fraction, self.eta = now.message, now.fraction, now.eta
        if now.state == tasks.DONE and not self._fits:
            self._now, self._fits, self.pause = self._fit(), True, tasks.Task.pause
        elif now.state == tasks.CANCELLED:
            self.end(tasks.CANCELLED, CANCELLED)
        elif now.state != tasks.RUNNING:
            self.end(now.state, now.message)

    def cancel(self) -> None:
        self._now.cancel()

    def abandon(self) -> None:
        self._now.abandon()
        if self._fits:  # it goes on by itself, and tells the panel how it ends
            tasks.Task.latest[self.kind] = self._now
        else:
            self.end(tasks.CANCELLED, CANCELLED)


class PicturesTask(tasks.Task):
    """Writes pictures with a matched camera as a dataset."""

    def __init__(self, steps: Generator[None, None, int]) -> None:
        super().__init__("fit", "Writing the pictures as views.")
        self._steps = steps

    def step(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self.end(tasks.DONE, self.message)

    def cancel(self) -> None:
        self._steps.close()
        self.end(tasks.CANCELLED, CANCELLED)


class SRN_OT_fit(LongWork, bpy.types.Operator):
    """Find a new object of the run's class from one or a few views of it, and make it the run to render"""

    bl_idname = "srn.fit"
    bl_label = "Fit New Object"
    bl_options = {"UNDO"}
    holds_scene = True
    interval = 0.005  # many steps make a view, and each is short

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("fit") or tasks.running("capture"):
            cls.poll_message_set("Wait for the end of what is running")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave the mode for editing first")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        scene, settings = context.scene, settings_of(context.scene)
        run = folder_of(settings.run_path, "Run")
        _require_class(run)
        if settings.fit_source == "images":
            views, folder = _pictures(context, run)
        else:
            views, folder = _captured(context, run)
        fit = partial(_fit_task, scene.session_uid, run, folder, lambda: open_engine(context))
        return FitTask(views, fit)


def _captured(context: Any, run: Path) -> tuple[tasks.Task, Path]:
    """The selected objects through the scene's cameras: the work, and the folder for the fitted run."""
    objects, source = selected_objects(context)  # the panel Capture may still have the class
    if not objects:
        raise UserError("Select the object to fit.")
    settings = capture_settings(context.scene)
    collection_cameras(context.scene, settings.camera_collection)  # says what is wrong before anything is written
    folder = _new_folder(run, source)
    few = replace(settings, root=_views_of(folder), rig="cameras", hold_out=0, passes=("rgba",), labels="none")
    new = Instance(instance_id(source), source, objects, settings_of(context.scene).align)
    steps = capture_steps(context.scene, [new], replace(few, classes=()), anew=True)
    # By this name it is ended where the file is saved or another one opened.
    views = tasks.Task.latest["capture"] = CaptureTask(steps)
    return views, folder


def _pictures(context: Any, run: Path) -> tuple[tasks.Task, Path]:
    """The same of pictures with a matched camera."""
    scene, settings = context.scene, settings_of(context.scene)
    cameras = [one for one in context.view_layer.objects.selected if one.type == "CAMERA"]
    if not cameras and scene.camera is None:
        raise UserError("Select the cameras with the pictures, or make one the scene's active camera.")
    matched = [matched_view(scene, camera) for camera in cameras or [scene.camera]]
    centre, radius, _ = place_of(settings.fit_reference, scene, settings.fit_radius)
    source = settings.fit_reference.name if settings.fit_reference is not None else matched[0].name
    folder = _new_folder(run, source)
    write = partial(write_matched, _views_of(folder), matched, source, centre, radius)
    return PicturesTask(in_background(write)), folder


def _fit_task(scene_uid: int, run: Path, folder: Path, start_engine: Callable[[], None]) -> tasks.Task:
    views = _views_of(folder)
    reads = {"run": FolderRead(run, RENDERED), "dataset": FolderRead(views)}
    request = JobRequest("fit", {}, reads, {"fitted": folder})
    counts = [len(list(one.glob("pose/*.txt"))) for one in views.glob("*_train/*")]

    def done(result: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
        scene = next((one for one in bpy.data.scenes if one.session_uid == scene_uid), None)
        if scene is not None:  # else another file was opened meanwhile
            settings_of(scene).run_path = _as_written(folder, settings_of(scene).run_path)
        return f"{describe_fit(result['instances'] or (), max(counts))} {CAUTION} Next: Render Neural View."

    job = tasks.Job(request, done, lambda result: CANCELLED)
    return tasks.JobTask("fit", job, start_engine)


def describe_fit(instances: Any, views: int) -> str:
    """How sure a fit is, as a sentence; of several instances that of the least sure one."""
    given = "1 view" if views == 1 else f"{views} views"
    if not instances:
        return f"Fitted from {given}."
    least = min(instances, key=lambda one: one["sure"])
    word = next(word for bound, word in WORDS if least["sure"] >= bound)
    said = f"{word} ({least['sure']:.1f})"
    if len(instances) == 1:
        return f"Fitted from {given}: {said}."
    return f"Fitted {len(instances)} instances from {given} each, least sure of '{least['id']}': {said}."


def _require_class(run: Path) -> None:
    """UserError where the run in the folder cannot be fitted to."""
    described = view.describe_run(run)
    preset = described.get("preset")
    if isinstance(preset, dict) and preset.get("kind") == "fast":
        raise UserError("Choose a run of several objects of a class: this one was trained on one object alone.")


def _new_folder(run: Path, source: str) -> Path:
    """A folder beside the run, for what is fitted; there is nothing by its name yet."""
    name = f"{run.name}-{instance_id(source)}"
    folder, number = run.with_name(name), 2
    while folder.exists() or _views_of(folder).exists():
        folder, number = run.with_name(f"{name}-{number}"), number + 1
    return folder


def _views_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{VIEWS}")


def _as_written(folder: Path, before: str) -> str:
    """The folder as the setting has it: relative to the file where the one before was."""
    relative = before.startswith("//") and bool(bpy.data.filepath)
    return str(bpy.path.relpath(str(folder))) if relative else str(folder)


CLASSES = (SRN_OT_fit,)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    tasks.cancel_all("fit")
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
