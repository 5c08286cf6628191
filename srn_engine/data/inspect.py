"""Looks through a whole dataset: what it holds, whether its views agree, and what is wrong with it."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srn_engine.data.checks import camera_problem, named, picture_problem
from srn_engine.data.dataset import PASSES, SPLITS, Dataset, Views
from srn_engine.data.readers import open_dataset
from srn_engine.data.unproject import depth_at, projected, unprojected
from srn_engine.errors import UserError
from srn_engine.model.fast.hull import carve
from srn_engine.progress import Progress, Report

_COMPARED = 16  # pairs of neighbouring views, and views of a hull, that are compared for each instance
_INSTANCES = 16  # instances whose views are compared with one another
_NEAR = 0.02  # of the depth: how far two views' surfaces may lie apart
_AMISS = 0.05  # share of a view's surface that may disagree: edges always do
_MOST_SENTENCES = 30
_HULL = 48
_FAR = np.float32(1e9)


@dataclass
class Findings:
    """What was found; `problems` are sentences."""

    splits: dict[str, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    focals: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    labels: Counter[int] = field(default_factory=Counter)
    passes: Counter[str] = field(default_factory=Counter)
    cut_off: int = 0
    agreement: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def views(self) -> int:
        """All views that could be read."""
        return sum(count["views"] for count in self.splits.values())


def inspect(root: Path, report: Report) -> tuple[Dataset, Findings]:
    """Reads every view of the dataset; UserError only where the dataset cannot be opened at all."""
    data, found = open_dataset(root), Findings()
    compared = {one.id for one in data.instances[:: math.ceil(len(data.instances) / _INSTANCES)]}
    for number, instance in enumerate(data.instances):
        report(Progress(number / len(data.instances), f"Instance {number + 1} of {len(data.instances)}"))
        for split in SPLITS:
            try:
                views = data.views(split, instance.id)
                _look_at(views, found)
                if instance.id in compared and len(views) > 1:
                    found.problems += _disagreements(views, found)
            except UserError as error:
                found.problems.append(str(error))
        _compare_splits(data, instance.id, found)
    found.problems += _about_all(data, found)
    return data, found


def summary(data: Dataset, found: Findings) -> dict[str, Any]:
    """The findings as JSON can hold them."""

    def spread(values: list[float]) -> dict[str, float] | None:
        return {"least": min(values), "median": float(np.median(values)), "most": max(values)} if values else None

    more = len(found.problems) - _MOST_SENTENCES
    rest = [f"There are {more} more of these."] if more > 0 else []
    total = sum(found.labels.values())
    return {
        "root": str(data.root),
        "name": data.name,
        "instances": len(data.instances),
        "splits": {split: dict(count) for split, count in found.splits.items() if count},
        "passes": [name for name in PASSES if found.passes[name]],
        "sizes": [{"width": w, "height": h, "views": count} for (w, h), count in found.sizes.most_common()],
        "focal_length": spread(found.focals),
        "camera_distance": spread(found.distances),
        "classes": [
            {"id": n, "name": one.name, "share": found.labels[n] / total if total else None}
            for n, one in enumerate(data.classes)
        ],
        "labelled_views": found.passes["semantic"],
        "cut_off_views": found.cut_off,
        "agreement": spread(found.agreement),
        "problems": found.problems[:_MOST_SENTENCES] + rest,
    }


def _look_at(views: Views, found: Findings) -> None:
    if len(views):
        found.splits[views.split]["instances"] += 1
    for n, camera in enumerate(views.cameras):
        size = camera.intrinsics
        rgba = views.rgba(n)
        problem = camera_problem(views, n) or picture_problem(views, n, rgba)
        found.problems += [problem] if problem is not None else []
        found.splits[views.split]["views"] += 1
        found.sizes[size.width, size.height] += 1
        found.focals += [size.fl_x] if size.fl_x == size.fl_y else [size.fl_x, size.fl_y]
        found.distances.append(float(np.linalg.norm(camera.pose[:3, 3])))
        found.passes.update(name for name in PASSES if views.has(name, n))
        if views.has("semantic", n):
            ids, counts = np.unique(views.semantic(n), return_counts=True)
            found.labels.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
        alpha = rgba[..., 3]
        edge = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        found.cut_off += bool((edge > np.iinfo(alpha.dtype).max // 2).any()) and "rgba" in views.dataset.passes


def _disagreements(views: Views, found: Findings) -> Iterator[str]:
    """Compares views with one another: by depth where there is depth, else by their silhouettes."""
    if views.has("depth"):
        for a, b in neighbours(views):
            share = agreement(views, a, b)
            found.agreement.append(share)
            if share < 1 - _AMISS:
                yield (
                    f"{named(views, a)} and view {views.names[b]} disagree about {100 * (1 - share):.0f} % of the "
                    "surface that both should see; check their poses, intrinsics and depth."
                )
    elif "rgba" in views.dataset.passes:
        shares = silhouette_shares(views)
        found.agreement += shares
        worst = int(np.argmin(shares))
        if shares[worst] < 1 - _AMISS:
            yield (
                f"{100 * (1 - shares[worst]):.0f} % of the object in {named(views, worst)} is where other views see "
                "background; check poses and masks."
            )


def neighbours(views: Views) -> list[tuple[int, int]]:
    """Some views, spread over all, each with the one whose camera is nearest."""
    positions = np.stack([camera.pose[:3, 3] for camera in views.cameras])
    chosen = range(0, len(views), math.ceil(len(views) / _COMPARED))
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1) + np.diag(np.full(len(views), np.inf))
    return [(n, int(apart[n].argmin())) for n in chosen]


def agreement(views: Views, a: int, b: int) -> float:
    """The share of what view a sees that view b does not deny.

    b denies a point where it looks past it, a pixel around included: edges never fall on the same pixel twice.
    """
    depth = views.depth(a)
    points = unprojected(views.cameras[a], depth)[depth.reshape(-1) > 0]
    if not len(points):
        return 1.0
    seen = views.depth(b)
    reach = torch.from_numpy(np.where(seen > 0, seen, _FAR))[None, None]
    nearest = -torch.nn.functional.max_pool2d(-reach, 3, stride=1, padding=1)[0, 0].numpy()
    _, z, said = depth_at(views.cameras[b], nearest, points)
    return 1.0 - float((said > (1 + _NEAR) * z)[z > 0].sum() / len(points))


def silhouette_shares(views: Views) -> list[float]:
    """For each view, the share of its silhouette in which the visual hull of all views is seen."""
    chosen = range(0, len(views), math.ceil(len(views) / _COMPARED))
    alphas = {n: views.rgba(n)[..., 3] for n in chosen}
    solid = {n: torch.from_numpy(alpha > 0.5 * np.iinfo(alpha.dtype).max) for n, alpha in alphas.items()}
    cells = carve([views.cameras[n] for n in chosen], (one.float() for one in solid.values()), _HULL)
    points = (cells.nonzero().double().numpy() + 0.5) * 2 / (_HULL - 1) - 1
    shares = [1.0] * len(views)
    for n, silhouette in solid.items():
        if silhouette.any():
            covered = _covered(views, n, points)
            shares[n] = float((covered & silhouette.numpy()).sum() / silhouette.sum())
    return shares


def _covered(
    views: Views, n: int, points: np.ndarray[Any, np.dtype[np.float64]]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(H, W): where the hull's cells around the points are seen, each as large as it looks from there."""
    size = views.cameras[n].intrinsics
    pixels, z = projected(views.cameras[n], points)
    seen = np.zeros((size.height, size.width), np.float32)
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels < (size.width, size.height)).all(axis=1)
    column, row = pixels[inside].astype(np.int64).T
    seen[row, column] = 1
    reach = math.ceil(size.fl_x * 2 / (_HULL - 1) / max(float(np.median(z)) if len(z) else 1.0, 0.1))
    spread = torch.nn.functional.max_pool2d(torch.from_numpy(seen)[None, None], 2 * reach + 1, 1, reach)[0, 0]
    return spread.numpy() > 0


def _compare_splits(data: Dataset, instance: str, found: Findings) -> None:
    """Finds val and test views that are trained on."""
    try:
        parts = {split: data.views(split, instance) for split in SPLITS}
    except UserError:  # said before
        return
    trained = {camera.pose.round(6).tobytes() for camera in parts["train"].cameras}
    for split in ("val", "test"):
        poses = [camera.pose.round(6).tobytes() for camera in parts[split].cameras]
        same = [n for n, pose in enumerate(poses) if pose in trained]
        if same:
            found.problems.append(
                f"{named(parts[split], same[0])} has the pose of a train view, as {len(same)} of {len(poses)} have: "
                "what is measured there was learned."
            )


def _about_all(data: Dataset, found: Findings) -> Iterator[str]:
    train = found.splits["train"]
    if train["views"] < 2 * max(train["instances"], 1):
        yield f"{data.root} has {train['views']} train views of {train['instances']} instances; each needs two or more."
    if found.cut_off:
        yield f"The object reaches the edge of {found.cut_off} pictures: what is cut off cannot be learned there."
    for n, one in enumerate(data.classes):
        if found.labels and not found.labels[n]:
            yield f"No pixel is labelled {one.name!r}."
