"""Draws what a dataset holds: a contact sheet, where the cameras stand, and one view made of another's depth."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image

from srn_engine.data.dataset import SPLITS, Dataset, Views, over_white
from srn_engine.data.inspect import neighbours
from srn_engine.data.unproject import depth_at, unprojected
from srn_engine.errors import UserError
from srn_engine.pictures import colour_picture, label_picture

Picture = npt.NDArray[np.uint8]

_TILE, _COLUMNS, _TILES = 128, 8, 48
_PAIRS = 4
_COLOURS = {"train": "tab:blue", "val": "tab:orange", "test": "tab:red"}


def draw(data: Dataset, folder: Path) -> list[Path]:
    """Writes contact.png, cameras.png and, where there is depth, reprojection.png; returns what was written.

    UserError where the folder cannot be written. What cannot be read is left out.
    """
    views = _readable(data)
    if not views:
        return []
    drawn = {"contact": _contact(views), "cameras": _cameras(views), "reprojection": _reprojection(views)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in drawn.items():
            if figure is not None:
                figure.savefig(folder / f"{name}.png", dpi=120)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error}); choose another folder.") from error
    return [folder / f"{name}.png" for name, figure in drawn.items() if figure is not None]


def _readable(data: Dataset) -> list[Views]:
    """All splits of one instance, or one split of each of some instances."""
    chosen = data.instances[:: math.ceil(len(data.instances) / _TILES)]
    parts: list[Views] = []
    for instance in chosen:
        for split in SPLITS:
            try:
                parts += [views] if len(views := data.views(split, instance.id)) else []
            except UserError:  # the inspection says so
                continue
    return parts


def _contact(parts: list[Views]) -> Figure:
    """Some pictures over white, spread over all views, with labels below where there are any."""
    every = [(views, n) for views in parts for n in range(len(views))]
    chosen = every[:: math.ceil(len(every) / _TILES)]
    rows = math.ceil(len(chosen) / _COLUMNS)
    figure = Figure(figsize=(1.5 * _COLUMNS, 1.75 * rows), layout="constrained")
    for place, (views, n) in enumerate(chosen, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        axes.axis("off")
        axes.set_title(f"{views.instance.id[-16:]} {views.split}\n{views.names[n][-20:]}", fontsize=5)
        picture = _picture(views, n)
        if picture is not None:
            axes.imshow(picture)
    return figure


def _picture(views: Views, n: int) -> Picture | None:
    try:
        picture = colour_picture(over_white(views.rgba(n)))
        if views.has("semantic", n):
            labels = label_picture(views.semantic(n), views.dataset.classes)
            picture = np.concatenate([picture, labels], axis=0 if picture.shape[1] > picture.shape[0] else 1)
    except UserError:
        return None
    small = Image.fromarray(picture)
    small.thumbnail((2 * _TILE, 2 * _TILE))
    return np.asarray(small)


def _cameras(parts: list[Views]) -> Figure:
    """Positions and directions of view from above and from the side, with the unit sphere that holds the object."""
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    for place, (names, across, up) in enumerate((("above", 0, 1), ("the side", 0, 2)), start=1):
        axes = figure.add_subplot(1, 2, place)
        axes.set_aspect("equal")
        axes.set_title(f"from {names}")
        axes.set_xlabel("xyz"[across])
        axes.set_ylabel("xyz"[up])
        axes.add_patch(Circle((0, 0), 1, fill=False, color="grey", linestyle=":"))
        for split in SPLITS:
            poses = [camera.pose for views in parts if views.split == split for camera in views.cameras]
            if poses:
                at, ahead = np.stack([pose[:3, 3] for pose in poses]), np.stack([pose[:3, 2] for pose in poses])
                axes.scatter(at[:, across], at[:, up], s=8, color=_COLOURS[split], label=f"{split}, {len(poses)} views")
                axes.quiver(
                    at[:, across], at[:, up], ahead[:, across], ahead[:, up],
                    color=_COLOURS[split], alpha=0.4, width=0.002, scale=20,
                )  # fmt: skip
        axes.legend(fontsize=7)
    return figure


def _reprojection(parts: list[Views]) -> Figure | None:
    """Rows of a view, its neighbour's picture moved into it by depth, and the difference; None without depth."""
    views = next((one for one in parts if one.has("depth") and len(one) > 1), None)
    if views is None:
        return None
    pairs = neighbours(views)
    pairs = pairs[:: math.ceil(len(pairs) / _PAIRS)]
    figure = Figure(figsize=(6, 2 * len(pairs)), layout="constrained")
    for row, (a, b) in enumerate(pairs):
        try:
            truth, moved, seen = over_white(views.rgba(a)), *moved_picture(views, b, a)
        except UserError:
            continue
        apart = np.where(seen[..., None], 1 - np.abs(truth - moved), 1.0)
        titles = (views.names[a], f"{views.names[b]} moved there", "difference")
        for column, (picture, title) in enumerate(zip((truth, moved, apart), titles, strict=True)):
            axes = figure.add_subplot(len(pairs), 3, 3 * row + column + 1)
            axes.axis("off")
            axes.set_title(title, fontsize=6)
            axes.imshow(colour_picture(picture))
    return figure


def moved_picture(views: Views, source: int, target: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The picture (H, W, 3) over white that view `source` shows of what view `target` sees, and where both see it."""
    depth = views.depth(target)
    points = unprojected(views.cameras[target], depth)
    pixels, z, said = depth_at(views.cameras[source], views.depth(source), points)
    seen = (depth.reshape(-1) > 0) & (said > 0) & (np.abs(z - said) < 0.02 * np.maximum(z, 1e-9))
    moved = np.ones((depth.size, 3), np.float32)
    column, row = pixels[seen].astype(np.int64).T
    moved[seen] = over_white(views.rgba(source))[row, column]
    return moved.reshape(*depth.shape, 3), seen.reshape(depth.shape)
