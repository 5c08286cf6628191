"""Placing instances: the operator, what an empty reads of its run, and where an instance can be seen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.scenes import add_camera
from srn_blender.capture.camera import Camera, camera_from_blender
from srn_blender.errors import UserError
from srn_blender.results.placed import placed_in, region_of
from srn_blender.results.placed_run import placed_run
from srn_blender.results.placed_view import parts
from srn_blender.results.viewport_pace import BUDGETS, LEAST, Pace
from srn_blender.ui import train_watch
from srn_blender.ui.placed_panel import problem_of

INSTANCES = [
    {"id": "chair", "source": "Chair", "centre": [1.0, 2.0, 3.0], "scale": 2.0},
    {"id": "stool", "source": "Stool", "centre": [0.0, 0.0, 0.5], "scale": 0.5},
]
DESCRIBED = {
    "format": "srn-run",
    "version": 2,
    "preset": {"kind": "fast-many"},
    "instances": INSTANCES,
    "classes": [{"name": "background", "colour": [0, 0, 0]}],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run.json").write_text(json.dumps(DESCRIBED), encoding="utf-8")
    return tmp_path


@pytest.fixture
def scene(run: Path) -> Iterator[Any]:
    srn_blender.register()
    scene: Any = bpy.context.scene
    scene.srn.run_path = str(run)
    yield scene
    srn_blender.unregister()


def placed(scene: Any) -> list[Any]:
    bpy.context.view_layer.update()
    return placed_in(bpy.context.evaluated_depsgraph_get())


def test_an_instance_is_placed_where_it_was_captured(scene: Any) -> None:
    assert bpy.ops.srn.place_instance() == {"FINISHED"}
    empty = bpy.context.object
    assert empty.name == "Chair SRN" and empty.select_get() and empty.type == "EMPTY"
    assert tuple(empty.location) == (1.0, 2.0, 3.0) and tuple(empty.scale) == (1.0, 1.0, 1.0)
    assert (empty.empty_display_type, empty.empty_display_size) == ("SPHERE", 2.0)
    bpy.ops.srn.place_instance(instance="stool")
    assert (bpy.context.object.srn.instance, bpy.context.object.empty_display_size) == ("stool", 0.5)
    chair, stool = placed(scene)
    assert (dict(chair.weights), chair.scale, dict(stool.weights), stool.scale) == (
        {"chair": 1.0},
        2.0,
        {"stool": 1.0},
        0.5,
    )
    with pytest.raises(RuntimeError, match="none named 'table'"):
        bpy.ops.srn.place_instance(instance="table")
    scene.srn.run_path = "/nowhere"
    with pytest.raises(RuntimeError, match="Train first"):
        bpy.ops.srn.place_instance()


def test_the_selected_object_says_which_instance(scene: Any) -> None:
    stool = bpy.data.objects.new("Stool", bpy.data.meshes.new("Stool"))
    scene.collection.objects.link(stool)
    stool.select_set(True)
    bpy.context.view_layer.objects.active = stool
    bpy.ops.srn.place_instance()
    assert bpy.context.object.srn.instance == "stool"


def test_shares_of_a_mix(scene: Any) -> None:
    bpy.ops.srn.place_instance()
    settings = bpy.context.object.srn
    settings.second, settings.blend = "stool", 0.25
    (one,) = placed(scene)
    assert dict(one.weights) == {"chair": 0.75, "stool": 0.25} and one.scale == pytest.approx(0.75 * 2 + 0.25 * 0.5)
    assert bpy.ops.srn.share_add() == {"FINISHED"}
    settings.further[0].instance, settings.further[0].weight = "stool", 0.75
    (one,) = placed(scene)
    assert dict(one.weights) == {"chair": 0.75, "stool": 1.0} and one.scale == pytest.approx((1.5 + 0.5) / 1.75)
    assert bpy.ops.srn.share_remove(index=0) == {"FINISHED"}
    settings.blend = 1.0
    (one,) = placed(scene)
    assert dict(one.weights) == {"stool": 1.0} and one.which() == {"instance": "stool"}
    bpy.context.object.scale = (0.0, 0.0, 0.0)
    assert placed(scene) == [], "scaled to nothing"


def test_a_run_is_read_again_only_where_it_has_changed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = placed_run(run)
    assert placed_run(run) is first
    (run / "run.json").write_text(json.dumps(DESCRIBED | {"instances": INSTANCES[:1]}), encoding="utf-8")
    os.utime(run / "run.json", (1, 1))
    assert list(placed_run(run).sources) == ["chair"]
    (run / "run.json").write_text(json.dumps(DESCRIBED | {"instances": [{"id": "x"}]}), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(UserError, match="not a run of this version"):
            placed_run(run)


def test_the_panel_says_what_was_seen_and_never_looks_itself(scene: Any, run: Path) -> None:
    bpy.ops.srn.place_instance()
    settings = bpy.context.object.srn
    settings.second = "stool"
    assert problem_of(settings) == ""
    changed = DESCRIBED | {"instances": INSTANCES[:1]}
    (run / "run.json").write_text(json.dumps(changed), encoding="utf-8")
    assert problem_of(settings) == "", "nobody has looked since"
    train_watch.look(scene)
    assert problem_of(settings) == "Choose another instance: the run holds none named 'stool'."
    settings.run_path = str(run / "gone")
    scene.srn.run_path = ""  # also where no run is in mind
    assert problem_of(settings) == ""
    train_watch.look(scene)
    assert problem_of(settings).startswith("Train first")


def test_where_an_instance_can_be_seen() -> None:
    pose = np.eye(4)
    pose[2, 3] = -4.0
    camera = Camera(pose, 100.0, 100.0, 100.0, 80.0, 200, 160)
    left, top, width, height = region_of(camera)
    assert (left, top, width, height) == (66, 46, 68, 68), "the cube's near face is 3 away: 33.3 pixels each way"
    pose[0, 3] = 20.0
    assert region_of(camera)[2] == 0, "beside the picture"
    pose[:3, 3] = 0.0, 0.0, 4.0
    assert region_of(camera)[2] == 0, "behind the camera"
    pose[2, 3] = 0.5
    assert region_of(camera) == (0, 0, 200, 160), "the camera is inside"


def test_a_run_without_transparency_fills_the_picture(scene: Any, run: Path) -> None:
    bpy.ops.srn.place_instance()
    camera = camera_from_blender(scene, add_camera(scene, (1.0, 2.0, 20.0)))
    (part,) = parts(placed(scene), camera)
    assert part.camera.width < camera.width and part.left > 0
    (run / "run.json").write_text(json.dumps(DESCRIBED | {"preset": {"kind": "paper"}}), encoding="utf-8")
    (part,) = parts(placed(scene), camera)
    assert (part.left, part.top, part.camera.width, part.camera.height) == (0, 0, camera.width, camera.height)


def test_blenders_panels_show_with_this_engine(scene: Any) -> None:
    assert {"RENDER_PT_format", "RENDER_PT_output", "DATA_PT_lens", "RENDER_PT_post_processing"} <= shown_with_srn()
    assert not {"VIEWLAYER_PT_filter", "CYCLES_RENDER_PT_sampling"} & shown_with_srn()
    srn_blender.unregister()
    left = shown_with_srn()
    srn_blender.register()
    assert not left


def shown_with_srn() -> set[str]:
    """Blender's own panels that show with this engine."""
    panels = [one for one in bpy.types.Panel.__subclasses__() if not one.__module__.startswith("srn_blender")]
    return {panel.__name__ for panel in panels if "SRN" in getattr(panel, "COMPAT_ENGINES", ())}


def test_a_part_of_a_picture_is_seen_as_in_the_whole(scene: Any) -> None:
    camera = camera_from_blender(scene, add_camera(scene))
    part = camera.part(10, 20, 30, 40)
    point = [0.3, -0.2, 0.1]
    np.testing.assert_allclose(part.project(point)[:2], camera.project(point)[:2] - [10, 20])
    assert (part.width, part.height) == (30, 40)


def test_the_resolution_follows_a_time_budget() -> None:
    pace = Pace()
    pace.learn(1_000_000, 2.005)
    assert pace.seconds_per_pixel == pytest.approx(2e-6, rel=1e-3)
    assert pace.factor(1_000_000, 0) == pytest.approx((BUDGETS[0] / 2.0) ** 0.5, rel=1e-2)
    assert pace.factor(20_000, 0) == 1.0 and pace.factor(1_000_000, len(BUDGETS) - 1) == 1.0
    for _ in range(6):  # small pictures, which hardly tell what a pixel takes, do not make it ever coarser
        pace.learn(2_000, 0.012)
    assert pace.seconds_per_pixel < 2.5e-6
    pace.learn(1_000_000, 500.0)
    assert pace.factor(1_000_000, 0) == LEAST
