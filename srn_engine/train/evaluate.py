"""Measures a run on views that it was not trained on."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srn_engine.data.dataset import Dataset, Views, over_white
from srn_engine.errors import UserError
from srn_engine.pictures import Picture, ViewResult
from srn_engine.progress import Progress, Report
from srn_engine.report import write_report
from srn_engine.train import metrics
from srn_engine.train.run import Run

NAMES = ("psnr", "ssim", "depth_abs_rel", "miou")


def evaluate(
    run: Path, dataset: Path, split: str, report_dir: Path | None, device: torch.device, report: Report
) -> dict[str, Any]:
    """Renders every view of a split and compares; returns the job's result, and writes a report where asked to."""
    loaded = Run.load(run, device)
    data = Dataset.load(dataset)
    instance = loaded.info.instances[0]
    if instance not in data.instances:
        raise UserError(f"{dataset} does not hold the instance {instance} that {run} was trained on.")
    views = data.views(split, instance)
    if not len(views):
        raise UserError(f"{dataset} has no {split} views; capture some or choose another split.")
    if report_dir is not None:
        _make_folder(report_dir)
    results, seconds = _compare(loaded, views, report)
    mean = {name: _mean([getattr(result, name) for result in results]) for name in NAMES}
    rows = [{"view": result.name, **{name: getattr(result, name) for name in NAMES}} for result in results]
    milliseconds = 1000 * float(np.median(seconds))
    if report_dir is not None:
        report(Progress(1.0, "Writing the report"))
        shown = mean | {"render_ms_per_view": milliseconds}
        write_report(report_dir, f"{data.name}: {instance}", results, shown, data.classes, _curve(run))
    return {
        "metrics": {"mean": mean, "views": rows},
        "render_ms_per_view": milliseconds,
        "report": None if report_dir is None else str(report_dir / "report.html"),
    }


def _make_folder(folder: Path) -> None:
    """Makes the folder for a report before anything is rendered for it; UserError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.part.html").touch()
        (folder / "report.part.html").unlink()
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error}); choose another folder for the report.") from error


def _compare(run: Run, views: Views, report: Report) -> tuple[list[ViewResult], list[float]]:
    colours = over_white(views.rgba())
    depths = views.depth() if views.has("depth") else None
    labels = views.semantic() if views.has("semantic") else None
    results, seconds = [], []
    for number, camera in enumerate(views.cameras):
        report(Progress(number / len(views), f"View {number + 1} of {len(views)}"))
        start = time.perf_counter()
        seen = run.render(run.info.instances[0], camera, ("colour", "depth", "semantic"))
        seconds.append(time.perf_counter() - start)
        alpha = seen["colour"][..., 3:]
        neural = Picture(seen["colour"][..., :3] * alpha + (1 - alpha), seen["depth"], seen["semantic"])
        truth = Picture(
            colours[number], None if depths is None else depths[number], None if labels is None else labels[number]
        )
        results.append(_result(f"{views.split} {number:06d}", truth, neural, len(views.dataset.classes)))
    return results, seconds


def _result(name: str, truth: Picture, neural: Picture, classes: int) -> ViewResult:
    assert neural.depth is not None and neural.labels is not None
    return ViewResult(
        name,
        truth,
        neural,
        metrics.psnr(neural.colour, truth.colour),
        metrics.ssim(neural.colour, truth.colour),
        None if truth.depth is None else metrics.depth_abs_rel(neural.depth, truth.depth),
        None if truth.labels is None else metrics.mean_iou(neural.labels, truth.labels, classes),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _curve(run: Path) -> list[tuple[float, float]]:
    """The training's course; what of it cannot be read is left out, for the measurement stands without it."""
    path = run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    points = []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            point = json.loads(line)
            points.append((float(point["seconds"]), float(point["psnr"])))
    return points
