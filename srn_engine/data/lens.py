"""Lens distortion as OpenCV, COLMAP and nerfstudio model it, taken out of pictures when they are read."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from srn_engine.cameras import Intrinsics
from srn_engine.data.images import Bytes
from srn_engine.errors import UserError

_MOST_ZOOM = 2.0  # a lens that needs more is no lens
_STEPS = 64  # places between the principal point and the frame's edge where the distortion is looked at


@dataclass(frozen=True)
class Lens:
    """A distorting lens.

    radial: k1, k2, k3, k4, of the angle to the axis for a `fisheye`, else of the tangent of that angle; tangential:
    p1, p2, not for a fisheye. intrinsics: of the picture as it was taken.
    """

    intrinsics: Intrinsics
    radial: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)
    fisheye: bool = False

    @property
    def distorts(self) -> bool:
        """Whether the picture is other than a pinhole camera's."""
        return self.fisheye or any(self.radial) or any(self.tangential)

    def project(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Pixels (..., 2) where the lens shows the directions (x, y, 1)."""
        radius_2 = x * x + y * y
        if self.fisheye:
            radius = np.sqrt(radius_2)
            angle = np.arctan(radius)
            stretch = angle * self._polynomial(angle**2) / np.maximum(radius, 1e-12)
            stretch = np.where(radius < 1e-9, 1.0, stretch)
            shift_x = shift_y = np.zeros_like(x)
        else:
            p1, p2 = self.tangential
            stretch = self._polynomial(radius_2)
            shift_x = 2 * p1 * x * y + p2 * (radius_2 + 2 * x * x)
            shift_y = 2 * p2 * x * y + p1 * (radius_2 + 2 * y * y)
        size = self.intrinsics
        return np.stack(
            [(x * stretch + shift_x) * size.fl_x + size.cx, (y * stretch + shift_y) * size.fl_y + size.cy], axis=-1
        )

    def pinhole(self) -> Intrinsics:
        """The camera of the undistorted picture: the same size and principal point.

        The same focal lengths too, so that no detail is lost, or as much longer as it takes for the distorted picture
        to fill the whole frame. UserError where no zoom does that: the coefficients belong to another lens.
        """
        return _pinhole(self)

    def undistorted(self, picture: Bytes) -> Bytes:
        """The (H, W, 4) picture, with straight alpha, as the camera `pinhole` sees it; sampled bilinearly."""
        white = float(np.iinfo(picture.dtype).max)
        taken = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
        multiplied = torch.cat([taken[:, :3] * taken[:, 3:] / white, taken[:, 3:]], dim=1)
        sampled = F.grid_sample(multiplied, _places(self), padding_mode="border", align_corners=False)[0]
        opacity = sampled[3:] / white
        rgba = torch.cat([sampled[:3] / opacity.clamp(min=1e-4), sampled[3:]]).clamp(0, white)
        pixels = rgba.round().permute(1, 2, 0).numpy()
        return pixels.astype(np.uint8) if picture.dtype == np.uint8 else pixels.astype(np.uint16)

    def _polynomial(self, square: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        k1, k2, k3, k4 = self.radial
        return 1 + square * (k1 + square * (k2 + square * (k3 + square * k4)))

    def zoomed(self, zoom: float) -> Intrinsics:
        """The intrinsics with focal lengths so many times as long."""
        return replace(self.intrinsics, fl_x=self.intrinsics.fl_x * zoom, fl_y=self.intrinsics.fl_y * zoom)

    def fills(self, zoom: float) -> bool:
        """Whether every direction in the zoomed frame lies in the picture, and none is shown twice on the way there."""
        size = self.zoomed(zoom)
        along_x, along_y = np.linspace(0, size.width, _STEPS), np.linspace(0, size.height, _STEPS)
        edge_x = np.concatenate([along_x, along_x, np.zeros(_STEPS), np.full(_STEPS, size.width)])
        edge_y = np.concatenate([np.zeros(_STEPS), np.full(_STEPS, size.height), along_y, along_y])
        part = np.linspace(0, 1, _STEPS)[:, None]
        pixels = self.project(part * (edge_x - size.cx) / size.fl_x, part * (edge_y - size.cy) / size.fl_y)
        inside = (pixels > -1e-6).all() and (pixels[..., 0] < size.width + 1e-6).all()
        outward = np.diff(np.linalg.norm(pixels - pixels[:1], axis=-1), axis=0) >= 0
        return bool(inside and (pixels[..., 1] < size.height + 1e-6).all() and outward.all())


@lru_cache(maxsize=4)  # all pictures of a capture have one lens, or few
def _places(lens: Lens) -> torch.Tensor:
    """Where each pixel of the undistorted picture lies in the distorted one, (1, H, W, 2) from -1 to 1."""
    size = lens.pinhole()
    directions = size.directions().astype(np.float64).reshape(size.height, size.width, 3)
    pixels = lens.project(directions[..., 0], directions[..., 1])
    return torch.from_numpy((2 * pixels / (size.width, size.height) - 1).astype(np.float32))[None]


@lru_cache(maxsize=64)
def _pinhole(lens: Lens) -> Intrinsics:
    if lens.fills(1.0):
        return lens.intrinsics
    low, high = 1.0, _MOST_ZOOM
    if not lens.fills(high):
        raise UserError("The lens distortion folds the picture over; check k1, k2, k3, k4, p1 and p2.")
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if lens.fills(middle) else (middle, high)
    return lens.zoomed(high)
