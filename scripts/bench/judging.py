"""How the pictures of a class are judged: those of known instances by their test views, those of a new instance by all
of its views, train and test, that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bench.context import Bench

from srn_engine.baselines import floors
from srn_engine.baselines.gallery import Gallery, Labels, Pictures, joined, read_gallery
from srn_engine.data.dataset import Dataset, Views, over_white
from srn_engine.data.readers import open_dataset
from srn_engine.train.metrics import mean_iou, psnr, silhouette_iou
from srn_engine.train.run import Run, picture_over_white

KNOWN, NEW = "chairs", "chairs_new"
GIVEN = ((0,), (0, 23))  # the train views that `srn-engine fit --views 1` and `--views 2` take of 24
CLASSES, SEAT = 3, 1


def galleries(bench: Bench, dataset: str, split: str) -> list[Gallery]:
    data = open_dataset(bench.dataset(dataset))
    return [read_gallery(data.views(split, instance.id)) for instance in data.instances]


def all_views(bench: Bench, dataset: str) -> list[Gallery]:
    """The train views of each instance, and behind them the test views."""
    both = (galleries(bench, dataset, split) for split in ("train", "test"))
    return [joined(train, test) for train, test in zip(*both, strict=True)]


def others(of_all: Sequence[Gallery], given: Sequence[int]) -> list[Gallery]:
    """What an instance that is given some views is judged by."""
    return [gallery.without(given) for gallery in of_all]


def nearest_pictures(known: Sequence[Gallery], new: Sequence[Gallery], given: Sequence[int]) -> list[Pictures]:
    """For each new instance the other pictures of the known one that looks most like it in the views that are given."""
    few, rest = [gallery.only(given) for gallery in known], others(known, given)
    return [rest[floors.nearest_instance(few, gallery.only(given))].colour for gallery in new]


def mean_psnr(pictures: Sequence[Pictures], truths: Sequence[Gallery]) -> float:
    """The mean over all views of all instances."""
    pairs = [pair for one, truth in zip(pictures, truths, strict=True) for pair in zip(one, truth.colour, strict=True)]
    return float(np.mean([psnr(picture, truth) for picture, truth in pairs]))


def white_psnr(truths: Sequence[Gallery]) -> float:
    return mean_psnr([floors.white(gallery.colour) for gallery in truths], truths)


def mean_miou(labels: Sequence[Labels], truths: Sequence[Gallery]) -> float:
    """The mean over all views of all instances, without the background; views without any class do not count."""
    found = [
        mean_iou(one, truth, CLASSES, background=False)
        for views, gallery in zip(labels, truths, strict=True)
        for one, truth in zip(views, gallery.labels, strict=True)
    ]
    return float(np.mean([value for value in found if value is not None]))


@dataclass(frozen=True)
class Judged:
    """One view of a new instance: PSNR of its colours and of a white picture; where the run has labels, the mean
    intersection over union with and without the background, and that of all that is labelled with the silhouette."""

    psnr: float
    white: float
    miou: float | None = None
    miou_with_background: float | None = None
    silhouette: float | None = None


def judge(run: Run, data: Dataset, given: Sequence[int]) -> list[Judged]:
    """All views of all the run's instances but the train views that they were fitted to."""
    found = []
    for instance in run.info.instances:
        for split in ("train", "test"):
            views = data.views(split, instance.id)
            chosen = [n for n in range(len(views)) if split != "train" or n not in given]
            found += [_judge(run, views, n) for n in chosen]
    return found


def _judge(run: Run, views: Views, n: int) -> Judged:
    labelled = run.scene.semantic_head is not None
    seen = run.render(views.instance.id, views.cameras[n], ("colour", "semantic") if labelled else ("colour",))
    rgba = views.rgba(n)
    truth = over_white(rgba)
    quality = psnr(picture_over_white(seen["colour"]), truth), psnr(floors.white(truth), truth)
    if not labelled:
        return Judged(*quality)
    labels, true_labels = seen["semantic"], views.semantic(n)
    return Judged(
        *quality,
        mean_iou(labels, true_labels, CLASSES, background=False),
        mean_iou(labels, true_labels, CLASSES),
        silhouette_iou((labels > 0).astype(np.float32), rgba[..., 3] / np.float32(np.iinfo(rgba.dtype).max)),
    )


def mean_of(judged: Sequence[Judged], name: str) -> float:
    """The mean of one number over the views that have it."""
    values = [getattr(one, name) for one in judged]
    return float(np.mean([value for value in values if value is not None]))


def counted(given: Sequence[int]) -> str:
    return "one view" if len(given) == 1 else f"{len(given)} views"
