"""Where the cameras of a capture stand: placed around the object, found in the scene, or read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ...errors import UserError
from ..camera import SENSOR, Camera
from ..settings import FOUND_RIGS, CaptureSettings
from .placed import fit_radius, rig_poses
from .saved import divide, read_saved_poses, require_one_lens
from .scene_cameras import animated_camera, collection_cameras

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rig:
    """camera: the lens and size of all views; its pose is not used. poses: {split: (N, 4, 4)}, camera to world,
    OpenCV axes, dataset units. radius: how far placed cameras stand from the origin, None for those that were found.
    """

    camera: Camera
    poses: dict[str, Array]
    radius: float | None


def plan_rig(scene: bpy.types.Scene, settings: CaptureSettings, centre: Array, scale: float) -> Rig:
    """The rig of an instance with this bounding sphere, in Blender units.

    The longer side of every view has `settings.size` pixels. Raises UserError where a setting does not do, and where
    the cameras to be found are missing or differ in their lenses.
    """
    if settings.rig not in FOUND_RIGS:
        return _place(settings)
    if settings.rig == "saved":
        return _reuse(settings, centre, scale)
    if settings.rig == "cameras":
        cameras, names = collection_cameras(scene, settings.camera_collection)
    else:
        cameras, names = animated_camera(scene)
    lens = require_one_lens(cameras, names).resized(settings.size)
    places = divide(len(cameras), settings.hold_out)
    poses = [camera.normalised(centre, scale).pose for camera in cameras]
    return Rig(lens, {split: _stack([poses[i] for i in chosen]) for split, chosen in places.items()}, None)


@lru_cache(maxsize=4)  # the same for each of many instances; nobody changes the arrays
def _place(settings: CaptureSettings) -> Rig:
    if settings.focal_length <= 0 or settings.distance <= 0 or settings.rings < 1:
        raise UserError("Set Focal Length, Distance and Rings of the rig to more than 0.")
    focal, middle = settings.size * settings.focal_length / SENSOR, settings.size / 2
    camera = Camera(np.eye(4), focal, focal, middle, middle, settings.size, settings.size)
    radius = settings.distance * fit_radius(focal, focal, settings.size, settings.size)
    return Rig(camera, rig_poses(settings, radius), radius)


def _reuse(settings: CaptureSettings, centre: Array, scale: float) -> Rig:
    if not settings.poses_path:
        raise UserError("Choose a dataset.json or a transforms.json under Poses.")
    saved = read_saved_poses(Path(bpy.path.abspath(settings.poses_path)), settings.hold_out)
    if not len(saved.poses["train"]):
        raise UserError(f"Choose another file under Poses: {settings.poses_path} has no view to train with.")
    poses = saved.poses
    if settings.poses_units == "blender":
        poses = {split: these.copy() for split, these in poses.items()}
        for these in poses.values():
            these[:, :3, 3] = (these[:, :3, 3] * saved.scale + saved.centre - centre) / scale
    return Rig(saved.camera.resized(settings.size), poses, None)


def _stack(poses: Sequence[Array]) -> Array:
    return np.array(poses, np.float64).reshape(-1, 4, 4)
