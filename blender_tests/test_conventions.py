"""What holds for every class that the add-on registers: names, tooltips, undo, and that nothing stays behind."""

from __future__ import annotations

import ast
import gc
import inspect
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

import srn_blender
from srn_blender.engine.convert import convert
from srn_blender.ui import label_preview, rig_preview, tasks
from srn_blender.ui.inspect_operators import InspectTask
from srn_blender.ui.install_operators import StepsTask
from srn_blender.ui.long_work import HeldWindow

PREFIXES = {
    bpy.types.Operator: "SRN_OT_",
    bpy.types.Panel: "SRN_PT_",
    bpy.types.Menu: "SRN_MT_",
    bpy.types.UIList: "SRN_UL_",
    bpy.types.PropertyGroup: "SRN_PG_",
    bpy.types.AddonPreferences: "SRN_",
}
# These leave the file as it is: they write elsewhere, ask the engine, or show something.
NOTHING_TO_UNDO = {
    *("cancel", "capture_views", "capture_anew", "capture_preset_add", "dataset_export", "label_preview"),
    *("train_pause", "report", "report_open", "run_delete"),
    *("engine_start", "engine_stop", "engine_install", "engine_uninstall", "engine_check", "fetch_run"),
    *("capture_command", "capture_adaptively"),
}
# At 1280 pixels the sidebar is 280 wide, and a name has two fifths of that.
LONGEST_NAME = 16


@pytest.fixture(autouse=True)
def add_on(empty_file: None) -> Iterator[None]:
    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    tasks.Task.latest.clear()
    yield
    srn_blender.unregister()


def registered(base: type) -> list[type]:
    """The add-on's registered classes of a kind."""
    found, waiting = [], [base]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if cls.__module__.startswith("srn_blender") and getattr(cls, "is_registered", False):
                found.append(cls)
    return sorted(set(found), key=lambda cls: cls.__name__)


def own_properties(cls: Any) -> Iterator[Any]:
    """The properties that the add-on declares, as Blender knows them."""
    names = {
        name
        for base in cls.__mro__
        if base.__module__.startswith("srn_blender")
        for name in inspect.get_annotations(base)
    }
    known = rna_of(cls).properties
    return (known[name] for name in sorted(names) if name in known)


def rna_of(cls: Any) -> Any:
    if issubclass(cls, bpy.types.Operator):
        return getattr(bpy.ops.srn, cls.bl_idname.removeprefix("srn.")).get_rna_type()
    return cls.bl_rna


def complaints(text: str) -> str:
    """What is wrong with a tooltip, as Blender's guidelines have it; empty where nothing is."""
    if not text:
        return "missing"
    if text.endswith((".", " ")):
        return f"ends with {text[-1]!r}"
    if not (text[0].isupper() or text[0].isdigit()):
        return "begins with a small letter"
    return "holds a line break or two spaces" if "\n" in text or "  " in text else ""


@pytest.mark.parametrize("base", PREFIXES, ids=lambda base: base.__name__)
def test_classes_are_named_as_blender_wants_it(base: type) -> None:
    classes = registered(base)
    assert classes
    for cls in classes:
        assert cls.__name__.startswith(PREFIXES[base])
        if base is bpy.types.Operator:
            verb = cls.bl_idname.removeprefix("srn.")
            assert cls.bl_idname == f"srn.{verb}" and cls.__name__ == f"SRN_OT_{verb}"
        elif base in (bpy.types.Panel, bpy.types.Menu):
            assert getattr(cls, "bl_idname", cls.__name__) == cls.__name__
        if base in (bpy.types.Operator, bpy.types.Panel, bpy.types.Menu):
            assert cls.bl_label and not cls.bl_label.endswith("."), cls


def test_everything_has_a_name_and_a_tooltip() -> None:
    wrong, seen = [], 0
    for cls in registered(bpy.types.Operator):
        if problem := complaints(rna_of(cls).description):
            wrong.append(f"{cls.bl_idname}: {problem}")
    for base in (bpy.types.Operator, bpy.types.PropertyGroup, bpy.types.AddonPreferences):
        for cls in registered(base):
            for item in own_properties(cls):
                seen += 1
                place = f"{cls.__name__}.{item.identifier}"
                if not item.name or item.name.endswith("."):
                    wrong.append(f"{place}: name {item.name!r}")
                if problem := complaints(item.description):
                    wrong.append(f"{place}: {problem}")
                for choice in item.enum_items if item.type == "ENUM" else ():
                    if problem := complaints(choice.description):
                        wrong.append(f"{place}, {choice.identifier}: {problem}")
    assert seen > 40
    assert wrong == []


def test_what_changes_the_file_can_be_undone() -> None:
    names = {
        cls.bl_idname.removeprefix("srn."): getattr(cls, "bl_options", set()) for cls in registered(bpy.types.Operator)
    }
    assert {name for name, options in names.items() if "UNDO" not in options} <= NOTHING_TO_UNDO
    assert not {name for name, options in names.items() if "UNDO" in options} & NOTHING_TO_UNDO


def test_names_of_settings_fit_the_sidebar() -> None:
    (settings,) = (cls for cls in registered(bpy.types.PropertyGroup) if cls.__name__ == "SRN_PG_settings")
    names = [item.name for item in own_properties(settings)]
    assert [name for name in names if len(name) > LONGEST_NAME] == []
    assert [name for name, times in Counter(names).items() if times > 1] == [], "a sentence could mean either"


def test_texts_of_the_interface_are_ready_for_translation() -> None:
    """Blender looks a text up as it stands in the code: what is put together at run time must say that it is not."""
    found, wrong = 0, []
    for path in sorted((Path(srn_blender.__file__).parent / "ui").glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            said = {keyword.arg: keyword.value for keyword in call.keywords}
            if "text" not in said:
                continue
            found += 1
            is_made = any(isinstance(part, ast.JoinedStr | ast.BinOp | ast.Call) for part in ast.walk(said["text"]))
            if is_made and not ("translate" in said and ast.unparse(said["translate"]) == "False"):
                wrong.append(f"{path.name}:{call.lineno}")
    assert found > 15
    assert wrong == []


def test_panels_stand_in_the_tab_and_the_menu_under_object() -> None:
    for cls in registered(bpy.types.Panel):
        if cls.bl_region_type == "UI":
            assert (cls.bl_space_type, cls.bl_category) == ("VIEW_3D", "SRN")
    assert [entry.__module__ for entry in menu_entries()] == ["srn_blender.ui.menus"]


def menu_entries() -> list[Callable[..., None]]:
    """What add-ons have added to the menu Object."""
    entries = getattr(bpy.types.VIEW3D_MT_object.draw, "_draw_funcs", [])
    return [entry for entry in entries if entry.__module__.startswith("srn_blender")]


def traces() -> dict[str, Any]:
    """All that the add-on could leave in Blender."""
    lists = {
        name: value for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)
    }
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("srn_blender")]
    functions = {value for module in modules for value in vars(module).values() if callable(value)}
    types = [value for name in dir(bpy.types) if isinstance(value := getattr(bpy.types, name), type)]
    return {
        "classes": sorted(name for name in dir(bpy.types) if name.startswith("SRN")),
        "operators": sorted(
            cls.bl_idname for base in PREFIXES for cls in registered(base) if base is bpy.types.Operator
        ),
        "properties": sorted(
            f"{cls.__name__}.{item.identifier}"
            for cls in types
            if issubclass(cls, bpy.types.ID | bpy.types.WindowManager)
            for item in cls.bl_rna.properties
            if "srn" in item.identifier
        ),
        "handlers": sorted(
            f"{name}: {one.__name__}"
            for name, handlers in lists.items()
            for one in handlers
            if one.__module__.startswith("srn_blender")
        ),
        "timers": sorted(
            one.__qualname__
            for one in functions
            if not isinstance(one, type) and hasattr(one, "__qualname__") and bpy.app.timers.is_registered(one)
        ),
        "drawing": label_preview.is_on() or bool(rig_preview._handles),
        "menus": [entry.__name__ for entry in menu_entries()],
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


def test_registering_and_unregistering_over_and_over_leaves_nothing() -> None:
    there = traces()
    assert {"Object.srn", "Scene.srn", "WindowManager.srn_runs"} <= set(there["properties"])
    assert there["menus"] and there["handlers"]
    for _ in range(2):
        rig_preview.start()
        bpy.ops.srn.label_preview()
        assert traces()["drawing"]
        srn_blender.unregister()
        left = traces()
        assert left == {**{what: [] for what in there}, "drawing": False, "threads": there["threads"]}
        srn_blender.register()
        assert traces() == there


def test_unregistering_while_something_runs_ends_it(tmp_path) -> None:
    from srn_blender.ui.capture_operator import begin_capture

    scene = bpy.context.scene
    scene.srn.dataset_path, scene.srn.size, scene.srn.samples = str(tmp_path / "set"), 16, 1
    scene.srn.train_views = 4
    before = sorted(scene.name for scene in bpy.data.scenes)
    task = tasks.Task.latest["capture"] = begin_capture(bpy.context)
    while task.fraction == 0:
        task.step()
    assert len(bpy.data.scenes) > len(before)
    srn_blender.unregister()
    gc.collect()
    try:
        assert task.state == tasks.CANCELLED
        assert sorted(scene.name for scene in bpy.data.scenes) == before
        assert not any(thread.name.startswith("srn") for thread in threading.enumerate())
    finally:
        srn_blender.register()


def test_unregistering_ends_what_looks_through_a_dataset_or_writes_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    steps = convert(Path(sys.executable), tmp_path / "set", tmp_path / "other", "nerf")
    running = [InspectTask(tmp_path), StepsTask("export", "Writing.", steps, "Cancelled.")]
    for task in running:
        tasks.Task.latest[task.kind] = task
    running[1].step()
    assert [path.name[:11] for path in tmp_path.iterdir()] == ["srn-convert"]
    HeldWindow(bpy.context, 0.1)
    srn_blender.unregister()
    try:
        assert [task.state for task in running] == [tasks.CANCELLED, tasks.CANCELLED]
        assert list(tmp_path.iterdir()) == []
        assert HeldWindow.all == []
    finally:
        srn_blender.register()
