"""Arrays as pictures for people: error heat maps, depth in colours, labels in their palette, the comparison sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from srn_engine.data.dataset import LabelClass

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]

# A fixed scale, so that the heat maps of two runs can be compared: errors past a tenth of the range look alike.
ERROR_SCALE = 0.1
ERROR_MAP = "inferno"
DEPTH_MAP = "viridis"
MISS_COLOUR = (226, 226, 230)
SHEET_COLUMNS = 5
KEY_COLUMNS = 6


@dataclass(frozen=True)
class Picture:
    """What one camera sees: `colour` (H, W, 3) sRGB over white, 0 to 1; `depth` (H, W) along z in dataset units,
    0 where nothing was hit; `labels` (H, W) class ids. Depth and labels are None where the dataset lacks them."""

    colour: Floats
    depth: Floats | None = None
    labels: NDArray[np.integer] | None = None


@dataclass(frozen=True)
class ViewResult:
    """One held-out view: what Cycles rendered, what the run renders, and the numbers between the two."""

    name: str
    truth: Picture
    neural: Picture
    psnr: float
    ssim: float
    depth_abs_rel: float | None = None
    miou: float | None = None
    lpips: float | None = None


@dataclass(frozen=True)
class Embedding:
    """Rays placed on a plane by what the semantic head reads of them: places (n, 2), class ids (n,)."""

    places: Floats
    labels: NDArray[np.integer]


def colour_picture(colour: Floats) -> Bytes:
    """(H, W, 3) sRGB floats as bytes."""
    return (np.clip(colour, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def error_picture(truth: Floats, neural: Floats) -> Bytes:
    """Mean absolute difference of two (H, W, 3) pictures as a heat map, (H, W, 3) bytes, from 0 to ERROR_SCALE."""
    error = np.abs(truth - neural).mean(axis=-1) / ERROR_SCALE
    return _mapped(error, ERROR_MAP)


def depth_range(depths: Sequence[Floats | None]) -> tuple[float, float]:
    """The least and the greatest depth that was hit in any of the pictures."""
    hits = [depth[depth > 0] for depth in depths if depth is not None and (depth > 0).any()]
    if not hits:
        return 0.0, 1.0
    return float(min(part.min() for part in hits)), float(max(part.max() for part in hits))


def depth_picture(depth: Floats, limits: tuple[float, float]) -> Bytes:
    """(H, W) depths in colours, (H, W, 3) bytes; grey where nothing was hit."""
    low, high = limits
    picture = _mapped((depth - low) / max(high - low, 1e-9), DEPTH_MAP)
    picture[depth <= 0] = MISS_COLOUR
    return picture


def label_picture(labels: NDArray[np.integer], classes: Sequence[LabelClass]) -> Bytes:
    """(H, W) class ids in the classes' colours, (H, W, 3) bytes; black for an id that no class has."""
    palette = np.zeros((256, 3))
    palette[: len(classes)] = [one.colour for one in classes]
    return colour_picture(palette[labels.astype(np.uint8)])


def picture_rows(
    views: Sequence[ViewResult], classes: Sequence[LabelClass], limits: tuple[float, float]
) -> dict[str, list[Bytes]]:
    """Row label -> one picture a view. Depth shares one range; rows whose pass some view lacks are left out."""
    rows = {
        "Cycles": [colour_picture(view.truth.colour) for view in views],
        "neural": [colour_picture(view.neural.colour) for view in views],
        "error": [error_picture(view.truth.colour, view.neural.colour) for view in views],
    }
    for side in ("truth", "neural"):
        depths = [getattr(view, side).depth for view in views]
        if all(depth is not None for depth in depths):
            rows[_row_name("depth", side)] = [depth_picture(depth, limits) for depth in depths]
    for side in ("truth", "neural"):
        labels = [getattr(view, side).labels for view in views]
        if all(ids is not None for ids in labels):
            rows[_row_name("labels", side)] = [label_picture(ids, classes) for ids in labels]
    return rows


def all_depths(views: Sequence[ViewResult]) -> list[Floats | None]:
    """Both sides' depths of all views: what one shared range is taken from."""
    return [picture.depth for view in views for picture in (view.truth, view.neural)]


def write_sheet(path: Path, title: str, views: Sequence[ViewResult], classes: Sequence[LabelClass]) -> None:
    """Write the comparison sheet: a column for each of a few views from worst to best, a row for each kind of picture.

    `views` must not be empty and come worst first."""
    chosen = _spread(views, SHEET_COLUMNS)
    limits = depth_range(all_depths(chosen))
    rows = picture_rows(chosen, classes, limits)
    with_key = any(label.startswith("labels") for label in rows)
    key_lines = math.ceil(len(classes) / KEY_COLUMNS) if with_key else 0
    tile, margin_left, margin_right, margin_top, margin_bottom = 1.92, 1.3, 1.2, 0.75, 0.2 + 0.3 * key_lines
    width = margin_left + tile * len(chosen) + margin_right
    height = margin_top + tile * len(rows) + margin_bottom
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    grid = figure.subplots(
        len(rows), len(chosen), squeeze=False,
        gridspec_kw={"left": margin_left / width, "right": 1 - margin_right / width, "wspace": 0.03,
                     "top": 1 - margin_top / height, "bottom": margin_bottom / height, "hspace": 0.03},
    )  # fmt: skip
    for axes_row, (label, pictures) in zip(grid, rows.items(), strict=True):
        for axes, picture in zip(axes_row, pictures, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color("#d0d0d6")
        axes_row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11, labelpad=8)
        if label == "error":
            _colour_bar(figure, axes_row[-1], ERROR_MAP, (0.0, ERROR_SCALE), "mean |difference|", "max")
        elif label == _row_name("depth", "truth"):
            _colour_bar(figure, axes_row[-1], DEPTH_MAP, limits, "depth, unit sphere", "neither")
    for axes, view in zip(grid[0], chosen, strict=True):
        axes.set_title(f"{_plain(view.name)}\n{view.psnr:.1f} dB", fontsize=10)
    figure.suptitle(
        _plain(title), x=margin_left / width, y=1 - 0.12 / height, ha="left", va="top", fontsize=13, weight="bold"
    )
    if with_key:
        patches = [Patch(facecolor=one.colour, edgecolor="#999", label=_plain(one.name)) for one in classes]
        figure.legend(handles=patches, loc="lower center", ncols=KEY_COLUMNS, frameon=False, fontsize=9)
    figure.savefig(path, format="png")


def _mapped(values: Floats, name: str) -> Bytes:
    return np.asarray(colormaps[name](np.clip(values, 0.0, 1.0), bytes=True)[..., :3]).copy()


def _plain(text: str) -> str:
    """Text as it is: matplotlib would read formulas between dollar signs."""
    return text.replace("$", r"\$")


def _row_name(kind: str, side: str) -> str:
    return f"{kind},\nCycles" if side == "truth" else f"{kind},\nneural"


def _spread(views: Sequence[ViewResult], count: int) -> list[ViewResult]:
    """At most `count` views at even steps through the list, its first and its last among them."""
    if len(views) <= count:
        return list(views)
    return [views[math.floor(i * (len(views) - 1) / (count - 1))] for i in range(count)]


def _colour_bar(
    figure: Figure, beside: object, name: str, limits: tuple[float, float], label: str, extend: str
) -> None:
    box = beside.get_position()  # type: ignore[attr-defined]
    axes = figure.add_axes((box.x1 + 0.012, box.y0 + 0.08 * box.height, 0.012, 0.84 * box.height))
    scale = ScalarMappable(Normalize(*limits), name)
    bar = figure.colorbar(scale, cax=axes, extend=extend)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
