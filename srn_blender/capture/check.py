"""Do the poses of a dataset agree with its pixels? Reprojects depth from each view into its neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import Camera

Array = NDArray[np.float64]

# A point agrees where its two depths differ by less than this, in pixels (at its distance). Half a pixel of offset in
# a picture moves depths by a quarter of a pixel or more, right poses leave a hundredth.
TOLERANCE = 0.15
# A pair of views in which fewer points agree is a warning. Right poses of real models keep 0.75 and more in every pair,
# at 48 to 128 pixels; half a pixel or a degree off leaves 0.1 or less in some.
ENOUGH = 0.6
# Behind the other view's surface by more than this, in dataset units, a point is hidden there and says nothing.
HIDDEN = 0.05
# Depths of a pixel's neighbours that differ by more pixels than this are an edge, or a surface too much from the side.
STEEPEST = 2.0
FEWEST_POINTS = 50


@dataclass(frozen=True, eq=False)
class Observed:
    """What a view claims: its camera, and depth (H, W) along z in the units of the camera's pose, 0 for a miss."""

    camera: Camera
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class CheckResult:
    """How well depths agree between views.

    median, percentile95: the difference of two views' depths of a point, in pixels at its distance; over `points`
    points that both should see. agreeing: the share of them where it is small; a point that falls beside the other
    view's silhouette does not agree. weakest: the same share in the pair of views where it is least. warning: a
    sentence for the user where that is too little, else None.
    """

    median: float
    percentile95: float
    agreeing: float
    weakest: float
    points: int
    warning: str | None


def neighbours(positions: Array, count: int) -> list[tuple[int, int]]:
    """The first `count` cameras (N, 3), each with the one that sees the most alike: pairs of their numbers."""
    directions = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    likeness = directions[:count] @ directions.T
    np.fill_diagonal(likeness, -np.inf)
    return [(number, int(row.argmax())) for number, row in enumerate(likeness)] if len(positions) > 1 else []


def check_poses(pairs: Sequence[tuple[Observed, Observed]]) -> CheckResult:
    """Compares the two views of each pair, in both directions."""
    per_pair = [np.concatenate([_differences(a, b), _differences(b, a)]) for a, b in pairs]
    per_pair = [differences for differences in per_pair if len(differences) >= FEWEST_POINTS]
    if not per_pair:
        advice = "Capture more views: too few points are seen twice to check the poses."
        return CheckResult(0.0, 0.0, 0.0, 0.0, 0, advice)
    weakest = min(float((differences < TOLERANCE).mean()) for differences in per_pair)
    together = np.concatenate(per_pair)
    on_surface = together[np.isfinite(together)]
    median, percentile95 = np.percentile(on_surface, (50, 95)) if len(on_surface) else (np.inf, np.inf)
    warning = None
    if weakest < ENOUGH:
        warning = (
            f"Look at the views before training: in some only {weakest:.0%} of the pixels agree with the poses, "
            "as happens with transparent or moving surfaces."
        )
    agreeing = float((together < TOLERANCE).mean())
    return CheckResult(float(median), float(percentile95), agreeing, weakest, len(together), warning)


def _differences(a: Observed, b: Observed) -> Array:
    """For the points of `a` that `b` should see: how far the two depths lie apart, in pixels; inf beside b's shape."""
    rows, columns = np.nonzero(_smooth(a))
    points = _points(a, rows, columns)
    # Of a thin thing the two sides lie closer than HIDDEN: a surface that is turned away from the other view is hidden.
    across, down = _points(a, rows, columns + 1) - points, _points(a, rows + 1, columns) - points
    outwards = np.cross(down, across)
    outwards *= np.sign((outwards * (a.camera.position - points)).sum(-1, keepdims=True))
    faces = (outwards * (b.camera.position - points)).sum(-1) > 0
    x, y, expected = np.moveaxis(b.camera.project(points), -1, 0)
    height, width = b.depth.shape
    # The four pixels around the point, which lies between their centres.
    with np.errstate(invalid="ignore"):
        left, top = np.floor(x - 0.5), np.floor(y - 0.5)
        inside = (expected > 0) & (left >= 0) & (top >= 0) & (left < width - 1) & (top < height - 1)
    x, y, expected, left, top, faces = (values[inside] for values in (x, y, expected, left, top, faces))
    row, column = top.astype(int), left.astype(int)
    around = np.stack([b.depth[row + i, column + j] for i in (0, 1) for j in (0, 1)], -1).astype(np.float64)
    missed = (around == 0).all(-1)
    flat = (around > 0).all(-1) & (np.ptp(around, -1) * b.camera.fl_x < STEEPEST * around.max(-1))
    # Inverse depth is linear over a flat surface's picture.
    u, v = x - 0.5 - left, y - 0.5 - top
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], -1)
    seen = 1 / np.where(flat, (weights / np.where(around > 0, around, 1)).sum(-1), 1)
    visible = flat & faces & (expected - seen < HIDDEN)
    differences: Array = np.abs(expected - seen) / seen * b.camera.fl_x
    differences[missed] = np.inf
    compared: Array = differences[visible | missed]
    return compared


def _points(view: Observed, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """What the middles of these pixels see, (N, 3)."""
    return view.camera.unproject(np.stack([columns + 0.5, rows + 0.5], -1), view.depth[rows, columns])


def _smooth(view: Observed) -> NDArray[np.bool_]:
    """The pixels (H, W) around which a surface goes on on all sides."""
    height, width = view.depth.shape
    smooth = np.zeros(view.depth.shape, bool)
    if height < 3 or width < 3:
        return smooth
    around = np.stack([view.depth[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)])
    span = (around.max(0) - around.min(0)) * view.camera.fl_x
    smooth[1:-1, 1:-1] = (around > 0).all(0) & (span < STEEPEST * around.max(0))
    return smooth
