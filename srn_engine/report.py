"""A report on held-out views: compare.png and report.html, which needs no other file and no network."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from srn_engine.data.dataset import LabelClass

from .pictures import Bytes, Embedding, ViewResult, all_depths, depth_range, label_picture, picture_rows, write_sheet

# How each metric is headed and written, in the order of the tables' columns.
METRICS = {
    "psnr": ("PSNR, dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "lpips": ("LPIPS", "{:.4f}"),
    "depth_abs_rel": ("depth abs-rel", "{:.4f}"),
    "miou": ("mIoU", "{:.3f}"),
}
FEWEST_SPREAD = 4  # views; the spread of fewer is their table
BLUE, GREY = "#3b8eea", "#888"
PICTURED_VIEWS = 24  # the worst ones; the others stand in the table with their numbers alone

STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); }
th { text-align: left; font-weight: 600; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: .2rem .3rem .6rem 0; }
figure img { width: 136px; image-rendering: pixelated; border: 1px solid var(--line); display: block; }
figcaption { font-size: .75rem; color: var(--soft); }
.key { display: inline-block; margin-right: 1rem; } .key i { display: inline-block; width: .9em; height: .9em;
  border: 1px solid var(--line); margin-right: .35em; vertical-align: -.1em; }
.curve, .spread, .features { max-width: 100%; } p.note { color: var(--soft); }
"""


def write_report(
    folder: Path,
    title: str,
    views: Sequence[ViewResult],
    mean: Mapping[str, float | None],
    classes: Sequence[LabelClass] = (),
    curve: Sequence[tuple[float, float]] = (),
    embedding: Embedding | None = None,
    instances: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
) -> Path:
    """Write `compare.png` and `report.html` into `folder` (made where it is missing); return the report's path.

    `mean` holds the means of METRICS over the views and any further numbers worth showing; `curve` is the training's
    course as (seconds, PSNR); `embedding` shows the features of a run with labels; `instances` holds the means of each,
    where there are several. A metric that no view has is left out. Raises ValueError without views.
    """
    if not views:
        raise ValueError("a report needs at least one view")
    folder.mkdir(parents=True, exist_ok=True)
    worst_first = sorted(views, key=lambda view: view.psnr)
    sheet = folder / "compare.part.png"
    write_sheet(sheet, title, worst_first, classes)
    os.replace(sheet, folder / "compare.png")
    page = folder / "report.part.html"
    page.write_text(_page(title, worst_first, mean, classes, curve, embedding, instances), encoding="utf-8")
    return page.replace(folder / "report.html")


def _page(
    title: str,
    views: Sequence[ViewResult],
    mean: Mapping[str, float | None],
    classes: Sequence[LabelClass],
    curve: Sequence[tuple[float, float]],
    embedding: Embedding | None,
    instances: Mapping[str, Mapping[str, float | None]],
) -> str:
    known = [name for name in METRICS if any(getattr(view, name) is not None for view in views)]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{len(views)} held-out views, rendered by Cycles and by the neural scene from the same cameras.</p>",
        _summary(mean),
    ]
    if len(curve) > 1:
        parts.append(f'<h2>Training</h2><img class="curve" alt="PSNR over time" src="{_curve(curve)}">')
    if len(views) >= FEWEST_SPREAD:
        parts.append('<h2>Spread over the views</h2><p class="note">The dashed line is the mean.</p>')
        parts.append(f'<img class="spread" alt="How many views have which value" src="{_histograms(views, known)}">')
    if embedding is not None:
        note = "Rays of these views, close where the semantic head reads like features (t-SNE), coloured by class."
        parts.append(f'<h2>Features</h2><p class="note">{note}</p>{_key(classes[1:])}')
        parts.append(f'<img class="features" alt="Features by class" src="{_scatter(embedding, classes)}">')
    if len(instances) > 1:
        worst_first = sorted(instances.items(), key=lambda one: one[1]["psnr"] or 0.0)
        parts.append(f"<h2>Instances, worst first</h2>{_table('instance', worst_first, known)}")
    rows = [(view.name, {name: getattr(view, name) for name in known}) for view in views]
    parts.append(f"<h2>All views, worst first</h2>{_table('view', rows, known)}")
    pictured = views[:PICTURED_VIEWS]
    parts.append(f"<h2>Pictures{'' if len(pictured) == len(views) else f' of the {len(pictured)} worst'}</h2>")
    parts.append('<p class="note">Error: black is none, bright yellow a tenth of the range or more.</p>')
    parts.append(_key(classes))
    parts.append(_pictures(pictured, classes))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _summary(mean: Mapping[str, float | None]) -> str:
    """The means: the metrics in their order, then the further numbers."""
    names = [name for name in METRICS if name in mean] + [name for name in mean if name not in METRICS]
    rows = [
        f'<tr><th>{escape(_heading(name))}</th><td class="number">{_number(name, mean[name])}</td></tr>'
        for name in names
        if mean[name] is not None
    ]
    return f"<table>{''.join(rows)}</table>"


def _table(what: str, rows: Sequence[tuple[str, Mapping[str, float | None]]], names: Sequence[str]) -> str:
    """A table of metrics, its first column headed `what`."""
    head = "".join(f"<th>{escape(_heading(name))}</th>" for name in names)
    lines = [
        f"<tr><td>{escape(row)}</td>"
        + "".join(f'<td class="number">{_number(name, values[name])}</td>' for name in names)
        + "</tr>"
        for row, values in rows
    ]
    return f"<table><tr><th>{what}</th>{head}</tr>{''.join(lines)}</table>"


def _pictures(views: Sequence[ViewResult], classes: Sequence[LabelClass]) -> str:
    rows = picture_rows(views, classes, depth_range(all_depths(views)))
    blocks = []
    for index, view in enumerate(views):
        figures = "".join(
            f'<figure><img alt="{escape(label)}" src="{_data_url(pictures[index])}">'
            f"<figcaption>{escape(label)}</figcaption></figure>"
            for label, pictures in rows.items()
        )
        blocks.append(f"<div><strong>{escape(view.name)}</strong> {view.psnr:.2f} dB<br>{figures}</div>")
    return "\n".join(blocks)


def _key(classes: Sequence[LabelClass]) -> str:
    items = []
    for one in classes:
        red, green, blue = (round(255 * channel) for channel in one.colour)
        items.append(f'<span class="key"><i style="background:rgb({red},{green},{blue})"></i>{escape(one.name)}</span>')
    return f"<p>{''.join(items)}</p>" if items else ""


def _heading(name: str) -> str:
    return METRICS[name][0] if name in METRICS else name.replace("_", " ")


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return METRICS.get(name, ("", "{:.4g}"))[1].format(value)


def _curve(curve: Sequence[tuple[float, float]]) -> str:
    """PSNR over seconds as a data URL."""
    seconds, psnr = np.asarray(curve, dtype=float).T
    figure = Figure(figsize=(7, 2.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(seconds, psnr, color=BLUE, linewidth=2)
    axes.set_xlabel("seconds of training", color=GREY)
    axes.set_ylabel("PSNR, dB", color=GREY)
    axes.grid(color=GREY, alpha=0.3)
    return _plain_url(figure)


def _histograms(views: Sequence[ViewResult], names: Sequence[str]) -> str:
    """How many views have which value of each metric, as a data URL."""
    figure = Figure(figsize=(2.6 * len(names), 2.2), dpi=110, layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        values = np.array([value for view in views if (value := getattr(view, name)) is not None])
        axes.hist(values, bins=min(24, max(6, len(values) // 2)), color=BLUE)
        axes.axvline(values.mean(), color=GREY, linestyle="--", linewidth=1.2)
        axes.set_xlabel(_heading(name), color=GREY)
        axes.yaxis.get_major_locator().set_params(integer=True)
    figure.axes[0].set_ylabel("views", color=GREY)
    return _plain_url(figure)


def _plain_url(figure: Figure) -> str:
    """A plot as a data URL; grey on transparent, so that it reads on white and on black."""
    for axes in figure.axes:
        axes.tick_params(colors=GREY)
        axes.patch.set_alpha(0)
        for side, spine in axes.spines.items():
            spine.set_color(GREY)
            spine.set_visible(side in ("left", "bottom"))
    return _figure_url(figure)


def _figure_url(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return _png_url(buffer.getvalue())


def _scatter(embedding: Embedding, classes: Sequence[LabelClass]) -> str:
    """The rays' places as a data URL, in the classes' colours; the largest class is drawn first, under the others."""
    figure = Figure(figsize=(5, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    order = np.argsort(-np.bincount(embedding.labels)[embedding.labels], kind="stable")
    x, y = embedding.places[order].T
    colours = label_picture(embedding.labels[None, order], classes)[0] / 255
    axes.scatter(x, y, s=7, c=colours, edgecolors="none")
    axes.set_axis_off()
    axes.set_aspect("equal")
    return _figure_url(figure)


def _data_url(picture: Bytes) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return _png_url(buffer.getvalue())


def _png_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
