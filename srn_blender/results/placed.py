"""Instances placed in a scene: empties that say which run and which of its instances stand in their place.

The empty's origin is the instance's centre, its rotation and scale those of the instance beyond how it was captured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..capture.camera import MAX_SHEAR, Camera
from ..errors import UserError
from .placed_run import PlacedRun, placed_run
from .view import stamp_of

# Half the side of the cube around a centre, in dataset units, that holds all that an instance shows: its object lies in
# the unit sphere, and networks learn nothing outside the cube around that.
REACH = 1.0
NEAR = 1e-3  # dataset units: what is nearer to the camera's plane has no place in its picture


@dataclass(frozen=True, eq=False)
class Placed:
    """An instance in its place, or a mix of several.

    name: of the empty. weights: by the instances' ids, all above 0. scale: Blender units per dataset unit.
    rotation: (3, 3), from the axes of the dataset to those of the world. centre: (3,) in the world. stamp: of the state
    of the run's networks.
    """

    name: str
    run: PlacedRun
    weights: Mapping[str, float]
    scale: float
    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]
    stamp: str

    @property
    def signature(self) -> tuple[object, ...]:
        """What tells one picture of it from another, but for the camera."""
        place = (self.scale, *self.rotation.ravel().tolist(), *self.centre.tolist())
        return self.run.folder, self.stamp, tuple(self.weights.items()), place

    def seen_by(self, camera: Camera) -> Camera:
        """The same camera in dataset units, from one in Blender units."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation.T @ camera.pose[:3, :3]
        pose[:3, 3] = self.rotation.T @ (camera.position - self.centre) / self.scale
        return replace(camera, pose=pose)

    def which(self) -> dict[str, Any]:
        """The parameters of a `render` job that choose it."""
        if len(self.weights) == 1:
            return {"instance": next(iter(self.weights))}
        return {"mix": dict(self.weights)}


def is_placed(candidate: bpy.types.Object) -> bool:
    """Whether an object stands for an instance."""
    return candidate.type == "EMPTY" and bool(_settings(candidate).run_path)


def placed_in(depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D | None = None) -> list[Placed]:
    """The instances that the evaluated scene shows, those of collections that are placed themselves among them.

    space: a 3D view, which may hide some of them. UserError where one cannot be shown as it is placed.
    """
    found = []
    for shown in depsgraph.object_instances:
        candidate: Any = shown.object
        if candidate.type != "EMPTY" or not is_placed(candidate):
            continue
        if space is None or candidate.visible_in_viewport_get(space):
            one = _placed(candidate, np.array(shown.matrix_world, np.float64))
            if one is not None:
                found.append(one)
    return found


def region_of(camera: Camera) -> tuple[int, int, int, int]:
    """Left, top, width and height of the part of a picture that can show an instance, in pixels; 0 wide where none.

    camera: in dataset units.
    """
    corners = np.stack(np.meshgrid(*[(-REACH, REACH)] * 3), -1).reshape(-1, 3)
    projected = camera.project(corners)
    if (projected[:, 2] < NEAR).all():
        return 0, 0, 0, 0
    if (projected[:, 2] < NEAR).any():  # the camera is beside it, or in it
        return 0, 0, camera.width, camera.height
    left, top = np.clip(np.floor(projected[:, :2].min(0)), 0, (camera.width, camera.height)).astype(int)
    right, bottom = np.clip(np.ceil(projected[:, :2].max(0)), 0, (camera.width, camera.height)).astype(int)
    return (
        (int(left), int(top), int(right - left), int(bottom - top)) if right > left and bottom > top else (0, 0, 0, 0)
    )


def folder_of_instance(candidate: bpy.types.Object) -> Path:
    """The folder of the run that an empty names; // is the folder of the file that the empty is saved in."""
    path, original = str(_settings(candidate).run_path), candidate.original
    library = original.library if original is not None else None
    if path.startswith("//") and not (library or bpy.data.filepath):
        raise UserError(f"Save the file first, or choose an absolute folder as the run of '{candidate.name}'.")
    return Path(bpy.path.abspath(path, library=library)).expanduser()


def _settings(candidate: Any) -> Any:
    return candidate.srn


def _placed(candidate: Any, matrix: NDArray[np.float64]) -> Placed | None:
    """What an empty shows; None where it is scaled to nothing."""
    rotation, scale = _rigid(candidate.name, matrix)
    if scale == 0.0:
        return None
    run = placed_run(folder_of_instance(candidate))
    weights = dict(_weights(candidate, run))
    total = sum(weights.values())
    own_scale = sum(weight * run.scales[name] for name, weight in weights.items()) / total
    return Placed(candidate.name, run, weights, scale * own_scale, rotation, matrix[:3, 3], stamp_of(run.folder))


def _weights(candidate: Any, run: PlacedRun) -> Iterator[tuple[str, float]]:
    """The instances that an empty mixes, each once, with their weights."""
    settings = _settings(candidate)
    first = settings.instance or next(iter(run.sources))
    blend = settings.blend if settings.second else 0.0
    shares = [(first, 1.0 - blend), (settings.second, blend), *((one.instance, one.weight) for one in settings.further)]
    summed: dict[str, float] = {}
    for name, weight in shares:
        if weight > 0.0:
            if name not in run.sources:
                raise UserError(
                    f"Choose another instance for '{candidate.name}': {run.folder} holds none named '{name}'."
                )
            summed[name] = summed.get(name, 0.0) + weight
    yield from summed.items()


def _rigid(name: str, matrix: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """The rotation and the scale of a placed empty."""
    axes = np.asarray(matrix, np.float64)[:3, :3]
    volume = np.linalg.det(axes)
    scale = math.copysign(abs(volume) ** (1 / 3), volume)
    if not axes.any() or abs(scale) < 1e-9 * np.abs(axes).max():
        return np.eye(3), 0.0
    rotation = axes / scale
    if scale < 0 or np.abs(rotation.T @ rotation - np.eye(3)).max() > MAX_SHEAR:
        raise UserError(
            f"Give '{name}' the same scale on all axes, above 0: an instance cannot be stretched or mirrored."
        )
    return rotation, scale
