"""Several instances in one picture: laid over each other by depth, pixel by pixel, in plain numpy.

Light is added up as Blender does it, scene-linear and premultiplied, the nearest instance first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..capture.camera import Camera
from .images import MISS

Array = NDArray[np.float32]

# The least share of a pixel that gives it a depth, a normal and a class.
VISIBLE = 0.05
ROWS = 64  # that are laid over each other at a time: what it takes of memory is for them alone


@dataclass(frozen=True, eq=False)
class Layer:
    """An instance as a camera sees it: the arrays of a `render` job (docs/protocol.md, "Arrays"), rows from the top.

    camera: the one of the job, in dataset units. left, top: the place of its first pixel in the whole picture.
    scale: Blender units per dataset unit. rotation: (3, 3), from the axes of the dataset to those of the world.
    """

    arrays: Mapping[str, NDArray[Any]]
    camera: Camera
    left: int
    top: int
    scale: float
    rotation: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Picture:
    """The passes of a render, the bottom row first, as Blender holds them; float32.

    combined: (H, W, 4) scene-linear with the primaries of sRGB, premultiplied. depth: (H, W) along the camera's z in
    Blender units, MISS where nothing is. normal: (H, W, 3) in world axes. semantic: (H, W) class ids.
    """

    combined: Array
    depth: Array
    normal: Array
    semantic: Array

    @classmethod
    def empty(cls, width: int, height: int) -> Picture:
        size = height, width
        return cls(
            np.zeros((*size, 4), np.float32),
            np.full(size, MISS, np.float32),
            np.zeros((*size, 3), np.float32),
            np.zeros(size, np.float32),
        )

    def fill_behind(self, colour: ArrayLike) -> None:
        """Lays the picture over a scene-linear colour (3,), and leaves it without transparency."""
        behind = 1.0 - self.combined[..., 3:]
        self.combined[..., :3] += behind * np.asarray(colour, np.float32)
        self.combined[..., 3] = 1.0

    def change_primaries(self, matrix: ArrayLike) -> None:
        """Brings the colours to other primaries: `matrix` (3, 3) @ colour."""
        self.combined[..., :3] = self.combined[..., :3] @ np.asarray(matrix, np.float32).T


def composite(layers: Sequence[Layer], width: int, height: int) -> Picture:
    """The layers in one picture of this size, what is nearer before what is farther, in each pixel on its own.

    Depth, normal and class of a pixel are those of the layer that adds most to it.
    """
    picture = Picture.empty(width, height)
    flat = [_flatten(layer) for layer in layers]
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height))
        near = [one for one in flat if one.top < rows.stop and one.top + one.height > rows.start]
        if near:
            _lay(near, rows, picture)
    return picture


def to_linear(encoded: Array) -> Array:
    """sRGB-encoded values, cut to 0 to 1, as linear ones, to 2e-5."""
    steps = len(_LINEAR) - 1
    return _LINEAR.take((np.clip(encoded, 0.0, 1.0) * np.float32(steps) + np.float32(0.5)).astype(np.uint16))


def _linear_table() -> Array:
    encoded = np.linspace(0.0, 1.0, 2**16)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR = _linear_table()  # a power for each of six million numbers takes several times as long


@dataclass(frozen=True, eq=False)
class _Flat:
    """A layer in Blender's terms, rows from the top: premultiplied linear light, depth in Blender units."""

    light: Array
    depth: Array
    normal: Array
    semantic: NDArray[Any]
    left: int
    top: int

    @property
    def height(self) -> int:
        return int(self.depth.shape[0])


def _flatten(layer: Layer) -> _Flat:
    colour = np.asarray(layer.arrays["colour"], np.float32)
    light = np.empty(colour.shape, np.float32)
    alpha: Array = np.clip(colour[..., 3], 0.0, 1.0)
    light[..., 3] = alpha
    np.multiply(to_linear(colour[..., :3]), alpha[..., None], out=light[..., :3])
    normal, semantic = layer.arrays.get("normal"), layer.arrays.get("semantic")
    return _Flat(
        light=light,
        depth=_depth(layer, alpha),
        normal=np.zeros((*alpha.shape, 3), np.float32) if normal is None else _turned(normal, layer.rotation),
        semantic=np.zeros(alpha.shape, np.uint8) if semantic is None else semantic,
        left=layer.left,
        top=layer.top,
    )


def _turned(vectors: Array, rotation: NDArray[np.float64]) -> Array:
    turned: Array = vectors.reshape(-1, 3) @ rotation.T.astype(np.float32)
    return turned.reshape(vectors.shape)


def _depth(layer: Layer, alpha: Array) -> Array:
    """(H, W) in Blender units, infinite where the layer holds nothing.

    The engine tells no depth where an instance covers less than half of a pixel, as along its edges. There the ray
    passes it, and is nearest to it about where it is nearest to its centre: without that depth the edge would lie
    behind everything else.
    """
    depth = np.asarray(layer.arrays["depth"], np.float32) * np.float32(layer.scale)
    edge = (depth <= 0.0) & (alpha > 0.0)
    if edge.any():
        depth[edge] = layer.scale * _depth_nearest_to_centre(layer.camera, edge)
    depth[depth <= 0.0] = np.inf
    return depth


def _depth_nearest_to_centre(camera: Camera, where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far along the camera's z the rays of some pixels are nearest to the origin; 0 where that is behind it."""
    rows, columns = np.nonzero(where)
    x = (columns + 0.5 - camera.cx) / camera.fl_x
    y = (rows + 0.5 - camera.cy) / camera.fl_y
    centre = camera.pose[:3, :3].T @ -camera.position
    nearest: NDArray[np.float64] = (x * centre[0] + y * centre[1] + centre[2]) / (x * x + y * y + 1.0)
    return np.maximum(nearest, 0.0)


def _lay(layers: Sequence[_Flat], rows: slice, picture: Picture) -> None:
    """Fills these rows, counted from the top, with layers that all reach into them."""
    if len(layers) == 1:
        _lay_one(layers[0], rows, picture)
        return
    size = len(layers), rows.stop - rows.start, picture.depth.shape[1]
    light, depth = np.zeros((*size, 4), np.float32), np.full(size, np.inf, np.float32)
    normal, semantic = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    for number, one in enumerate(layers):
        (band, columns), source = _places(one, rows)
        target = number, slice(band.start - rows.start, band.stop - rows.start), columns
        light[target], depth[target] = one.light[source], one.depth[source]
        normal[target], semantic[target] = one.normal[source], one.semantic[source]
    seen = np.nonzero((light[..., 3] > 0.0).any(0))
    stacked: tuple[Any, ...] = slice(None), *seen
    light, depth = light[stacked], depth[stacked]
    combined, chosen, share = _over(light, depth)
    place = rows.start + seen[0], seen[1]
    picture.combined[::-1][place] = combined
    solid = share >= VISIBLE
    place, best = (place[0][solid], place[1][solid]), (chosen[solid], np.flatnonzero(solid))
    picture.depth[::-1][place] = np.minimum(depth[best], MISS)
    picture.normal[::-1][place] = normal[stacked][best]
    picture.semantic[::-1][place] = semantic[stacked][best]


def _lay_one(layer: _Flat, rows: slice, picture: Picture) -> None:
    place, source = _places(layer, rows)
    light = layer.light[source]
    solid = light[..., 3] >= VISIBLE
    picture.combined[::-1][place] = light
    picture.depth[::-1][place] = np.where(solid, np.minimum(layer.depth[source], MISS), MISS)
    picture.normal[::-1][place] = layer.normal[source] * solid[..., None]
    picture.semantic[::-1][place] = layer.semantic[source] * solid


def _places(layer: _Flat, rows: slice) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a layer reaches into these rows: in the whole picture, and in the layer."""
    first, last = max(rows.start, layer.top), min(rows.stop, layer.top + layer.height)
    width = layer.depth.shape[1]
    there = slice(first, last), slice(layer.left, layer.left + width)
    return there, (slice(first - layer.top, last - layer.top), slice(0, width))


def _over(light: Array, depth: Array) -> tuple[Array, NDArray[np.intp], Array]:
    """Lays light (n, pixels, 4) over each other by depth (n, pixels).

    Returns what comes through (pixels, 4), the layer that adds most to each pixel, and how much of it that is.
    """
    pixels = np.arange(depth.shape[1])
    combined, through = np.zeros(light.shape[1:], np.float32), np.ones(len(pixels), np.float32)
    share, chosen = np.zeros(len(pixels), np.float32), np.zeros(len(pixels), np.intp)
    for layer in np.argsort(depth, axis=0, kind="stable"):
        added = light[layer, pixels] * through[:, None]
        combined += added
        more = added[:, 3] > share
        share[more], chosen[more] = added[more, 3], layer[more]
        through -= added[:, 3]
    return combined, chosen, share
