"""Make Report and Open Report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import DESCRIBED, FETCHED
from ..errors import UserError
from ..results.runs import MEANS, REPORT
from ..results.runs_report import Report, read_report
from ..results.view import stamp_of
from . import runs_list, tasks
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of

SPLIT = "test"


class SRN_OT_report(LongWork, bpy.types.Operator):
    """Render all test views with what was trained, compare them, and write a report with pictures and numbers"""

    bl_idname = "srn.report"
    bl_label = "Make Report"
    kind, busy = "report", "A report is being made already"

    def begin(self, context: Any) -> tasks.Task:
        settings = settings_of(context.scene)
        run = folder_of(settings.run_path, "Run")
        dataset = folder_of(settings.dataset_path, "Dataset")
        if not (run / DESCRIBED).is_file():
            raise UserError(f"Train first, or choose the folder of a run: there is none in {run}.")
        if not (dataset / "dataset.json").is_file():
            raise UserError(f"Capture views first, or choose the folder of a dataset: there is none in {dataset}.")
        reads = {"run": FolderRead(run, FETCHED), "dataset": FolderRead(dataset)}
        stamp = stamp_of(run)
        request = JobRequest("evaluate", {"split": SPLIT}, reads, {"report": run / REPORT})

        def done(result: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
            means = result["metrics"]["mean"]
            keep_means(run, means, stamp)
            runs_list.take_report(run, read_report(run))
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
    return _known(scene).page


def means_of(scene: bpy.types.Scene | None) -> dict[str, float | None]:
    """The means of the report of the run in mind, by the metrics' names; {} where there is none."""
    return _known(scene).means


def is_outdated(scene: bpy.types.Scene | None) -> bool:
    """Whether the run in mind was trained on since its report was made."""
    return _known(scene).outdated


def _known(scene: bpy.types.Scene | None) -> Report:
    """What is known of the report of the run in mind. Panels ask it, so in a window it is what was seen last."""
    run = runs_list.run_in_mind(scene)
    if run is None:
        return Report()
    if bpy.app.background:
        return read_report(run)
    found = runs_list.seen()
    return found.report if found is not None and found.run == run else Report()


def keep_means(run: Path, means: Mapping[str, Any], stamp: str) -> None:
    """Writes a report's means beside it, and which state of the run (`stamp_of`) they are of.

    UserError where the disk does not take them.
    """
    path = run / REPORT / MEANS
    try:
        path.write_text(json.dumps({"means": dict(means), "stamp": stamp}), encoding="utf-8")
    except OSError as error:
        raise UserError(f"Free some space or choose another folder: {path} cannot be written ({error}).") from error


CLASSES = (SRN_OT_report, SRN_OT_report_open)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
