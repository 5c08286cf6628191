"""Make Report and Open Report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import FETCHED
from ..errors import UserError
from . import tasks
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of

# In the run's folder: the pages, and the means for the panel.
FOLDER, PAGE, MEANS = "report", "report.html", "means.json"
SPLIT = "test"


class SRN_OT_report(LongWork, bpy.types.Operator):
    """Render all test views with what was trained, compare them, and write a report with pictures and numbers"""

    bl_idname = "srn.report"
    bl_label = "Make Report"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("report"):
            cls.poll_message_set("A report is being made already")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        settings = settings_of(context.scene)
        run = folder_of(settings.run_path, "Run")
        dataset = folder_of(settings.dataset_path, "Dataset")
        if not (run / "run.json").is_file():
            raise UserError(f"Train first, or choose the folder of a run: there is none in {run}.")
        if not (dataset / "dataset.json").is_file():
            raise UserError(f"Capture views first, or choose the folder of a dataset: there is none in {dataset}.")
        reads = {"run": FolderRead(run, FETCHED), "dataset": FolderRead(dataset)}
        request = JobRequest("evaluate", {"split": SPLIT}, reads, {"report": run / FOLDER})

        def done(result: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
            means = result["metrics"]["mean"]
            keep_means(run, means)
            told = f"PSNR {means['psnr']:.1f} dB over the {SPLIT} views" if means["psnr"] is not None else "Measured"
            return f"{told}. Next: Open Report."

        job = tasks.Job(request, done, lambda result: "The report was cancelled.")
        return tasks.JobTask("report", job, lambda: open_engine(context))


class SRN_OT_report_open(bpy.types.Operator):
    """Open the report in the web browser; it is a file on this computer"""

    bl_idname = "srn.report_open"
    bl_label = "Open Report"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if page_of(context.scene) is None:
            cls.poll_message_set("Make a report of this run first")
            return False
        return True

    def execute(self, context: Any) -> Any:
        page = page_of(context.scene)
        assert page is not None, "poll has just found it"
        operators: Any = bpy.ops
        return operators.wm.url_open(url=page.as_uri())


def page_of(scene: bpy.types.Scene | None) -> Path | None:
    """The report of the run in mind, None where there is none."""
    run = _run_of(scene)
    page = run / FOLDER / PAGE if run is not None else None
    return page if page is not None and page.is_file() else None


def means_of(scene: bpy.types.Scene | None) -> dict[str, float | None]:
    """The means of the report of the run in mind, by the metrics' names; {} where there is none."""
    run = _run_of(scene)
    if run is None:
        return {}
    try:
        read = json.loads((run / FOLDER / MEANS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no report was made, or its folder was meddled with: making one mends it
        return {}
    return read if isinstance(read, dict) else {}


def keep_means(run: Path, means: Mapping[str, Any]) -> None:
    """Writes a report's means beside it. UserError where the disk does not take them."""
    path = run / FOLDER / MEANS
    try:
        path.write_text(json.dumps(dict(means)), encoding="utf-8")
    except OSError as error:
        raise UserError(f"Free some space or choose another folder: {path} cannot be written ({error}).") from error


def _run_of(scene: bpy.types.Scene | None) -> Path | None:
    if scene is None:
        return None
    try:
        return folder_of(settings_of(scene).run_path, "Run")
    except UserError:  # no folder that means anything yet
        return None


CLASSES = (SRN_OT_report, SRN_OT_report_open)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
