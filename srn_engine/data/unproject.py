"""Points of the captured surface: unprojected from depth, and looked for in the other views."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Views

Floats = npt.NDArray[np.float64]
_NEAR = 0.01  # of the depth: how far a point may lie from the surface that another view sees there


@dataclass(frozen=True)
class Sighting:
    """Where P points appear in a view: the `points` (P,) that it sees, by number, and their `pixels` (P, 2)."""

    points: npt.NDArray[np.int64]
    pixels: Floats


@dataclass(frozen=True)
class Surface:
    """P points (P, 3) in dataset units, their 8 bit colours (P, 3), and where each of the views sees them."""

    points: Floats
    colours: npt.NDArray[np.uint8]
    sightings: list[Sighting]


def surface(views: Views, count: int) -> Surface:
    """About `count` points drawn from all views' depth with equal chance for each view, with a fixed seed."""
    random = np.random.default_rng(0)
    each = -(-count // max(len(views), 1))
    points, colours = [np.empty((0, 3))], [np.empty((0, 3), np.uint8)]
    for n, camera in enumerate(views.cameras):
        rgba = views.rgba(n)
        solid = np.flatnonzero((views.depth(n) > 0) & (rgba[..., 3] == np.iinfo(rgba.dtype).max))
        chosen = random.choice(solid, min(each, len(solid)), replace=False)
        points.append(unprojected(camera, views.depth(n))[chosen])
        colours.append((rgba.reshape(-1, 4)[chosen, :3] // (np.iinfo(rgba.dtype).max // 255)).astype(np.uint8))
    all_points = np.concatenate(points)
    return Surface(all_points, np.concatenate(colours), [_seen(views, n, all_points) for n in range(len(views))])


def unprojected(camera: Camera, depth: npt.NDArray[np.float32]) -> Floats:
    """The points (H * W, 3) in dataset units that a view's depth (H, W) along z says, rows first."""
    local = camera.intrinsics.directions().astype(np.float64) * depth.reshape(-1, 1)
    return local @ camera.pose[:3, :3].T + camera.pose[:3, 3]


def projected(camera: Camera, points: Floats) -> tuple[Floats, Floats]:
    """Pixels (P, 2) and depths along z (P,) of points (P, 3); what lies behind the camera has a depth below 0."""
    local = (points - camera.pose[:3, 3]) @ camera.pose[:3, :3]
    size = camera.intrinsics
    z = np.where(np.abs(local[:, 2]) < 1e-9, 1e-9, local[:, 2])
    pixels = local[:, :2] / z[:, None] * (size.fl_x, size.fl_y) + (size.cx, size.cy)
    return pixels, local[:, 2]


def depth_at(camera: Camera, depth: npt.NDArray[np.float32], points: Floats) -> tuple[Floats, Floats, Floats]:
    """Pixels (P, 2), depths (P,) of points, and what the picture's depth (H, W) says there; 0 where it says nothing."""
    pixels, z = projected(camera, points)
    column, row = np.floor(pixels[:, 0]).astype(np.int64), np.floor(pixels[:, 1]).astype(np.int64)
    height, width = depth.shape
    framed = (z > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    said = np.where(framed, depth[row.clip(0, height - 1), column.clip(0, width - 1)], 0.0).astype(np.float64)
    return pixels, z, said


def _seen(views: Views, n: int, points: Floats) -> Sighting:
    pixels, z, said = depth_at(views.cameras[n], views.depth(n), points)
    seen = np.flatnonzero((said > 0) & (np.abs(z - said) < _NEAR * said))
    return Sighting(seen, pixels[seen])
