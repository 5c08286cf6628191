"""Measures a run on views that it was not trained on."""

import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srn_engine.data.dataset import Views, over_white
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.pictures import Embedding, Picture, ViewResult
from srn_engine.progress import Progress, Report, part_of
from srn_engine.report import write_report
from srn_engine.train import metrics
from srn_engine.train.perceptual import Perceived, perceptual
from srn_engine.train.run import Run, picture_over_white

NAMES = ("psnr", "ssim", "lpips", "depth_abs_rel", "miou")


def evaluate(
    run: Path, dataset: Path, split: str, report_dir: Path | None, device: torch.device, report: Report
) -> dict[str, Any]:
    """Renders every view of a split and compares; returns the job's result, and writes a report where asked to.

    The views are those of every instance that both the run and the dataset know; UserError where there are none.
    """
    loaded = Run.load(run, device)
    data = open_dataset(dataset)
    known = {instance.id for instance in loaded.info.instances}
    shared = [instance.id for instance in data.having(split) if instance.id in known]
    if not shared:
        raise UserError(
            f"{dataset} has no {split} views of what {run} was trained on; choose another split or dataset."
        )
    if report_dir is not None:
        _make_folder(report_dir)
    lpips = perceptual(device)
    results: dict[str, list[ViewResult]] = {}
    seconds: list[float] = []
    for number, instance in enumerate(shared):
        report(Progress(number / len(shared), f"Instance {number + 1} of {len(shared)}: {instance}"))
        part = part_of(report, number / len(shared), (number + 1) / len(shared))
        results[instance], spent = _compare(loaded, data.views(split, instance), lpips, part, len(shared) > 1)
        seconds += spent
    every = [result for of_one in results.values() for result in of_one]
    mean = _means(every)
    milliseconds = 1000 * float(np.median(seconds))
    instances = {instance: _means(of_one) for instance, of_one in results.items()}
    if report_dir is not None:
        report(Progress(1.0, "Writing the report"))
        title = f"{data.name}: {shared[0]}" if len(shared) == 1 else f"{data.name}: {len(shared)} instances"
        shown = mean | {"render_ms_per_view": milliseconds}
        embedding = _embedding(loaded, [data.views(split, instance) for instance in shared])
        write_report(report_dir, title, every, shown, data.classes, _curve(run), embedding, instances)
    rows = [
        {"instance": instance, "view": result.name, **{name: getattr(result, name) for name in NAMES}}
        for instance, of_one in results.items()
        for result in of_one
    ]
    return {
        "metrics": {"mean": mean, "instances": instances, "views": rows},
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


def _embedding(run: Run, views: Sequence[Views]) -> Embedding | None:
    """The features of the views' rays on a plane, where the run has labels."""
    if run.scene.semantic_head is None:
        return None
    from srn_engine.results.embedding import embed  # scikit-learn takes a second to import

    return embed(run, run.scene.semantic_head, views)


def _compare(
    run: Run, views: Views, lpips: Perceived | None, report: Report, several: bool
) -> tuple[list[ViewResult], list[float]]:
    """The results of one instance's views, and the seconds that each render took; `several` instances are compared."""
    results, seconds = [], []
    run.scene_of(views.instance.id)  # before the clock starts: a scene is made once and rendered many times
    for number, camera in enumerate(views.cameras):
        report(Progress(number / len(views), f"View {number + 1} of {len(views)} of {views.instance.id}"))
        start = time.perf_counter()
        seen = run.render(views.instance.id, camera, ("colour", "depth", "semantic"))
        seconds.append(time.perf_counter() - start)
        neural = Picture(picture_over_white(seen["colour"]), seen["depth"], seen["semantic"])
        truth = Picture(
            over_white(views.rgba(number)),
            views.depth(number) if views.has("depth", number) else None,
            views.semantic(number) if views.has("semantic", number) else None,
        )
        name = f"{views.split} {views.names[number]}"
        name = f"{views.instance.id} {name}" if several else name
        results.append(_result(name, truth, neural, len(views.dataset.classes), lpips))
    return results, seconds


def _result(name: str, truth: Picture, neural: Picture, classes: int, lpips: Perceived | None) -> ViewResult:
    assert neural.depth is not None and neural.labels is not None
    return ViewResult(
        name,
        truth,
        neural,
        metrics.psnr(neural.colour, truth.colour),
        metrics.ssim(neural.colour, truth.colour),
        None if truth.depth is None else metrics.depth_abs_rel(neural.depth, truth.depth),
        None if truth.labels is None else metrics.mean_iou(neural.labels, truth.labels, classes),
        None if lpips is None else lpips(neural.colour, truth.colour),
    )


def _means(results: Sequence[ViewResult]) -> dict[str, float | None]:
    return {name: _mean([getattr(result, name) for result in results]) for name in NAMES}


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
