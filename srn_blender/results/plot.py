"""Draws how a training goes: the loss by step, on a logarithmic axis, and the PSNR in dB under it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .plot_text import HEIGHT, text_mask
from .runs_history import Curve, History

Array = NDArray[np.float32]

SIZE = 480  # pixels a side; half of them are what the sidebar shows, which is why all is drawn in twos
SCALE = 2
BACKGROUND, FRAME, GRID, TEXT = (0.09, 0.09, 0.09), (0.30, 0.30, 0.30), (0.17, 0.17, 0.17), (0.80, 0.80, 0.80)
LOSS, PSNR = (0.95, 0.62, 0.25), (0.40, 0.72, 0.98)  # told apart by their lightness as well
LINE = 1.5 * SCALE  # pixels
LEFT, RIGHT, TOP, BOTTOM = 38 * SCALE, 8 * SCALE, 13 * SCALE, 14 * SCALE
ROOM = 1.03  # of the last step: the axis goes on a little, so that its point is seen whole
SMOOTHING = 1 / 40  # of the points: over how many the bright line of the loss is averaged


@dataclass(frozen=True)
class _Axes:
    """A rectangle of pixels, rows from the top, and the values at its edges: steps across, values upwards."""

    top: int
    height: int
    width: int
    steps: tuple[float, float]
    values: tuple[float, float]

    def column(self, step: ArrayLike) -> NDArray[np.float64]:
        first, last = self.steps
        return (np.asarray(step) - first) / (last - first) * (self.width - 1)

    def row(self, value: ArrayLike) -> NDArray[np.float64]:
        low, high = self.values
        return (high - np.asarray(value)) / (high - low) * (self.height - 1)


def draw(history: History) -> Array:
    """(SIZE, SIZE, 4) float32, sRGB with straight alpha, row 0 at the top."""
    picture = np.ones((SIZE, SIZE, 4), np.float32)
    picture[..., :3] = BACKGROUND
    loss, psnr = history.loss.curve, history.psnr.curve
    loss = loss[loss[:, 1] > 0.0]
    loss[:, 1] = np.log10(loss[:, 1])
    steps = (0.0, ROOM * max([1.0, *loss[-1:, 0], *psnr[-1:, 0]]))
    half, width = SIZE // 2, SIZE - LEFT - RIGHT
    height = half - TOP - BOTTOM
    upper = _Axes(TOP, height, width, steps, _span(loss[:, 1], 0.25, (-3.0, 0.0)))
    lower = _Axes(half + TOP, height, width, steps, _span(psnr[:, 1], 1.0, (15.0, 30.0)))
    _frame(picture, upper, "Loss", LOSS, _log_ticks(*upper.values))
    _frame(picture, lower, "PSNR dB", PSNR, [(value, f"{value:g}") for value in _ticks(*lower.values, 5)])
    _line(picture, upper, loss, LOSS, opacity=0.3)
    _line(picture, upper, _smooth(loss), LOSS)
    _line(picture, lower, psnr, PSNR)
    _dots(picture, lower, psnr, PSNR)
    return picture


def _span(values: NDArray[np.float64], least: float, otherwise: tuple[float, float]) -> tuple[float, float]:
    """Lowest and highest value of an axis, with room around what it shows, and `least` at the least."""
    if not len(values):
        return otherwise
    low, high = float(values.min()), float(values.max())
    room = max((high - low) * 0.06, (least - (high - low)) / 2)
    return low - room, high + room


def _smooth(curve: Curve) -> Curve:
    """Every point as the mean of those around it: of fewer at the ends."""
    reach = round(len(curve) * SMOOTHING)
    if reach < 1:
        return curve
    sums = np.concatenate([[0.0], np.cumsum(curve[:, 1])])
    places = np.arange(len(curve))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(curve))
    return np.stack([curve[:, 0], (sums[last] - sums[first]) / (last - first)], 1)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round numbers between the two."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Powers of ten between two exponents; where they are few, twice and five times them too."""
    factors = (1, 2, 5) if high - low < 2 else (1,)
    numbers = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
    return [(math.log10(number), _short(number)) for number in numbers if low <= math.log10(number) <= high]


def _short(number: float) -> str:
    """At most five letters: 0.02, 5e-4, 1500, 20k, 1.5M."""
    for limit, letter in ((1e6, "M"), (1e4, "k")):
        if number >= limit:
            return f"{number / (1e6 if letter == 'M' else 1e3):.3g}{letter}"
    if number == 0 or number >= 0.01:
        return f"{number:.5g}"
    power = math.floor(math.log10(number) + 1e-9)
    return f"{number / 10.0**power:.2g}e{power}"


def _frame(picture: Array, axes: _Axes, title: str, colour: tuple[float, ...], ticks: list[tuple[float, str]]) -> None:
    """Grid lines with their numbers, the frame and the title."""
    bottom, right = axes.top + axes.height, LEFT + axes.width
    for value, label in ticks:
        row = axes.top + round(float(axes.row(value)))
        picture[row : row + 1, LEFT:right, :3] = GRID
        _text(picture, label, row - HEIGHT * SCALE // 2, LEFT - 4 * SCALE, TEXT, anchor=1.0)
    for step in _ticks(*axes.steps, 4):
        column = LEFT + round(float(axes.column(step)))
        picture[axes.top : bottom, column : column + 1, :3] = GRID
        _text(picture, _short(step), bottom + 3 * SCALE, column, TEXT, anchor=0.5)
    picture[bottom : bottom + SCALE, LEFT - SCALE : right, :3] = FRAME
    picture[axes.top : bottom, LEFT - SCALE : LEFT, :3] = FRAME
    _text(picture, title, axes.top - (HEIGHT + 3) * SCALE, LEFT, colour, anchor=0.0)
    if axes.top < SIZE // 2:
        _text(picture, "steps", axes.top - (HEIGHT + 3) * SCALE, right, TEXT, anchor=1.0)


def _text(picture: Array, text: str, row: int, column: int, colour: tuple[float, ...], anchor: float) -> None:
    """Letters; anchor: which part of them lies left of `column`. They are kept inside the picture and on even pixels,
    so that every second pixel still shows them whole."""
    mask = text_mask(text, SCALE)
    left = min(max(round(column - anchor * mask.shape[1]), 0), SIZE - mask.shape[1])
    row, left = row // SCALE * SCALE, left // SCALE * SCALE
    picture[row : row + mask.shape[0], left : left + mask.shape[1], :3][mask] = colour


def _line(picture: Array, axes: _Axes, curve: Curve, colour: tuple[float, ...], opacity: float = 1.0) -> None:
    """A smooth line through the points."""
    if len(curve) < 2:
        return
    edges = np.arange(axes.width + 1) - 0.5
    known = axes.column(curve[:, 0])
    rows = np.interp(edges, known, axes.row(curve[:, 1]))
    low, high = np.minimum(rows[:-1], rows[1:]), np.maximum(rows[:-1], rows[1:])
    low[(edges[1:] < known[0]) | (edges[:-1] > known[-1])] = np.inf
    centres = np.arange(axes.height, dtype=np.float32)[:, None]
    beside = np.maximum(low.astype(np.float32) - centres, centres - high.astype(np.float32))
    _paint(picture, axes, 0, 0, beside, colour, opacity)


def _dots(picture: Array, axes: _Axes, curve: Curve, colour: tuple[float, ...]) -> None:
    """Dots at some of the points: where there is one alone, it is all there is to see."""
    reach = round(2 * LINE)
    for step, value in curve[:: max(1, len(curve) // 24)]:
        row, column = float(axes.row(value)), float(axes.column(step))
        top, left = max(0, round(row) - reach), max(0, round(column) - reach)
        rows = np.arange(top, min(axes.height, top + 2 * reach), dtype=np.float32)
        columns = np.arange(left, min(axes.width, left + 2 * reach), dtype=np.float32)
        _paint(picture, axes, top, left, np.hypot(rows[:, None] - row, columns - column) - LINE / 2, colour)


def _paint(
    picture: Array,
    axes: _Axes,
    top: int,
    left: int,
    beside: Array,
    colour: tuple[float, ...],
    opacity: float = 1.0,
) -> None:
    """Lays a colour over the part of the axes that begins at `top` and `left`, where it is less than half a line's
    width `beside` the shape, in pixels."""
    cover = np.clip(LINE / 2 + 0.5 - np.maximum(beside, 0.0), 0.0, 1.0) * np.float32(opacity)
    height, width = cover.shape
    area = picture[axes.top + top :, LEFT + left :, :3][:height, :width]
    area += (np.array(colour, np.float32) - area) * cover[..., None]
