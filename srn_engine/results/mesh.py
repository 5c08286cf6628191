"""The surface of an instance, coloured and labelled: one way for every kind of scene.

Depth is rendered from all around and fused; every vertex then asks the camera that sees it best for colour and label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.cameras import Camera, rays_of
from srn_engine.errors import UserError
from srn_engine.limits import LARGEST_MESH, SMALLEST_MESH
from srn_engine.model.interfaces import NeuralScene, Rays, Scene
from srn_engine.progress import Progress, Report
from srn_engine.results.fusion import DepthView, Floats, fuse, reach_of, surface
from srn_engine.results.rigs import Stand, around
from srn_engine.train.run import CHUNK, render

VIEWS = 50
MOST_POINTS = 10_000_000
NEAR_BACKGROUND = 0.06  # how far a colour may be from an opaque background's and still belong to it


@dataclass(frozen=True)
class Surface:
    """vertices (V, 3) and outward unit normals (V, 3); triangles (T, 3), counter-clockwise from outside, none for a
    point cloud; colours (V, 3) uint8, sRGB-encoded; labels (V,) uint8 class ids, None where the run has no classes."""

    vertices: Floats
    normals: Floats
    triangles: npt.NDArray[np.int32]
    colours: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8] | None

    @property
    def watertight(self) -> bool:
        """Whether it holds water: every edge belongs to exactly two triangles, which pass it in opposite ways."""
        return is_closed(self.triangles)

    def moved(self, centre: Sequence[float], scale: float) -> "Surface":
        """The same in other units: each point times `scale` plus `centre`."""
        world = self.vertices.astype(np.float64) * scale + np.asarray(centre)
        return replace(self, vertices=world.astype(np.float32))


@torch.no_grad()
def extract(
    scene: Scene, networks: NeuralScene, stand: Stand, resolution: int, points: int | None, report: Report
) -> Surface:
    """The surface of a scene of `networks`, in dataset units, as cameras around it see it; `resolution` points a side.

    With `points`, a cloud of so many points, evenly spread over that surface. UserError where nothing solid is seen.
    """
    if not SMALLEST_MESH <= resolution <= LARGEST_MESH:
        raise UserError(
            f"A mesh needs a resolution of {SMALLEST_MESH} to {LARGEST_MESH} points a side, not {resolution}."
        )
    if points is not None and not 0 < points <= MOST_POINTS:
        raise UserError(f"A point cloud needs 1 to {MOST_POINTS} points, not {points}.")
    views = _look(scene, networks, around(stand.holding_all(), VIEWS, resolution), report)
    report(Progress(0.6, "Fusing"))
    vertices, triangles = surface(fuse(views, resolution))
    if not len(triangles):
        raise UserError("Nothing solid is seen of this instance; train the run for longer.")
    report(Progress(0.9, "Colouring"))
    normals = _vertex_normals(vertices, triangles)
    if points is not None:
        vertices, normals = _spread(vertices, normals, triangles, points)
        triangles = np.empty((0, 3), np.int32)
    colours, labels = _painted(scene, networks, views, vertices, normals, reach_of(resolution))
    return Surface(vertices, normals, triangles, colours, labels)


def is_closed(triangles: npt.NDArray[np.integer]) -> bool:
    """Whether triangles (T, 3) have no border and no edge that more than two share; False without any."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    one_way, other_way = (edges[:, way] @ [1 << 32, 1] for way in ([0, 1], [1, 0]))
    one_way.sort()
    other_way.sort()
    return len(edges) > 0 and bool((np.diff(one_way) > 0).all()) and np.array_equal(one_way, other_way)


def _look(scene: Scene, networks: NeuralScene, cameras: Sequence[Camera], report: Report) -> list[DepthView]:
    device = networks.device
    views = []
    for number, camera in enumerate(cameras):
        report(Progress(0.6 * number / len(cameras), f"View {number + 1} of {len(cameras)}"))
        seen = render(scene, camera, ("colour", "depth", "semantic"), networks)
        solid = _solid(seen["colour"], seen["semantic"], networks)
        views.append(DepthView(camera, torch.from_numpy(seen["depth"]).to(device), torch.from_numpy(solid).to(device)))
    return views


def _solid(colour: Floats, labels: npt.NDArray[np.uint8], networks: NeuralScene) -> Floats:
    """How much of each pixel the instance covers, (H, W), from the passes of a view that holds all of it.

    A scene whose background is opaque is told from it by its labels, and without them by its colour.
    """
    opacity = np.ascontiguousarray(colour[..., 3])
    corners = colour[[0, 0, -1, -1], [0, -1, 0, -1]]
    if corners[:, 3].min() < 0.5:
        return opacity
    if networks.semantic_head is not None:
        return (labels > 0).astype(np.float32)
    background = np.median(corners[:, :3], axis=0)
    solid: Floats = (np.abs(colour[..., :3] - background).max(axis=-1) > NEAR_BACKGROUND).astype(np.float32)
    return solid


def _painted(
    scene: Scene, networks: NeuralScene, views: Sequence[DepthView], vertices: Floats, normals: Floats, reach: float
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Colours (V, 3) and class ids (V,) of points of the surface, each seen along the best ray there is."""
    device = networks.device
    rays = _best_rays(views, torch.from_numpy(vertices).to(device), torch.from_numpy(normals).to(device), reach)
    colours, labels = [], []
    for start in range(0, len(rays), CHUNK):
        rendered = scene.render(rays[slice(start, start + CHUNK)])
        colours.append(rendered.colour / rendered.opacity[:, None].clamp(min=1e-2))
        labels.append(scene.labels(rendered.marched))
    colour = (torch.cat(colours).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return colour, None if networks.semantic_head is None else torch.cat(labels).cpu().numpy()


def _best_rays(views: Sequence[DepthView], points: Tensor, normals: Tensor, reach: float) -> Rays:
    """For each point of a surface the ray from the camera that it faces most among those that see it; a ray onto it
    from just outside where none does."""
    facing = torch.zeros(len(points), device=points.device)
    origins = points + reach * normals
    for view in views:
        place = torch.as_tensor(view.camera.pose[:3, 3], dtype=torch.float32, device=points.device)
        share = (F.normalize(place - points, dim=1) * normals).sum(dim=1)
        better = (share > facing) & (view.distances(points, reach).abs() < reach)
        facing = torch.where(better, share, facing)
        origins[better] = place
    return rays_of(origins, points - origins)


def _vertex_normals(vertices: Floats, triangles: npt.NDArray[np.int32]) -> Floats:
    """The mean of the triangles' normals around each vertex, weighted by their areas."""
    across = _across(vertices, triangles)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    return _unit(normals)


def _spread(vertices: Floats, normals: Floats, triangles: npt.NDArray[np.int32], count: int) -> tuple[Floats, Floats]:
    """Points (count, 3) and their normals (count, 3), drawn from a mesh with equal chance for equal areas."""
    random = np.random.default_rng(0)
    areas = np.linalg.norm(_across(vertices, triangles), axis=1).astype(np.float64)
    drawn = triangles[random.choice(len(triangles), count, p=areas / areas.sum())]
    # Equal chance inside a triangle (Osada et al. 2002, section 4.2).
    root, share = np.sqrt(random.random((count, 1))), random.random((count, 1))
    weights = np.stack([1 - root, root * (1 - share), root * share], axis=1).astype(np.float32)
    return (vertices[drawn] * weights).sum(axis=1), _unit((normals[drawn] * weights).sum(axis=1))


def _across(vertices: Floats, triangles: npt.NDArray[np.int32]) -> Floats:
    """Each triangle's outward normal (T, 3), twice its area long."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    across: Floats = np.cross(b - a, c - a)
    return across


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return unit
