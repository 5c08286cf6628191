"""Where the object of a foreign dataset lies: what its unit sphere is made from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from srn_engine.cameras import Camera
from srn_engine.data.dataset import View
from srn_engine.errors import UserError
from srn_engine.model.fast.hull import carve

_LOOKED_AT = 40  # pictures that a hull is carved from
_CELLS = 64
_AROUND = 1.15

Point = npt.NDArray[np.float64]


def sphere_in_sight(cameras: Sequence[Camera], name: str) -> tuple[Point, float]:
    """Centre (3,) and radius of the sphere that the cameras look at, in the units of their poses.

    The centre is the point nearest to all optical axes; the radius that of the largest sphere around it that a camera
    sees whole, the median over cameras, for some may be close-ups. UserError, which calls the dataset `name`, where
    the cameras look at nothing in common.
    """
    if len(cameras) < 2:
        raise UserError(f"{name} has {len(cameras)} train views; an object needs at least two, 50 are a good start.")
    origins = np.stack([camera.pose[:3, 3] for camera in cameras])
    axes = np.stack([camera.pose[:3, 2] for camera in cameras])
    # Each axis pulls sideways only; where all are parallel, the smallest solution stays near the cameras' middle.
    sideways = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    middle = origins.mean(axis=0)
    pull = np.einsum("nij,nj->i", sideways, origins - middle)
    centre = middle + np.linalg.lstsq(sideways.sum(axis=0), pull, rcond=1e-6)[0]
    ahead = np.einsum("ni,ni->n", axes, centre - origins)
    if np.median(ahead) <= 0:
        raise UserError(
            f"The cameras of {name} look away from one another, and this engine learns one object seen from around."
        )
    distances = np.linalg.norm(origins - centre, axis=1)
    return centre, float(np.median(distances * np.sin([_half_angle(camera) for camera in cameras])))


def sphere_of_silhouettes(views: Sequence[View], centre: Point, radius: float) -> tuple[Point, float]:
    """Centre and radius of a sphere around the visual hull of the views; what was given where that is no smaller.

    The hull of few views is larger than the object, and has spikes. It is looked for a little around the given sphere
    as well, so that what sticks out of that is not cut off. The spheres are in the units of the poses.
    """
    chosen = [views[n] for n in np.linspace(0, len(views) - 1, min(len(views), _LOOKED_AT)).astype(int)]
    alphas = [view.colour.read()[..., 3] for view in chosen]
    if any((alpha == np.iinfo(alpha.dtype).max).all() for alpha in alphas):
        return centre, radius
    around = _AROUND * radius
    cameras = [normalised(view.camera, centre, around) for view in chosen]
    opacity = (torch.from_numpy(alpha.astype(np.float32)) / np.iinfo(alpha.dtype).max for alpha in alphas)
    cell = 2 / (_CELLS - 1)
    points = (carve(cameras, opacity, _CELLS).nonzero().double().numpy() + 0.5) * cell - 1
    points = points[np.linalg.norm(points, axis=1) < 1]
    if not len(points):
        return centre, radius
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = around * (float(np.linalg.norm(points - middle, axis=1).max()) + cell)  # to the far corner of a cell
    return (centre + around * middle, reach) if reach < radius else (centre, radius)


def normalised(camera: Camera, centre: Point, scale: float) -> Camera:
    """The camera in units where the sphere of that centre and radius is the unit sphere around the origin."""
    pose = camera.pose.copy()
    pose[:3, 3] = (pose[:3, 3] - centre) / scale
    return Camera(pose, camera.intrinsics)


def _half_angle(camera: Camera) -> float:
    """Half of the narrower field of view around the optical axis, radians."""
    size = camera.intrinsics
    x, y = min(size.cx, size.width - size.cx) / size.fl_x, min(size.cy, size.height - size.cy) / size.fl_y
    return float(np.arctan(max(min(x, y), 1e-3)))
