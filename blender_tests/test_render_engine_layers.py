"""Instances laid over each other by depth: numbers in, numbers out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from srn_blender.capture.camera import Camera
from srn_blender.results.images import MISS
from srn_blender.results.layers import Layer, composite, to_linear

TURNED = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # a quarter turn about z


def layer(
    colour: tuple[float, ...], depth: float, size: tuple[int, int] = (4, 6), place: tuple[int, int] = (0, 0), **how: Any
) -> Layer:
    """A picture of one colour (sRGB, alpha) at one depth; size: height and width, place: left and top."""
    pose = np.eye(4)
    pose[2, 3] = -5.0
    height, width = size
    camera = Camera(pose, 10.0, 10.0, width / 2, height / 2, width, height)
    arrays = {
        "colour": np.full((*size, 4), colour, np.float32),
        "depth": np.full(size, depth, np.float32),
        "normal": np.full((*size, 3), how.pop("normal", (1.0, 0.0, 0.0)), np.float32),
        "semantic": np.full(size, how.pop("label", 1), np.uint8),
    }
    return Layer(arrays, camera, *place, **{"scale": 1.0, "rotation": np.eye(3)} | how)


RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def test_one_layer_comes_back_in_blenders_terms() -> None:
    one = layer((0.5, 0.25, 1.0, 0.5), 3.0, scale=2.0, rotation=TURNED, label=7)
    picture = composite([one], 6, 4)
    np.testing.assert_allclose(picture.combined[0, 0], [0.21404 / 2, 0.05088 / 2, 0.5, 0.5], atol=1e-5)
    assert picture.depth[0, 0] == 6.0 and picture.semantic[0, 0] == 7.0
    np.testing.assert_allclose(picture.normal[0, 0], [0.0, 1.0, 0.0], atol=1e-6)
    assert {array.dtype for array in vars(picture).values()} == {np.dtype(np.float32)}


def test_the_nearer_one_lies_in_front_whatever_the_order() -> None:
    near, far = layer((*RED, 0.25), 2.0, label=1), layer((*GREEN, 0.5), 3.0, label=2, normal=(0.0, 0.0, 1.0))
    for layers in ([near, far], [far, near]):
        picture = composite(layers, 6, 4)
        np.testing.assert_allclose(picture.combined[2, 3], [0.25, 0.75 * 0.5, 0.0, 0.25 + 0.75 * 0.5], atol=1e-6)
        assert (picture.depth == 3.0).all() and (picture.semantic == 2.0).all(), "of what adds most"
        np.testing.assert_allclose(picture.normal[2, 3], [0.0, 0.0, 1.0])
    opaque = composite([far, layer((*RED, 1.0), 2.0)], 6, 4)
    assert (opaque.combined == [*RED, 1.0]).all() and (opaque.depth == 2.0).all() and (opaque.semantic == 1).all()


def test_each_pixel_is_sorted_on_its_own_and_by_scaled_depth() -> None:
    one, other = layer((*RED, 1.0), 2.0), layer((*GREEN, 1.0), 1.5, scale=2.0)
    one.arrays["depth"][:, :3] = 4.0  # type: ignore[index]
    picture = composite([one, other], 6, 4)
    assert (picture.combined[:, :3] == [*GREEN, 1.0]).all() and (picture.combined[:, 3:] == [*RED, 1.0]).all()
    assert (picture.depth[:, :3] == 3.0).all() and (picture.depth[:, 3:] == 2.0).all()


def test_three_layers_over_each_other() -> None:
    layers = [layer((*BLUE, 1.0), 9.0, label=3), layer((*RED, 0.5), 1.0, label=1), layer((*GREEN, 0.5), 2.0, label=2)]
    picture = composite(layers, 6, 4)
    np.testing.assert_allclose(picture.combined[0, 0], [0.5, 0.25, 0.25, 1.0], atol=1e-6)
    assert (picture.semantic == 1.0).all()


def test_layers_are_put_in_their_place_the_top_row_last() -> None:
    picture = composite(
        [layer((*RED, 1.0), 2.0, (100, 3), (2, 70)), layer((*GREEN, 1.0), 1.0, (2, 2), (4, 70))], 8, 200
    )
    from_top = picture.combined[::-1]
    assert (from_top[70:72, 4:6] == [*GREEN, 1.0]).all()
    assert (from_top[72:170, 2:5] == [*RED, 1.0]).all() and (from_top[70:72, 2:4] == [*RED, 1.0]).all()
    assert from_top[..., 3].sum() == 4 + 300 - 2
    assert (picture.depth[::-1][:70] == np.float32(MISS)).all() and (
        picture.depth[::-1][170:] == np.float32(MISS)
    ).all()


def test_an_edge_without_a_depth_lies_where_the_ray_is_nearest_to_the_centre() -> None:
    edge = layer((*RED, 0.4), 0.0, scale=2.0)  # the camera is 5 dataset units, 10 Blender units from the centre
    depth = composite([edge], 6, 4).depth[::-1]
    for row, column in ((1, 2), (0, 5)):
        ray = np.array([(column + 0.5 - 3) / 10, (row + 0.5 - 2) / 10, 1.0])
        assert depth[row, column] == pytest.approx(2 * 5 * ray[2] / (ray @ ray), rel=1e-5)
    for wall, expected in ((12.0, [0.4, 0.6, 0.0, 1.0]), (7.0, [0.0, 1.0, 0.0, 1.0])):
        picture = composite([edge, layer((*GREEN, 1.0), wall)], 6, 4)
        np.testing.assert_allclose(picture.combined[2, 3], expected, atol=1e-6)


def test_a_haze_has_no_depth_and_no_class() -> None:
    picture = composite([layer((*RED, 0.02), 0.0)], 6, 4)
    assert (picture.depth == np.float32(MISS)).all() and not picture.semantic.any() and not picture.normal.any()
    np.testing.assert_allclose(picture.combined[0, 0], [0.02, 0.0, 0.0, 0.02], atol=1e-6)


def test_passes_that_were_not_asked_for_are_empty() -> None:
    one = layer((*RED, 1.0), 2.0)
    bare = Layer({name: one.arrays[name] for name in ("colour", "depth")}, one.camera, 0, 0, 1.0, np.eye(3))
    picture = composite([bare], 6, 4)
    assert not picture.normal.any() and not picture.semantic.any() and (picture.depth == 2.0).all()
    assert not composite([], 6, 4).combined.any()


def test_laid_over_a_colour_and_in_other_primaries() -> None:
    picture = composite([layer((*RED, 0.25), 2.0)], 6, 4)
    picture.fill_behind((0.0, 0.5, 2.0))
    np.testing.assert_allclose(picture.combined[0, 0], [0.25, 0.375, 1.5, 1.0])
    picture.change_primaries([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(picture.combined[0, 0], [0.375, 0.25, 1.5, 1.0])


def test_colours_come_back_through_the_standard_view() -> None:
    values = np.arange(256, dtype=np.float32) / 255
    linear = to_linear(values)
    back = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(back, values, atol=1e-4)
