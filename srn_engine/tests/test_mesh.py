"""Meshes and point clouds: how far they lie from shapes known exactly, and what stands in their files."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from srn_engine.errors import UserError
from srn_engine.model.interfaces import Scene
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.results.fusion import EXTENT
from srn_engine.results.mesh import Surface, extract, is_closed
from srn_engine.results.mesh_files import write_surface
from srn_engine.results.rigs import Stand
from srn_engine.tests.shapes import Balls, Distance, Shape, ball, box

RESOLUTION = 48
CELL = 2 * EXTENT / (RESOLUTION - 1)
NETWORKS = Balls(0.8)


def mesh_of(scene: Scene, points: int | None = None, networks: Balls = NETWORKS) -> Surface:
    return extract(scene, networks, Stand(), RESOLUTION, points, silent)


def as_trimesh(surface: Surface) -> trimesh.Trimesh:
    return trimesh.Trimesh(surface.vertices, surface.triangles, process=False)


@pytest.mark.parametrize(
    ("distance", "error"),
    [
        (ball(0.8), 0.1),
        (box(0.5, 0.4, 0.3), 0.15),
        (box(0.6, 0.4, 0.4 * CELL), 0.2),  # a plate thinner than a cell
        (box(0.6 * CELL, 0.6 * CELL, 0.7), 0.2),  # a rod about as thick as one
    ],
)
def test_a_mesh_is_closed_whole_and_close_to_the_shape(distance: Distance, error: float):
    surface = mesh_of(Shape(distance))
    mesh = as_trimesh(surface)
    assert mesh.is_watertight and mesh.volume > 0, "triangles look outwards"
    assert len(mesh.split()) == 1
    assert distance(torch.from_numpy(surface.vertices)).abs().mean() < error * CELL


def ring(points: torch.Tensor) -> torch.Tensor:
    """A torus around z, by its distance."""
    return torch.stack([points[..., :2].norm(dim=-1) - 0.6, points[..., 2]], dim=-1).norm(dim=-1) - 0.2


def test_a_ring_is_watertight_and_keeps_its_hole():
    surface = mesh_of(Shape(ring))
    assert surface.watertight and as_trimesh(surface).euler_number == 0
    assert ring(torch.from_numpy(surface.vertices)).abs().mean() < 0.1 * CELL


def test_what_is_not_closed_is_not_watertight():
    closed = mesh_of(Shape(ball(0.8))).triangles
    assert is_closed(closed)
    assert not is_closed(closed[1:]), "a hole"
    assert not is_closed(np.concatenate([closed, closed[:1]])), "a triangle twice"
    assert not is_closed(np.concatenate([closed[:1, ::-1], closed[1:]])), "one that looks inwards"
    assert not is_closed(closed[:0])


def test_every_vertex_has_the_colour_normal_and_label_of_its_place():
    surface = mesh_of(Shape(ball(0.8)))
    expected = (surface.vertices * 0.5 + 0.5) * 255
    assert np.abs(surface.colours - expected).max() < 0.1 * 255
    assert np.abs(surface.colours - expected).mean() < 2
    facing = (surface.normals * surface.vertices).sum(axis=1) / np.linalg.norm(surface.vertices, axis=1)
    assert facing.min() > 0.95
    assert surface.labels is not None
    certain = np.abs(surface.vertices[:, 0]) > CELL / 2
    assert (surface.labels == np.where(surface.vertices[:, 0] > 0, 1, 2))[certain].all()


def test_a_hollow_that_no_camera_sees_into_is_coloured_from_outside():
    """Deep in a narrow slit the rays begin just before the surface; the colour is still that of the place."""

    def slit(points: torch.Tensor) -> torch.Tensor:
        return torch.maximum(box(0.6, 0.6, 0.6)(points), -box(0.05, 0.7, 0.5)(points - torch.tensor([0, 0, 0.3])))

    surface = mesh_of(Shape(slit))
    expected = (surface.vertices * 0.5 + 0.5) * 255
    assert np.abs(surface.colours - expected).mean() < 4


@pytest.mark.parametrize("classes", [1, 3])
def test_an_opaque_background_is_no_part_of_the_mesh(classes: int):
    """Told by its label where there are labels, else by its colour."""
    surface = mesh_of(Shape(ball(0.6), opaque=True), networks=Balls(0.6, classes=classes))
    assert (surface.labels is None) == (classes == 1)
    distance = ball(0.6)(torch.from_numpy(surface.vertices))
    assert distance.abs().mean() < 0.2 * CELL and distance.abs().max() < CELL


def test_a_point_cloud_lies_evenly_on_the_surface():
    cloud = mesh_of(Shape(ball(0.8)), points=4000)
    assert cloud.vertices.shape == (4000, 3) and len(cloud.triangles) == 0
    assert abs(np.linalg.norm(cloud.vertices, axis=1) - 0.8).max() < CELL
    assert abs(cloud.vertices.mean(axis=0)).max() < 0.03
    in_octants = np.bincount((cloud.vertices > 0) @ [1, 2, 4], minlength=8)
    assert in_octants.min() > 400 and in_octants.max() < 600


def test_world_units_come_from_the_instance():
    surface = mesh_of(Shape(ball(0.8)))
    moved = surface.moved((10, -20, 30), 5.0)
    np.testing.assert_allclose(moved.vertices, surface.vertices * 5 + np.array([10, -20, 30]), atol=1e-4)
    assert np.array_equal(moved.normals, surface.normals)


def test_files_hold_what_was_found(tmp_path: Path):
    surface = mesh_of(Shape(box(0.5, 0.3, 0.7)))
    write_surface(tmp_path / "it.ply", surface)
    header, data = (tmp_path / "it.ply").read_bytes().split(b"end_header\n", 1)
    assert b"property uchar label" in header and b"property float nx" in header and b"property uchar red" in header
    row = np.dtype([("place", "<f4", 3), ("normal", "<f4", 3), ("rgba", "u1", 4), ("label", "u1")])
    vertices = np.frombuffer(data, row, len(surface.vertices))
    np.testing.assert_array_equal(vertices["place"], surface.vertices)
    np.testing.assert_array_equal(vertices["normal"], surface.normals)
    np.testing.assert_array_equal(vertices["rgba"][:, :3], surface.colours)
    np.testing.assert_array_equal(vertices["label"], surface.labels)

    turned = np.stack([surface.vertices[:, 0], surface.vertices[:, 2], -surface.vertices[:, 1]], axis=1)
    write_surface(tmp_path / "it.obj", surface)
    loaded = trimesh.load(tmp_path / "it.obj", force="mesh", process=False)
    np.testing.assert_allclose(loaded.vertices, turned, atol=1e-6)
    np.testing.assert_array_equal(loaded.visual.vertex_colors[:, :3], surface.colours)
    assert loaded.is_watertight and loaded.volume > 0

    write_surface(tmp_path / "it.glb", surface)
    loaded = trimesh.load(tmp_path / "it.glb", force="mesh", process=False)
    np.testing.assert_allclose(loaded.vertices, turned, atol=1e-6)
    np.testing.assert_array_equal(loaded.vertex_attributes["_LABEL"].ravel(), surface.labels)
    # Its standard's colours are linear: sRGB's middle grey is about a fifth of the light.
    bright, linear = surface.colours / 255, loaded.visual.vertex_colors[:, :3] / 255
    np.testing.assert_allclose(linear, np.where(bright < 0.04045, bright / 12.92, ((bright + 0.055) / 1.055) ** 2.4),
                               atol=1 / 255)  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.glb", "it.obj", "it.ply"]


@pytest.mark.parametrize(
    ("name", "points", "words"),
    [("it.stl", None, "must end in"), ("it.glb", 100, "as .ply"), ("file/it.ply", None, "choose another folder")],
)
def test_a_file_that_cannot_be_written_gets_a_sentence(tmp_path: Path, name: str, points: int | None, words: str):
    (tmp_path / "file").touch()
    surface = mesh_of(Shape(ball(0.8)), points)
    with pytest.raises(UserError, match=words):
        write_surface(tmp_path / name, surface)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("resolution", "points", "words"),
    [(8, None, "resolution"), (4096, None, "resolution"), (32, 0, "points")],
)
def test_impossible_sizes_get_a_sentence(resolution: int, points: int | None, words: str):
    with pytest.raises(UserError, match=words):
        extract(Shape(ball(0.8)), NETWORKS, Stand(), resolution, points, silent)


def test_nothing_to_mesh_gets_a_sentence():
    with pytest.raises(UserError, match="Nothing solid"):
        mesh_of(Shape(ball(-1.0)))


def test_meshing_can_be_stopped():
    def stop(progress: Progress) -> None:
        if progress.fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        extract(Shape(ball(0.8)), NETWORKS, Stand(), RESOLUTION, None, stop)
