"""Classes from every source, shared classes, labels of some views alone, the list in the panel and its preview."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.scenes import (
    add_ball,
    add_mesh,
    capture_all,
    emission,
    everything,
    read_image,
    small_settings,
    start_capture,
)
from srn_blender.capture.camera import Camera
from srn_blender.capture.instance import gather_objects
from srn_blender.capture.labels import Source, choose_views, class_colour, list_classes, make_labels
from srn_blender.capture.many import each_object
from srn_blender.capture.session import capture_steps
from srn_blender.capture.settings import LabelClass
from srn_blender.errors import UserError
from srn_blender.ui import label_preview
from srn_blender.ui.label_properties import classes_of
from srn_blender.ui.properties import settings_of

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = [ROOT / ".venv/engine" / python for python in ("bin/python", "Scripts/python.exe")]
INTERPRETER = next((python for python in PYTHONS if python.is_file()), PYTHONS[0])
RED, BLUE = (0.9, 0.1, 0.2), (0.1, 0.2, 0.9)


def manifest_of(root: Path) -> dict:
    return json.loads((root / "dataset.json").read_text("utf-8"))


def semantic_of(root: Path, index: int, split: str = "train") -> np.ndarray:
    path = root / f"capture_{split}/thing/semantic/{index:06d}.png"
    return np.rint(read_image(path)[..., 0] * 255).astype(int)


def camera_of(root: Path, index: int) -> Camera:
    pose = np.array((root / f"capture_train/thing/pose/{index:06d}.txt").read_text().split(), float).reshape(4, 4)
    said = manifest_of(root)["camera"]
    return Camera(pose, **said)


def label_at(root: Path, index: int, point) -> int:
    """The class of a pixel, by where a point of the dataset's space is seen."""
    column, row, _ = camera_of(root, index).project(point)
    return int(semantic_of(root, index)[int(row), int(column)])


@pytest.fixture
def balls() -> list[bpy.types.Object]:
    """Four balls in a row along x; in the dataset they stand at -0.75, -0.25, 0.25 and 0.75 about."""
    scene = bpy.context.scene
    wood, cloth = emission("Wood", (0.8, 0.5, 0.2)), emission("Cloth", (0.2, 0.2, 0.8))
    made = []
    for number, (x, material) in enumerate(((-3, wood), (-1, cloth), (1, wood), (3, None))):
        ball = add_ball(scene, 0.9, (x, 0, 0), f"Ball {number}", [material] if material else [], segments=16)
        made.append(ball)
    bpy.context.view_layer.update()
    return made


def seen_classes(root: Path) -> list[str]:
    """The class of each ball as the first training view from the side shows it."""
    classes = [one["name"] for one in manifest_of(root)["classes"]]
    scale = manifest_of(root)["instances"][0]["scale"]
    sideways = max(range(3), key=lambda index: abs(camera_of(root, index).position[1]))
    return [classes[label_at(root, sideways, (x / scale, 0, 0))] for x in (-3, -1, 1, 3)]


def test_collections_are_classes(balls, tmp_path) -> None:
    scene = bpy.context.scene
    for name, members in (("Legs", balls[:2]), ("Seat", balls[2:3])):
        group = bpy.data.collections.new(name)
        scene.collection.children.link(group)
        for member in members:
            scene.collection.objects.unlink(member)
            group.objects.link(member)
    before = everything()
    capture_all(balls, small_settings(tmp_path, labels="collection"))
    assert everything() == before
    assert [one["name"] for one in manifest_of(tmp_path)["classes"]] == [
        *("background", "Legs", "Scene Collection", "Seat")
    ]
    assert seen_classes(tmp_path) == ["Legs", "Legs", "Seat", "Scene Collection"]


def test_values_of_a_custom_property_are_classes(balls, tmp_path) -> None:
    for ball, value in zip(balls[:3], ("back", 7, "back"), strict=True):
        ball["part"] = value
    balls[3].pass_index = 1  # somebody else's index, which must not pass for a label
    capture_all(balls, small_settings(tmp_path, labels="property", label_property="part"))
    assert [one["name"] for one in manifest_of(tmp_path)["classes"]] == ["background", "7", "back", "(no value)"]
    assert seen_classes(tmp_path) == ["back", "7", "back", "(no value)"]
    assert balls[3].pass_index == 1
    with pytest.raises(UserError, match="Write the name of a custom property"):
        capture_all(balls, small_settings(tmp_path / "x", labels="property"))


def test_a_material_that_no_face_has_is_of_no_class(balls, tmp_path) -> None:
    hair = emission("Hair", (0.1, 0.1, 0.1))
    hair.pass_index = 1  # that of the wood, in the capture
    balls[0].data.materials.append(hair)
    strands = balls[0].modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system.settings
    strands.type, strands.count, strands.hair_length, strands.material = "HAIR", 300, 3.0, 2
    bpy.context.view_layer.update()
    capture_all(balls[:1], small_settings(tmp_path, train_views=1, val_views=0, test_views=0))
    depth = read_image(tmp_path / "capture_train/thing/depth/000000.exr")[..., 0] > 0
    assert set(np.unique(semantic_of(tmp_path, 0)[depth])) == {0, 1}
    assert hair.pass_index == 1


def test_an_index_given_meanwhile_is_background() -> None:
    labels = make_labels([Source("Wood", ("a material",))], "material", list_classes(["Wood"], ()))
    index = np.array([[[0.0], [1.0], [500.0]]], np.float32)
    assert labels.ids(index, index >= 0).tolist() == [[[0], [1], [0]]]


def test_several_materials_share_a_class_and_what_is_left_out_is_background(balls, tmp_path) -> None:
    chosen = (LabelClass("soft", BLUE, ("Cloth", "(no material)")),)
    capture_all(balls, small_settings(tmp_path, classes=chosen))
    classes = manifest_of(tmp_path)["classes"]
    assert classes == [
        {"id": 0, "name": "background", "colour": [0, 0, 0]},
        {"id": 1, "name": "soft", "colour": list(BLUE)},
    ]
    assert seen_classes(tmp_path) == ["background", "soft", "background", "soft"]
    assert all(set(np.unique(semantic_of(tmp_path, index))) <= {0, 1} for index in range(3))


def test_ids_are_crisp_at_every_edge(balls, tmp_path) -> None:
    """Neighbouring classes far apart in number: a mixed pixel would show as an id between them."""
    names = [f"c{number}" for number in range(200)]
    chosen = [LabelClass(name, class_colour(number), ()) for number, name in enumerate(names)]
    chosen[0], chosen[199] = LabelClass("c0", RED, ("Ball 0", "Ball 2")), LabelClass("c199", BLUE, ("Ball 1", "Ball 3"))
    settings = small_settings(tmp_path, labels="object", classes=tuple(chosen), samples=16)
    capture_all(balls, settings)
    assert set(np.unique([semantic_of(tmp_path, index) for index in range(3)])) == {0, 1, 200}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ([("a", ("Wood",)), ("a", ("Cloth",))], "another name"),
        ([("background", ("Wood",))], "another name"),
        ([(" ", ("Wood",))], "Give each class"),
        ([("a", ("Wood",)), ("b", ("Wood",))], "belongs to 'a'"),
        ([("a", ("Steel",))], "Fill from Scene"),
    ],
)
def test_classes_that_contradict_themselves_get_a_sentence(chosen, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        list_classes(["Cloth", "Wood"], [LabelClass(name, RED, sources) for name, sources in chosen])


def test_another_list_of_classes_is_another_capture(balls, tmp_path) -> None:
    capture_all(balls, small_settings(tmp_path))
    with pytest.raises(UserError, match="changed: settings"):
        capture_all(balls, small_settings(tmp_path, classes=(LabelClass("soft", BLUE, ("Cloth",)),)))


def test_views_to_label_lie_far_apart() -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    positions = np.stack([np.cos(angles), np.sin(angles), np.zeros(12)], -1)
    assert choose_views(positions, 2) == [0, 6]
    assert choose_views(positions, 4) == [0, 3, 6, 9]
    assert choose_views(positions, 99) == list(range(12))


def test_only_some_views_are_labelled_and_a_resumed_capture_is_whole(balls, tmp_path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    settings = small_settings(tmp_path, train_views=6, labelled_views=2, size=16, samples=1)
    steps = start_capture(balls, settings)
    next(steps)
    steps.close()
    capture_all(balls, settings)
    manifest = manifest_of(tmp_path)
    schema = ROOT / "docs" / "dataset.schema.json"
    jsonschema.validate(manifest, json.loads(schema.read_text("utf-8")))
    labelled = manifest["instances"][0]["labelled"]
    assert len(labelled) == 2 and labelled[0] == 0
    folder = tmp_path / "capture_train/thing"
    assert [int(path.stem) for path in sorted((folder / "semantic").iterdir())] == labelled
    assert len(list((folder / "depth").iterdir())) == 6
    assert len(list((tmp_path / "capture_test/thing/semantic").iterdir())) == 2, "there labels are measured"
    (again,) = capture_all(balls, settings)
    assert again.done == again.total == 9


def test_only_some_instances_are_labelled(balls, tmp_path) -> None:
    settings = small_settings(
        tmp_path, train_views=3, labelled_views=2, labelled_instances=1, size=16, samples=1, val_views=0, test_views=1
    )
    for _ in capture_steps(bpy.context.scene, each_object(balls[:3], align=False), settings):
        pass
    labelled = {one["id"]: one["labelled"] for one in manifest_of(tmp_path)["instances"]}
    assert labelled == {"Ball_0": labelled["Ball_0"], "Ball_1": [], "Ball_2": []} and len(labelled["Ball_0"]) == 2
    found = sorted(path.relative_to(tmp_path).parts[:2] for path in tmp_path.glob("*/*/semantic/*.png"))
    assert found == [("capture_test", f"Ball_{n}") for n in range(3)] + [("capture_train", "Ball_0")] * 2
    classes = [one["name"] for one in manifest_of(tmp_path)["classes"]]
    assert classes == ["background", "Cloth", "Wood"], "one list for all instances"


@pytest.mark.skipif(bpy.app.version[:2] != (4, 5), reason="takes long: in the tests of one version")
@pytest.mark.skipif(not INTERPRETER.is_file(), reason="no .venv/engine beside the checkout")
def test_the_engine_learns_from_a_few_labelled_views_and_predicts_the_rest(balls, tmp_path) -> None:
    """Two of six training views have labels; what the engine says of the test view is held against its own labels."""
    dataset, run, out = tmp_path / "dataset", tmp_path / "run", tmp_path / "maps"
    chosen = (LabelClass("wood", RED, ("Wood",)), LabelClass("rest", BLUE, ("Cloth", "(no material)")))
    settings = small_settings(dataset, train_views=8, labelled_views=2, val_views=0, test_views=1, classes=chosen)
    capture_all(balls, settings)

    def engine(*arguments: object) -> None:
        command = [INTERPRETER, "-m", "srn_engine", *map(str, arguments), "--device", "cpu", "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr

    engine("train", dataset, "--out", run, "--steps", 60)
    engine("label", run, dataset, "--images", 30, "--out", out, "--split", "test")
    truth = semantic_of(dataset, 0, "test")
    (ids,) = (path for path in out.rglob("*.png") if "id" in path.stem or path.parent.name == "semantic")
    predicted = np.rint(read_image(ids)[..., 0] * 255).astype(int)
    assert set(np.unique(truth)) == {0, 1, 2}
    assert (predicted == truth)[truth > 0].mean() > 0.8, "guessing gives a half"


# The panel's list.


@pytest.fixture
def settings(empty_file: None) -> Iterator:
    srn_blender.register()
    yield settings_of(bpy.context.scene)
    srn_blender.unregister()


@pytest.fixture
def selected(settings, balls) -> list[bpy.types.Object]:
    for ball in balls:
        ball.select_set(True)
    bpy.context.view_layer.objects.active = balls[0]
    return balls


def listed(settings) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.name, one.sources) for one in classes_of(settings)]


def test_the_list_is_filled_from_the_scene_and_merged(settings, selected) -> None:
    assert bpy.ops.srn.fill_classes() == {"FINISHED"}
    assert listed(settings) == [*(("Cloth", ("Cloth",)), ("Wood", ("Wood",)), ("(no material)", ("(no material)",)))]
    assert len({one.colour for one in classes_of(settings)}) == 3
    settings.active_class = 1
    settings.classes[1].name = "frame"
    bpy.ops.srn.add_source(source="Cloth")
    assert listed(settings) == [("frame", ("Wood", "Cloth")), ("(no material)", ("(no material)",))]
    assert settings.classes[settings.active_class].name == "frame", "the class that was made for Cloth alone is gone"
    bpy.ops.srn.fill_classes()
    assert len(settings.classes) == 2, "nothing is listed twice"
    bpy.ops.srn.remove_source(source="Wood")
    bpy.ops.srn.fill_classes()
    assert listed(settings)[-1] == ("Wood", ("Wood",))


def test_classes_are_added_moved_and_removed(settings) -> None:
    assert not bpy.ops.srn.move_class.poll() and not bpy.ops.srn.remove_class.poll()
    bpy.ops.srn.add_class(name="seat")
    bpy.ops.srn.add_class(name="seat")
    assert [one.name for one in settings.classes] == ["seat", "seat 2"]
    assert bpy.ops.srn.move_class(direction="DOWN") == {"CANCELLED"}
    assert bpy.ops.srn.move_class(direction="UP") == {"FINISHED"}
    assert [one.name for one in settings.classes] == ["seat 2", "seat"] and settings.active_class == 0
    settings.active_class = 1
    bpy.ops.srn.remove_class()
    assert [one.name for one in settings.classes] == ["seat 2"] and settings.active_class == 0
    with pytest.raises(RuntimeError, match="Choose what to put"):
        bpy.ops.srn.add_source(source="")
    settings.labels = "none"
    assert not bpy.ops.srn.add_class.poll() and not bpy.ops.srn.label_preview.poll()


def test_the_lists_colours_and_classes_reach_the_dataset(settings, selected, tmp_path) -> None:
    settings.dataset_path = str(tmp_path / "dataset")
    settings.train_views, settings.val_views, settings.test_views = 2, 0, 0
    settings.size, settings.samples, settings.labelled_views = 16, 1, 1
    bpy.ops.srn.add_class(name="soft")
    settings.classes[0].colour = (0.25, 0.5, 0.75)
    bpy.ops.srn.add_source(source="Cloth")
    assert bpy.ops.srn.capture_views() == {"FINISHED"}
    manifest = manifest_of(tmp_path / "dataset")
    assert manifest["classes"][1] == {"id": 1, "name": "soft", "colour": [0.25, 0.5, 0.75]}
    assert manifest["instances"][0]["labelled"] == [0]


def test_the_preview_shows_each_triangle_in_its_class_and_changes_nothing(settings, selected) -> None:
    two = add_mesh(
        bpy.context.scene,
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)],
        [(0, 1, 2), (1, 3, 2)],
        "Two",
        [bpy.data.materials["Wood"], bpy.data.materials["Cloth"]],
    )
    two.data.polygons[1].material_index = 1
    two.location.z = 5
    bpy.context.view_layer.update()
    before = everything()
    chosen = (LabelClass("frame", RED, ("Wood",)), LabelClass("soft", BLUE, ("Cloth",)))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    subject = label_preview.Subject([two], "material", "", chosen)
    shapes: dict = {}
    shown = label_preview.coloured_triangles(depsgraph, subject, shapes)
    assert {colour: corners.tolist() for colour, corners in shown.items()} == {
        RED: [[0, 0, 5], [1, 0, 5], [0, 1, 5]],
        BLUE: [[1, 0, 5], [1, 1, 5], [0, 1, 5]],
    }
    by_object = label_preview.Subject([two, *selected], "object", "", ())
    shown = label_preview.coloured_triangles(depsgraph, by_object, shapes)
    assert len(shown) == 5 and len(shown[class_colour(4)]) == 6, "the fifth by name is Two, with two triangles"
    only = label_preview.Subject(selected, "material", "", chosen)
    shown = label_preview.coloured_triangles(depsgraph, only, shapes)
    assert (0.0, 0.0, 0.0) in shown and sum(map(len, shown.values())) == 3 * sum(
        len(polygon.vertices) - 2 for ball in selected for polygon in ball.data.polygons
    )
    assert everything() == before
    assert [member.name for member in gather_objects([two])] == ["Two"]


def own_handlers() -> list[str]:
    lists = [value for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)]
    own = [one.__name__ for handlers in lists for one in handlers if "label_preview" in one.__module__]
    return sorted(own)


def test_the_preview_is_on_until_it_is_turned_off_or_a_file_is_opened(settings, selected) -> None:
    assert bpy.ops.srn.label_preview() == {"FINISHED"}
    assert label_preview.is_on() and own_handlers() == ["_forget", "_forget", "_leave", "_notice"]
    selected[0].location.z = 1
    bpy.context.view_layer.update()
    settings.classes.add().name = "more"
    bpy.ops.srn.label_preview()
    assert not label_preview.is_on() and own_handlers() == []
    bpy.ops.srn.label_preview()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert not label_preview.is_on() and own_handlers() == []
    bpy.ops.srn.label_preview()
    srn_blender.unregister()
    assert not label_preview.is_on() and own_handlers() == []
    srn_blender.register()
