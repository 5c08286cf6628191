"""The rows about codes: known chairs from unseen sides, new chairs from one or two views, labels from 30 images."""

from __future__ import annotations

import statistics
import time

import numpy as np
from bench.context import Bench, Row, Trained
from bench.figures import Figure
from bench.judging import (
    GIVEN,
    KNOWN,
    NEW,
    Judged,
    all_views,
    counted,
    galleries,
    judge,
    mean_of,
    mean_psnr,
    nearest_pictures,
    others,
    white_psnr,
)
from bench.one_class import most_frequent_label

from srn_engine.data.rays import RayPool
from srn_engine.data.readers import open_dataset
from srn_engine.model.presets import PRESETS, FastManyPreset
from srn_engine.progress import silent
from srn_engine.train.fit import FitOptions, fitted
from srn_engine.train.labels import choose_views, fit_labels
from srn_engine.train.run import Run

PRESET, REFERENCE = "fast", "paper"
UNSEEN_BAR, FEW_BARS, FIT_BAR = 28.0, (22.5, 24.5), 2.0
MIOU_BAR, SILHOUETTE_BAR = 0.45, 0.80
OTHER_SINGLES = (4, 8, 12, 16, 20)  # single views that are given in place of the first, for how much it matters which
ALONE = 3  # new chairs that are fitted alone to be timed
LABELLED_IMAGES, LABELLED_CHAIRS, DRAWS = 30, 10, (0, 1, 2)


def _trained(bench: Bench, preset: str) -> Trained:
    return bench.trained(bench.unlabelled(KNOWN), preset, bench.class_seconds)


def unseen_views(bench: Bench) -> list[Figure]:
    return [_unseen(bench, PRESET, UNSEEN_BAR)]


def few_views(bench: Bench) -> list[Figure]:
    return [*_few(bench, PRESET, FEW_BARS), _other_singles(bench), _alone(bench, PRESET, ALONE, FIT_BAR)]


def labels(bench: Bench) -> list[Figure]:
    return _labels(bench, PRESET, MIOU_BAR, SILHOUETTE_BAR)


def reference(bench: Bench) -> list[Figure]:
    """The 2019 system on the same chairs."""
    figures = [_unseen(bench, REFERENCE), *_few(bench, REFERENCE), _alone(bench, REFERENCE, 1)]
    return figures + _labels(bench, REFERENCE)


def _unseen(bench: Bench, preset: str, bar: float | None = None) -> Figure:
    run = _trained(bench, preset)
    reached = bench.evaluated(run, bench.unlabelled(KNOWN))["metrics"]["mean"]["psnr"]
    note = f"against white; {run.steps} steps in {run.seconds:.0f} s"
    white = white_psnr(galleries(bench, KNOWN, "test"))
    return Figure(f"known chairs, unseen views: {preset}", reached, "dB", bar, white, note=note)


def _few(bench: Bench, preset: str, bars: tuple[float | None, ...] = (None, None)) -> list[Figure]:
    """For each number of views that are given: PSNR of the other ones, and how many of them are worse than white."""
    known, new = all_views(bench, KNOWN), all_views(bench, NEW)
    figures = []
    for given, bar in zip(GIVEN, bars, strict=True):
        what = f"new chairs from {counted(given)}: {preset}"
        judged, seconds = _fit_and_judge(bench, preset, given)
        nearest = mean_psnr(nearest_pictures(known, new, given), others(new, given))
        note = f"views {list(given)}; against the known chair that looks most alike; {seconds:.2f} s each in a batch"
        figures.append(Figure(what, mean_of(judged, "psnr"), "dB", bar, nearest, note=note))
        none = None if bar is None else 0.0
        figures.append(Figure(f"{what}, views worse than white", worse(judged), "", none, lower=True,
                              note=f"of {len(judged)}"))  # fmt: skip
    return figures


def worse(judged: list[Judged]) -> float:
    """How many views a white picture would have been better for."""
    return float(sum(one.psnr < one.white for one in judged))


def _fit_and_judge(bench: Bench, preset: str, given: tuple[int, ...]) -> tuple[list[Judged], float]:
    """The other views of all new chairs, and the seconds of a fit."""
    fit = bench.fitted(_trained(bench, preset), bench.unlabelled(NEW), given)
    return judge(Run.load(fit.folder, bench.device), open_dataset(bench.dataset(NEW)), given), fit.seconds_each


def _other_singles(bench: Bench) -> Figure:
    reached = {n: mean_of(_fit_and_judge(bench, PRESET, (n,))[0], "psnr") for n in OTHER_SINGLES}
    note = ", ".join(f"view {n}: {value:.1f}" for n, value in reached.items())
    return Figure(f"new chairs from one view, another one: {PRESET}", float(np.mean(list(reached.values()))), "dB",
                  note=note)  # fmt: skip


def _alone(bench: Bench, preset: str, chairs: int, bar: float | None = None) -> Figure:
    """The median time of fitting a single new chair, in a process that has fitted before; reading not included."""
    run = Run.load(_trained(bench, preset).folder, bench.device)
    data = open_dataset(bench.unlabelled(NEW))
    everywhere = not isinstance(PRESETS[preset].many, FastManyPreset)
    seconds = []
    for instance in data.instances[: chairs + 1]:
        pool = RayPool(data.views("train", instance.id).only(GIVEN[0]), bench.device, everywhere)
        start = time.perf_counter()
        fitted(run, [pool], FitOptions(), silent)
        seconds.append(time.perf_counter() - start)
    what = f"fitting one new chair to one view, alone: {preset}"
    return Figure(what, statistics.median(seconds[1:]), "s", bar, lower=True, note=f"median of {chairs}")


def _labels(bench: Bench, preset: str, bar: float | None = None, silhouette_bar: float | None = None) -> list[Figure]:
    """Labels of new chairs whose codes were fitted to the colours of one view, by heads that were fitted to a few
    labelled images of known chairs; nothing else has seen a label."""
    fit = bench.fitted(_trained(bench, preset), bench.unlabelled(NEW), GIVEN[0])
    known, new = Run.load(_trained(bench, preset).folder, bench.device), Run.load(fit.folder, bench.device)
    data, seconds, draws = open_dataset(bench.dataset(KNOWN)), [], []
    for seed in DRAWS:
        chosen = choose_views(known, data, LABELLED_IMAGES, LABELLED_CHAIRS, seed)
        start = time.perf_counter()
        fit_labels(known, data, chosen, silent)
        seconds.append(time.perf_counter() - start)
        new.scene.semantic_head = known.scene.semantic_head
        new.take_classes(data.classes)
        draws.append(judge(new, open_dataset(bench.dataset(NEW)), GIVEN[0]))
    every = [one for judged in draws for one in judged]
    floor = most_frequent_label(bench)
    drawn = ", ".join(f"{mean_of(judged, 'miou'):.3f}" for judged in draws)
    note = f"draws of images: {drawn}; against the most frequent label; heads in {statistics.median(seconds):.1f} s"
    what = f"new chairs from {counted(GIVEN[0])}, {LABELLED_IMAGES} labelled images of {LABELLED_CHAIRS} chairs"
    return [
        Figure(f"{what}, mIoU without background: {preset}", mean_of(every, "miou"), "", bar, floor, note=note),
        Figure(f"{what}, mIoU with background: {preset}", mean_of(every, "miou_with_background"), ""),
        Figure(f"{what}, silhouette IoU: {preset}", mean_of(every, "silhouette"), "", silhouette_bar),
    ]


ROWS = (
    Row("chairs", unseen_views),
    Row("few-views", few_views),
    Row("labels", labels),
    Row("reference-many", reference, asked=True),
)
