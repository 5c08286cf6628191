"""Make Report and Open Report."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import DESCRIBED, FETCHED
from ..errors import UserError
from ..results.runs import MEANS, PAGE, REPORT
from ..results.view import stamp_of
from . import tasks
from .engine_choice import open_engine
from .long_work import LongWork
from .properties import folder_of, settings_of
from .runs_list import run_in_mind

SPLIT = "test"
PATIENCE = 2.0  # seconds before the disk is looked at again


@dataclass(frozen=True)
class Known:
    """What is known of a run's report. outdated: whether the run was trained on since."""

    page: Path | None = None
    means: dict[str, float | None] = field(default_factory=dict)
    outdated: bool = False


_looked: dict[Path, tuple[float, Known]] = {}  # the run asked for last, when it was looked at, and what was found


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


def _known(scene: bpy.types.Scene | None) -> Known:
    """What is known of the report of the run in mind; panels ask often, and the disk may be far away."""
    run = run_in_mind(scene)
    if run is None:
        return Known()
    when, known = _looked.get(run, (-PATIENCE, Known()))
    if time.monotonic() - when >= PATIENCE:
        known = _look(run)
        _looked.clear()
        _looked[run] = time.monotonic(), known
    return known


def _look(run: Path) -> Known:
    page = run / REPORT / PAGE
    if not page.is_file():
        return Known()
    try:
        kept = json.loads((run / REPORT / MEANS).read_text(encoding="utf-8"))
        return Known(page, dict(kept["means"]), kept["stamp"] != stamp_of(run))
    except (OSError, ValueError, KeyError, TypeError):  # made by srn-engine, or meddled with: the page can be opened
        return Known(page)


def keep_means(run: Path, means: Mapping[str, Any], stamp: str) -> None:
    """Writes a report's means beside it, and which state of the run (`stamp_of`) they are of.

    UserError where the disk does not take them.
    """
    path = run / REPORT / MEANS
    _looked.clear()
    try:
        path.write_text(json.dumps({"means": dict(means), "stamp": stamp}), encoding="utf-8")
    except OSError as error:
        raise UserError(f"Free some space or choose another folder: {path} cannot be written ({error}).") from error


CLASSES = (SRN_OT_report, SRN_OT_report_open)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
