"""Colour by each engine, and passes beside it whose edges do not bleed."""

from __future__ import annotations

import json
import os

import bpy
import numpy as np
import pytest

from blender_tests.scenes import add_ball, add_plane, emission, pixel_rays, read_view, small_settings, start_capture

# Without a graphics card EEVEE needs minutes to make ready.
PATIENT = pytest.mark.skipif(not os.environ.get("SRN_TEST_EEVEE"), reason="set SRN_TEST_EEVEE to wait for EEVEE")
ENGINES = ["cycles", pytest.param("eevee", marks=PATIENT), "workbench"]


def discs(scene):
    """A disc in front of a plane, far enough that their depths, normals and classes have nothing between them."""
    plane = add_plane(scene, 1.0, materials=[emission("Back", (0.0, 0.0, 0.8))])
    ball = add_ball(scene, 0.4, (0, 0, 0.5), materials=[emission("Front", (0.8, 0.0, 0.0))], segments=64)
    return [plane, ball]


def expected(camera, scale, centre):
    """Depth and class of the ray through each pixel's middle: a ball of 0.4 over a square, in dataset units."""
    rays, eye = pixel_rays(camera), camera.position
    middle = (np.array([0, 0, 0.5]) - centre) / scale
    to_eye, length = eye - middle, (rays**2).sum(-1)
    along = rays @ to_eye
    inside = along**2 - length * (to_eye @ to_eye - (0.4 / scale) ** 2)
    ball = np.where(inside > 0, (-along - np.sqrt(np.maximum(inside, 0))) / length, np.inf)
    with np.errstate(divide="ignore"):
        plane = (-centre[2] / scale - eye[2]) / rays[..., 2]
    point = eye + rays * plane[..., None] - np.array([0, 0, -centre[2]]) / scale
    plane = np.where((plane > 0) & (np.abs(point[..., :2]) * scale < 1).all(-1), plane, np.inf)
    nearest = np.minimum(ball, plane)
    return np.where(np.isfinite(nearest), nearest, 0), np.where(ball < plane, 2, np.isfinite(plane)), inside


@pytest.mark.parametrize("engine", ENGINES)
def test_no_pass_bleeds_over_an_edge(tmp_path, engine):
    scene = bpy.context.scene
    scene.display.shading.light, scene.display.shading.color_type = "FLAT", "MATERIAL"
    objects = discs(scene)
    for one, colour in zip(objects, ((0, 0, 0.8, 1), (0.8, 0, 0, 1)), strict=True):
        one.data.materials[0].diffuse_color = colour
    settings = small_settings(
        tmp_path, engine=engine, size=24, train_views=1, val_views=0, test_views=0, rig="hemisphere", samples=2
    )
    list(start_capture(objects, settings))
    instance = json.loads((tmp_path / "dataset.json").read_text("utf-8"))["instances"][0]
    camera, view = read_view(tmp_path, "train", 0)
    depth, label, _ = expected(camera, instance["scale"], np.array(instance["centre"]))
    # Where the ray passes an edge within a hundredth of a pixel either side is right: at most a pixel or two.
    wrong = (view["semantic"] != label) | (np.abs(view["depth"] - depth) > 0.01)
    assert wrong.mean() < 0.005, f"{wrong.sum()} pixels"
    assert (view["semantic"] == 2).sum() > 20 and (view["semantic"] == 1).sum() > 50
    flat = view["normal"][view["semantic"] == 1]
    assert np.abs(np.abs(flat[:, 2]) - 1).max() < 1e-3, "no normal of the plane is mixed with the ball's"
    colour, alpha = view["rgba"][..., :3], view["rgba"][..., 3]
    inner = (alpha > 250) & (view["semantic"] == 2)
    assert inner.sum() > 10 and (colour[inner].argmax(-1) == 0).mean() > 0.8, "red where the ball is"
    assert alpha[0, 0] == 0 and alpha[12, 12] > 250, "Workbench is one short of opaque where it smooths edges"


def test_only_the_passes_that_were_chosen_are_captured(tmp_path):
    ball = add_ball(bpy.context.scene, segments=16)
    for passes, labels in (((), "none"), (("normal",), "none"), (("depth",), "object"), (("rgba",), "none")):
        root = tmp_path / "-".join(("set", *passes, labels))
        last = list(
            start_capture(
                [ball],
                small_settings(root, passes=passes, labels=labels, size=16, train_views=2, val_views=0, test_views=0),
            )
        )[-1]
        manifest = json.loads((root / "dataset.json").read_text("utf-8"))
        wanted = ["rgb", *passes, *(["semantic"] if labels != "none" else [])]
        assert manifest["passes"] == wanted
        folder = root / "capture_train/thing"
        assert sorted(path.name for path in folder.iterdir()) == sorted(["intrinsics.txt", "pose", *wanted])
        assert (last.check is not None) == ("depth" in passes)
        frame = json.loads((root / "transforms_train.json").read_text("utf-8"))["frames"][0]
        assert (root / f"{frame['file_path']}.png").is_file()


@pytest.mark.parametrize(("engine", "denoised"), [("workbench", {False}), ("cycles", {True})])
def test_only_colour_of_cycles_is_denoised(tmp_path, engine, denoised):
    """Builds without a denoiser cannot render with one asked for; where there is one, it lives on between views."""
    scene = bpy.context.scene
    scene.cycles.use_denoising = True
    rendered = []
    note = lambda stage, _: rendered.append((stage.render.engine, stage.cycles.use_denoising))  # noqa: E731
    bpy.app.handlers.render_pre.append(note)
    try:
        settings = small_settings(tmp_path, engine=engine, train_views=1, val_views=0, test_views=0)
        list(start_capture([add_ball(scene, segments=16)], settings))
    finally:
        bpy.app.handlers.render_pre.remove(note)
    assert {use for renderer, use in rendered if renderer == "CYCLES"} == denoised and len(rendered) == 2
