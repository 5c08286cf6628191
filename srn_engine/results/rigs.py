"""Where cameras stand for pictures that nobody captured: around an instance, on an orbit, or as a file says."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.train.run import Run

Pose = npt.NDArray[np.float64]

MARGIN = 1.05  # how much further away a camera stands than the unit sphere needs in order to fit into the picture
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
MANY_VIEWS = 24  # as many of a dataset's cameras say well enough how it was seen


@dataclass(frozen=True)
class Stand:
    """How cameras look at the unit sphere: from which `distance`, over which field of view (radians), which way is
    `up` (3,) in dataset axes."""

    field_of_view: float = math.radians(40.0)
    distance: float = MARGIN / math.sin(math.radians(20.0))
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def holding_all(self) -> "Stand":
        """The same from the same distance, with the whole unit sphere in the picture; further away where it must be."""
        distance = max(self.distance, 1.2 * MARGIN)
        return replace(self, distance=distance, field_of_view=2 * math.asin(MARGIN / distance))

    def intrinsics(self, size: int) -> Intrinsics:
        """A square picture of `size` pixels a side."""
        focal = size / 2 / math.tan(self.field_of_view / 2)
        middle = size / 2
        return Intrinsics.from_json(
            {"fl_x": focal, "fl_y": focal, "cx": middle, "cy": middle, "width": size, "height": size}
        )


def stand_of(run: Run) -> Stand:
    """How the cameras that `run` was trained with stood, where its dataset is still there.

    A marcher that only ever began its rays at one distance is at its best there.
    """
    try:
        data = open_dataset(run.info.dataset)
        cameras = data.views("train", run.info.instances[0].id).cameras[:MANY_VIEWS]
    except UserError:
        return Stand()
    if not cameras:
        return Stand()
    poses = np.stack([camera.pose for camera in cameras])
    up = -poses[:, :3, 1].mean(axis=0)
    views = [2 * math.atan(max(c.intrinsics.width / c.intrinsics.fl_x, c.intrinsics.height / c.intrinsics.fl_y) / 2)
             for c in cameras]  # fmt: skip
    distances = np.linalg.norm(poses[:, :3, 3], axis=1)
    return Stand(float(np.median(views)), float(np.median(distances)), _upright(up))


def around(stand: Stand, count: int, size: int) -> list[Camera]:
    """`count` cameras at even distances on a sphere (a Fibonacci lattice), looking at its middle."""
    step = np.arange(count)
    height = 1 - (2 * step + 1) / count
    ring = np.sqrt(1 - height**2)
    angle = GOLDEN_ANGLE * step
    places = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)
    return _looking(stand, places, size)


def orbit(stand: Stand, count: int, size: int, elevation: float) -> list[Camera]:
    """`count` cameras on a circle, `elevation` degrees above the instance's middle; UserError where that cannot be."""
    if count < 1 or not -90 <= elevation <= 90:
        raise UserError("An orbit needs one camera or more, at -90 to 90 degrees.")
    angle = 2 * math.pi * np.arange(count) / count
    tilt = math.radians(elevation)
    places = [math.cos(tilt) * np.cos(angle), math.cos(tilt) * np.sin(angle), np.full(count, math.sin(tilt))]
    return _looking(stand, np.stack(places, axis=1), size)


def look_at(place: npt.ArrayLike, target: npt.ArrayLike, up: npt.ArrayLike) -> Pose:
    """Camera to world, OpenCV axes, from `place` to `target`; `up` may not lie along the view."""
    place = np.asarray(place, dtype=np.float64)
    forward = _unit(np.asarray(target, dtype=np.float64) - place)
    right = _unit(np.cross(forward, np.asarray(up, dtype=np.float64)))
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, place], axis=1)
    return pose


def _looking(stand: Stand, places: Pose, size: int) -> list[Camera]:
    """Cameras that look from `places` (n, 3), on the unit sphere with z up, at the middle."""
    turn = _turn_to(np.asarray(stand.up))
    cameras = []
    for place in places:
        # Straight from above or below, any way of holding the camera is as good.
        up = (0.0, 0.0, 1.0) if abs(place[2]) < 0.999 else (0.0, 1.0, 0.0)
        pose = look_at(place * stand.distance, np.zeros(3), up)
        cameras.append(Camera(turn @ pose, stand.intrinsics(size)))
    return cameras


def _upright(up: Pose) -> tuple[float, float, float]:
    """The direction that cameras hold up on average, without the chance that a few random ones bring with them."""
    length = float(np.linalg.norm(up))
    if length < 0.1:
        return Stand().up
    axis = int(np.argmax(np.abs(up)))
    if abs(up[axis]) > math.cos(math.radians(20)) * length:
        up = np.eye(3)[axis] * up[axis]
    x, y, z = _unit(up).tolist()
    return x, y, z


def _turn_to(up: Pose) -> Pose:
    """The rotation (4, 4) that takes the z axis to the unit vector `up`; the identity for z itself."""
    axis = int(np.argmin(np.abs(up))) if abs(up[2]) < 0.999 else 0
    x = _unit(np.eye(3)[axis] - up[axis] * up)
    turn = np.eye(4)
    turn[:3, :3] = np.stack([x, np.cross(up, x), up], axis=1)
    return turn


def _unit(vector: Pose) -> Pose:
    unit: Pose = vector / np.linalg.norm(vector)
    return unit
