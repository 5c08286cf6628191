"""Distortion: what the models compute, held against COLMAP's own code, and pictures with it taken out."""

import numpy as np
import pytest

from srn_engine.cameras import Intrinsics
from srn_engine.data.lens import Lens
from srn_engine.errors import UserError

SIZE = Intrinsics(fl_x=70, fl_y=72, cx=49, cy=41, width=100, height=80)
BARREL = Lens(SIZE, (-0.2, 0.05, 0.0, 0.0), (0.003, -0.002))
PINCUSHION = Lens(SIZE, (0.15, 0.02, 0.0, 0.0), (0.001, 0.002))
FISHEYE = Lens(SIZE, (0.05, -0.01, 0.002, -0.0005), fisheye=True)
LENSES = pytest.mark.parametrize("lens", [BARREL, PINCUSHION, FISHEYE], ids=["barrel", "pincushion", "fisheye"])


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture of the directions (x, y, 1), 8 bit RGBA, transparent on the left."""
    colour = [0.5 + 0.4 * np.sin(4 * x) * np.cos(3 * y), 0.5 + 0.4 * np.cos(5 * x + y), np.full_like(x, 0.3)]
    return (np.stack([*colour, 1 / (1 + np.exp(-20 * (x + 0.3)))], -1) * 255).round().astype(np.uint8)


def directions_of(lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """The directions that the lens shows at each of its pixels, found by iteration."""
    size = lens.intrinsics
    column, row = np.meshgrid(np.arange(size.width) + 0.5, np.arange(size.height) + 0.5)
    x, y = (column - size.cx) / size.fl_x, (row - size.cy) / size.fl_y
    for _ in range(200):
        pixels = lens.project(x, y)
        x, y = x - 0.5 * (pixels[..., 0] - column) / size.fl_x, y - 0.5 * (pixels[..., 1] - row) / size.fl_y
    np.testing.assert_allclose(lens.project(x, y), np.stack([column, row], -1), atol=1e-6)
    return x, y


@LENSES
def test_an_undistorted_picture_is_a_pinhole_cameras(lens: Lens):
    seen = lens.undistorted(pattern(*directions_of(lens)))
    size = lens.pinhole()
    x, y, _ = size.directions().reshape(size.height, size.width, 3).transpose(2, 0, 1)
    truth = pattern(x, y)
    solid = truth[..., 3] > 40
    assert np.abs(seen[solid].astype(int) - truth[solid]).max() <= 3
    assert np.abs(seen[..., 3].astype(int) - truth[..., 3]).max() <= 4


@LENSES
def test_the_undistorted_frame_is_full(lens: Lens):
    size = lens.pinhole()
    assert (size.width, size.height, size.cx, size.cy) == (SIZE.width, SIZE.height, SIZE.cx, SIZE.cy)
    assert size.fl_x / SIZE.fl_x == pytest.approx(size.fl_y / SIZE.fl_y) and size.fl_x >= SIZE.fl_x
    x, y, _ = size.directions().reshape(-1, 3).T
    pixels = lens.project(x, y)
    assert pixels.min() >= 0 and (pixels <= (SIZE.width, SIZE.height)).all()


def test_detail_is_kept_where_the_lens_allows():
    assert BARREL.pinhole() == SIZE, "a barrel reaches beyond the frame already"
    assert SIZE.fl_x < PINCUSHION.pinhole().fl_x < 1.2 * SIZE.fl_x
    assert not Lens(SIZE).distorts and Lens(SIZE, fisheye=True).distorts


def test_16_bit_stay_16_bit():
    picture = np.random.default_rng(0).integers(0, 65536, (80, 100, 4)).astype(np.uint16)
    picture[..., 3] = 65535
    np.testing.assert_allclose(Lens(SIZE).undistorted(picture), picture, atol=1)


def test_a_lens_that_folds_the_picture_gets_a_sentence():
    with pytest.raises(UserError, match="folds the picture over"):
        Lens(SIZE, (-8.0, 0.0, 0.0, 0.0)).pinhole()


@pytest.mark.parametrize(
    ("model", "parameters", "lens"),
    [
        ("OPENCV", (70, 72, 49, 41, -0.2, 0.05, 0.003, -0.002), BARREL),
        ("OPENCV_FISHEYE", (70, 72, 49, 41, 0.05, -0.01, 0.002, -0.0005), FISHEYE),
        ("FULL_OPENCV", (70, 72, 49, 41, 0.1, 0.02, 0.0, 0.0, -0.03, 0, 0, 0), Lens(SIZE, (0.1, 0.02, -0.03, 0.0))),
    ],
)
def test_pixels_are_those_of_colmap(model: str, parameters: tuple[float, ...], lens: Lens):
    pycolmap = pytest.importorskip("pycolmap")
    camera = pycolmap.Camera(model=model, width=100, height=80, params=parameters)
    plane = np.random.default_rng(0).uniform(-0.6, 0.6, (200, 2))
    theirs = camera.img_from_cam(np.concatenate([plane, np.ones((200, 1))], axis=1))
    np.testing.assert_allclose(lens.project(*plane.T), theirs, atol=1e-9)
