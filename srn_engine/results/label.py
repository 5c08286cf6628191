"""Teaches a run labels, and writes label maps of views that nobody labelled."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from srn_engine.data.dataset import Dataset
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.results.view_files import write_view
from srn_engine.train.labels import choose_views, fit_labels
from srn_engine.train.run import Run

FITTING = 0.3  # of the work, where label maps are written too


def label(
    run: Path, dataset: Path, images: int, instances: int, seed: int, out: Path | None, split: str,
    device: torch.device, report: Report,
) -> dict[str, Any]:  # fmt: skip
    """Fits a semantic head to labelled images of a dataset and saves it with the run; returns what it was fitted to.

    With `out`, writes label maps of the views of `split` to it, a folder for each instance of both run and dataset.
    UserError where the dataset lacks labels; Cancelled carries the result on where the run was saved before.
    """
    # With what its training needs: saving writes that too.
    opened = Run.load(run, device, to_train=True)
    opened.scene.eval()
    data = open_dataset(dataset)
    chosen = choose_views(opened, data, images, instances, seed)
    mapped = [] if out is None else _instances(opened, data, split)
    start = time.perf_counter()
    share = FITTING if out is not None else 1.0
    right = fit_labels(opened, data, chosen, lambda p: report(Progress(share * p.fraction, p.message)))
    seconds = time.perf_counter() - start
    opened.save()
    result: dict[str, Any] = {
        "run": str(run),
        "images": [{"instance": view.instance, "view": view.number} for view in chosen],
        "classes": [one.name for one in data.classes],
        "right": right,
        "seconds": seconds,
    }
    if out is not None:
        try:
            result |= {"out": str(out), "views": _write_maps(opened, data, split, mapped, out, report)}
        except Cancelled:
            raise Cancelled(result) from None
    return result


def _instances(run: Run, data: Dataset, split: str) -> list[str]:
    """The run's instances with views in a split; UserError where there are none."""
    known = {instance.id for instance in run.info.instances}
    found = [instance.id for instance in data.having(split) if instance.id in known]
    if not found:
        raise UserError(f"{data.root} has no {split} views of an instance of {run.folder}; choose another split.")
    return found


def _write_maps(run: Run, data: Dataset, split: str, instances: Sequence[str], out: Path, report: Report) -> int:
    """Writes label maps of all views that these instances have in a split; returns how many."""
    written = 0
    for number, instance in enumerate(instances):
        views = data.views(split, instance)
        for name, camera in zip(views.names, views.cameras, strict=True):
            report(Progress(FITTING + (1 - FITTING) * number / len(instances), f"Labelling {instance}"))
            write_view(out / instance, name, run.render(instance, camera, ("semantic",)), data.classes)
            written += 1
    return written
