"""The rig in the panel: its presets, what it tells before a capture, and that its drawing leaves nothing behind."""

from __future__ import annotations

import dataclasses
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

import srn_blender
from srn_blender.capture.settings import POSES_UNITS, RIGS, CaptureSettings
from srn_blender.ui import rig_preview
from srn_blender.ui.capture_operator import begin_capture
from srn_blender.ui.capture_presets import FOLDER, SHIPPED
from srn_blender.ui.properties import settings_of
from srn_blender.ui.rig_properties import RIG_SETTINGS, rig_settings

SHIPPED_PRESETS = sorted(Path(SHIPPED, "presets", FOLDER).glob("*.py"))


@pytest.fixture(autouse=True)
def add_on(empty_file: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The add-on in Blender's own first scene; presets are kept in a folder of the test."""
    monkeypatch.setenv("BLENDER_USER_SCRIPTS", str(tmp_path / "scripts"))
    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    yield
    srn_blender.unregister()


def test_a_preset_brings_back_what_was_chosen(tmp_path: Path) -> None:
    settings = settings_of(bpy.context.scene)
    chosen = {"rig": "turntable", "rings": 7, "focal_length": 85.0, "jitter_angle": 0.25, "train_views": 12}
    for name, value in chosen.items():
        setattr(settings, name, value)
    settings.poses_path = "//mine.json"
    assert bpy.ops.srn.capture_preset_add(name="My Rig") == {"FINISHED"}
    path = tmp_path / "scripts" / "presets" / FOLDER / "My_Rig.py"
    assert path.is_file() and "mine.json" not in path.read_text("utf-8")
    bpy.ops.wm.read_factory_settings(use_empty=False)
    settings = settings_of(bpy.context.scene)
    assert settings.rig != "turntable"
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="SRN_PT_capture_presets")
    assert {name: getattr(settings, name) for name in chosen} == chosen
    assert bpy.ops.srn.capture_preset_add(name="My Rig", remove_name=True) == {"FINISHED"}
    assert not path.exists()


@pytest.mark.parametrize("path", SHIPPED_PRESETS, ids=lambda path: path.stem)
def test_shipped_presets_are_found_and_set_what_they_say(path: Path) -> None:
    assert bpy.utils.preset_find(path.stem, FOLDER) == str(path)
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="SRN_PT_capture_presets")
    settings = settings_of(bpy.context.scene)
    said = dict(line.removeprefix("settings.").split(" = ") for line in path.read_text("utf-8").splitlines()[4:])
    assert len(said) >= 6
    for name, value in said.items():
        wanted = literal_eval(value)
        assert getattr(settings, name) == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)


def test_three_presets_are_shipped_and_go_with_the_add_on() -> None:
    assert len(SHIPPED_PRESETS) == 3
    srn_blender.unregister()
    assert bpy.utils.preset_find(SHIPPED_PRESETS[0].stem, FOLDER) is None
    srn_blender.register()
    assert bpy.utils.preset_find(SHIPPED_PRESETS[0].stem, FOLDER)


def own_handlers() -> list[object]:
    lists = [value for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)]
    return [handler for handlers in lists for handler in handlers if handler.__module__ == rig_preview.__name__]


def test_the_drawing_is_taken_away_whole_and_not_there_without_a_window() -> None:
    assert bpy.app.background and own_handlers() == [] and rig_preview._handles == []
    rig_preview.start()
    assert len(own_handlers()) == 2 and len(rig_preview._handles) == 2
    srn_blender.unregister()
    assert own_handlers() == [] and rig_preview._handles == []
    assert not bpy.app.timers.is_registered(rig_preview._survey)
    srn_blender.register()
    assert own_handlers() == []


def test_the_drawing_follows_the_object_and_the_settings() -> None:
    scene = bpy.context.scene
    settings = settings_of(scene)
    wish = rig_preview._wish(bpy.context)
    assert wish == rig_preview._wish(bpy.context) and wish.objects == ("Cube",)
    for name in RIG_SETTINGS:
        before = getattr(settings, name)
        other = "turntable" if name == "rig" else "blender" if name == "poses_units" else "x"
        setattr(settings, name, other if isinstance(before, str) else before + 1)
        assert rig_preview._wish(bpy.context) != wish, name
        setattr(settings, name, before)
    assert rig_preview._wish(bpy.context) == wish
    scene.render.resolution_x += 1
    assert rig_preview._wish(bpy.context) == wish, "placed cameras take square pictures"
    settings.rig = "cameras"
    wish = rig_preview._wish(bpy.context)
    scene.render.resolution_x += 1
    assert rig_preview._wish(bpy.context) != wish


def survey_now():
    """What the drawing shows after a pause."""
    rig_preview._preview_of(bpy.context).wanted = rig_preview._wish(bpy.context)
    assert rig_preview._survey() is None
    return rig_preview.latest(bpy.context)


def test_what_is_drawn_is_what_will_be_captured() -> None:
    bpy.data.objects["Cube"].location.x = 3.0
    bpy.context.view_layer.update()
    survey, problem = survey_now()
    assert problem == "" and survey is not None
    assert survey.centre.tolist() == pytest.approx([3, 0, 0]) and survey.scale == pytest.approx(3**0.5)
    settings = rig_settings(settings_of(bpy.context.scene))
    assert {split: len(poses) for split, poses in survey.rig.poses.items()} == settings.counts
    bpy.ops.object.select_all(action="DESELECT")
    assert survey_now() == (None, "Select the object to capture, or choose a collection.")


def test_of_many_instances_the_first_is_drawn_around() -> None:
    bpy.ops.mesh.primitive_cube_add(location=(0, 0, 9))
    bpy.context.object.name = "A"
    bpy.data.objects["Cube"].select_set(True)
    survey, _ = survey_now()
    assert survey.centre.tolist() == pytest.approx([0, 0, 4.5])
    settings = settings_of(bpy.context.scene)
    settings.instances = "objects"
    survey, _ = survey_now()
    assert survey.centre.tolist() == pytest.approx([0, 0, 9])
    settings.instances = "collections"
    survey, problem = survey_now()
    assert survey is None and "Choose under Collection" in problem


def test_every_default_of_a_rig_stands_in_one_place() -> None:
    settings = settings_of(bpy.context.scene)
    fields = {field.name: field.default for field in dataclasses.fields(CaptureSettings)}
    for name in RIG_SETTINGS:
        expected = fields[name]
        assert getattr(settings, name) == (pytest.approx(expected) if isinstance(expected, float) else expected)
    assert [item.identifier for item in settings.bl_rna.properties["rig"].enum_items] == list(RIGS)
    assert [item.identifier for item in settings.bl_rna.properties["poses_units"].enum_items] == list(POSES_UNITS)


def test_trouble_is_told_before_the_first_view(tmp_path: Path) -> None:
    settings = settings_of(bpy.context.scene)
    settings.dataset_path, settings.distance = str(tmp_path), 0.1
    task = begin_capture(bpy.context)
    assert task.notices == [
        "75 cameras (train 0, train 1, train 2, ...) stand inside 'Cube': raise Distance.",
    ]
    task.abandon()
    settings.distance = 1.04
    task = begin_capture(bpy.context)
    assert list(task.notices) == []
    task.abandon()
