"""A rig beside the instance that it is for: where its cameras stand, and which of them will not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

from ..camera import Camera
from ..geometry import Part, bounding_sphere, measure_parts, shown_geometry
from ..instance import SURFACES, gather_objects
from ..settings import CaptureSettings
from . import Rig, plan_rig

Array = NDArray[np.float64]

# Points of the instance that are looked for in a picture before rays are; enough for all but a close-up.
SAMPLED_POINTS = 512
# Rays on each side of a picture, where no point is in it.
RAYS = 9
# Any directions do, as long as no edge of a usual mesh lies along them.
DIRECTIONS = [Vector(way) for way in ((0.271, 0.613, 0.742), (-0.811, 0.327, 0.485), (0.159, -0.702, -0.694))]
MOST_LAYERS = 1000


@dataclass(frozen=True, eq=False)
class Survey:
    """centre, scale: the instance's bounding sphere in Blender units. inside: the object that a camera stands in, by
    split and number. unseen: the views that show nothing of the instance.
    """

    rig: Rig
    centre: Array
    scale: float
    inside: dict[tuple[str, int], str]
    unseen: list[tuple[str, int]]

    def trouble(self) -> dict[str, set[int]]:
        """The numbers of the views that will not do, by their splits."""
        bad = [*self.inside, *self.unseen]
        return {split: {number for one, number in bad if one == split} for split in self.rig.poses}

    def warnings(self) -> list[str]:
        """A sentence for each thing that is wrong."""
        found = []
        for name in sorted(set(self.inside.values())):
            views = [view for view, within in self.inside.items() if within == name]
            found.append(f"{_listed(views)} inside '{name}': {self._way_out(views)}.")
        if self.unseen:
            where = "where nothing of the object is in view"
            found.append(f"{_listed(self.unseen)} {where}: {self._way_out(self.unseen)}.")
        return found

    def _way_out(self, views: Sequence[tuple[str, int]]) -> str:
        if self.rig.radius is not None:
            return "raise Distance"
        return "move them" if len(views) > 1 else "move it"


def survey_rig(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    objects: Sequence[bpy.types.Object],
    settings: CaptureSettings,
) -> Survey:
    """The rig that a capture of `objects` with their children would have, as `depsgraph` shows them.

    Raises UserError where there is nothing to capture or no such rig.
    """
    members = set(gather_objects(objects))
    parts = measure_parts(depsgraph, members)
    centre, scale = bounding_sphere(parts)
    rig = plan_rig(scene, settings, centre, scale)
    views = [(split, number) for split, poses in rig.poses.items() for number in range(len(poses))]
    cameras = [_in_blender_units(rig, split, number, centre, scale) for split, number in views]
    sample = _sample(parts)
    unseen = {i for i, camera in enumerate(cameras) if not _shows_a_point(camera, sample)}
    inside: dict[int, str] = {}
    trees: dict[tuple[int, int], BVHTree] = {}  # instances of one object share its tree
    eyes = np.array([camera.position for camera in cameras])
    for evaluated, matrix, key in shown_geometry(depsgraph, members, SURFACES):
        if np.linalg.det(matrix) == 0:
            continue
        to_local = np.linalg.inv(matrix).astype(np.float64)
        local = eyes @ to_local[:3, :3].T + to_local[:3, 3]
        box = np.array(evaluated.bound_box)
        within = np.flatnonzero(((local >= box.min(0)) & (local <= box.max(0))).all(1))
        if not (len(within) or unseen):
            continue
        if key not in trees:
            trees[key] = _tree(evaluated)
        tree = trees[key]
        step = 1e-5 * float(np.ptp(box, 0).max())
        inside.update({int(i): evaluated.name for i in within if _is_inside(tree, Vector(local[i]), step)})
        unseen -= {i for i in unseen if _a_ray_hits(tree, to_local, cameras[i])}
    return Survey(rig, centre, scale, {views[i]: inside[i] for i in sorted(inside)}, [views[i] for i in sorted(unseen)])


def _listed(views: Sequence[tuple[str, int]]) -> str:
    """As in "2 cameras (train 3, test 0) stand"."""
    some = ", ".join(f"{split} {number}" for split, number in views[:3]) + (", ..." if len(views) > 3 else "")
    return f"{len(views)} cameras ({some}) stand" if len(views) > 1 else f"A camera ({some}) stands"


def _in_blender_units(rig: Rig, split: str, number: int, centre: Array, scale: float) -> Camera:
    pose = rig.poses[split][number].copy()
    pose[:3, 3] = pose[:3, 3] * scale + centre
    return replace(rig.camera, pose=pose)


def _sample(parts: Sequence[Part]) -> Array:
    share = max(SAMPLED_POINTS // len(parts), 1)
    return np.concatenate([part.points[:: max(len(part.points) // share, 1)] for part in parts])


def _shows_a_point(camera: Camera, points: Array) -> bool:
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, depth = camera.project(points).T
        return bool(((depth > 0) & (x >= 0) & (y >= 0) & (x <= camera.width) & (y <= camera.height)).any())


def _tree(evaluated: Any) -> BVHTree:
    """What a ray can hit of an evaluated object, in its own axes."""
    mesh = evaluated.to_mesh()
    points, corners = [], []
    if mesh is not None:
        mesh.calc_loop_triangles()
        flat = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", flat)
        indices = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", indices)
        points, corners = flat.reshape(-1, 3).tolist(), indices.reshape(-1, 3).tolist()
    evaluated.to_mesh_clear()
    return BVHTree.FromPolygons(points, corners, all_triangles=True)


def _is_inside(tree: BVHTree, point: Vector, step: float) -> bool:
    """Whether most rays from the point leave through an odd number of surfaces."""
    return sum(_crossings(tree, point, way, step) % 2 for way in DIRECTIONS) * 2 > len(DIRECTIONS)


def _crossings(tree: BVHTree, point: Vector, way: Vector, step: float) -> int:
    for count in range(MOST_LAYERS):
        hit = tree.ray_cast(point, way)[0]
        if hit is None:
            return count
        point = hit + way * step
    return MOST_LAYERS


def _a_ray_hits(tree: BVHTree, to_local: Array, camera: Camera) -> bool:
    across, down = np.meshgrid(
        (np.arange(RAYS) + 0.5) / RAYS * camera.width, (np.arange(RAYS) + 0.5) / RAYS * camera.height
    )
    ways = camera.unproject(np.stack([across, down], -1), np.ones(across.shape)).reshape(-1, 3) - camera.position
    eye = Vector((to_local[:3, :3] @ camera.position + to_local[:3, 3]).tolist())
    return any(tree.ray_cast(eye, Vector(way))[0] is not None for way in ways @ to_local[:3, :3].T)
