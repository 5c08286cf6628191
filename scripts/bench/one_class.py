"""The floors of the rows about a class, 32 chairs to train on and 12 held out; the network of 2016."""

from __future__ import annotations

from collections.abc import Sequence

from bench.context import Bench, Row
from bench.figures import Figure
from bench.judging import (
    CLASSES,
    GIVEN,
    KNOWN,
    NEW,
    SEAT,
    all_views,
    counted,
    galleries,
    mean_miou,
    mean_psnr,
    nearest_pictures,
    others,
    white_psnr,
)

from srn_engine.baselines import floors, tatarchenko
from srn_engine.baselines.gallery import Gallery, Pictures


def picture_floors(bench: Bench) -> list[Figure]:
    known, new = all_views(bench, KNOWN), all_views(bench, NEW)
    truths = others(new, GIVEN[0])
    mean = [floors.mean_of_view(others(known, GIVEN[0]))] * len(new)
    figures = [
        Figure("known chairs, unseen views: white", white_psnr(galleries(bench, KNOWN, "test")), "dB"),
        Figure("new chairs: white", white_psnr(truths), "dB"),
        Figure("new chairs: mean picture of the view", mean_psnr(mean, truths), "dB"),
    ]
    for given in GIVEN:
        what = f"new chairs: the known chair that looks most alike in {counted(given)}"
        figures.append(Figure(what, mean_psnr(nearest_pictures(known, new, given), others(new, given)), "dB"))
    return figures


def label_floors(bench: Bench) -> list[Figure]:
    what = "new chairs, mIoU without background:"
    return [
        Figure(f"{what} most frequent label of each pixel", most_frequent_label(bench), ""),
        Figure(f"{what} true silhouette, all seat", _all_seat(bench), ""),
    ]


def most_frequent_label(bench: Bench) -> float:
    """The mIoU without background of a picture of each view's most frequent labels among the known chairs."""
    known, new = (others(all_views(bench, name), GIVEN[0]) for name in (KNOWN, NEW))
    return mean_miou([floors.most_frequent_label(known, CLASSES)] * len(new), new)


def _all_seat(bench: Bench) -> float:
    new = others(all_views(bench, NEW), GIVEN[0])
    return mean_miou([floors.all_one_class(gallery.labels > 0, SEAT) for gallery in new], new)


def network_of_2016(bench: Bench) -> list[Figure]:
    known, unseen = galleries(bench, KNOWN, "train"), galleries(bench, KNOWN, "test")
    network = tatarchenko.train(known, bench.seconds(bench.network_seconds), bench.device)

    def predicted(seen: Sequence[Gallery], truths: Sequence[Gallery]) -> float:
        pairs = zip(seen, truths, strict=True)
        pictures: list[Pictures] = [tatarchenko.predict(network, one, truth.poses) for one, truth in pairs]
        return mean_psnr(pictures, truths)

    name = "Tatarchenko et al. 2016"
    what = f"known chairs, unseen views: {name}"
    figures = [Figure(what, predicted(known, unseen), "dB", reference=white_psnr(unseen), note="against white")]
    new = all_views(bench, NEW)
    for given in GIVEN:
        what, truths = f"new chairs from {counted(given)}: {name}", others(new, given)
        reached = predicted([gallery.only(given) for gallery in new], truths)
        figures.append(Figure(what, reached, "dB", reference=white_psnr(truths), note="against white"))
    return figures


ROWS = (Row("floors", picture_floors), Row("label-floors", label_floors), Row("tatarchenko", network_of_2016))
