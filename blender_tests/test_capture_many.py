"""Many instances in one capture: what each one shows, what they share, and what is left out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_tests.scenes import add_ball, add_mesh, emission, everything, read_view, small_settings
from srn_blender.capture.instance import Instance
from srn_blender.capture.many import each_collection, each_frame, each_object
from srn_blender.capture.session import capture
from srn_blender.errors import CaptureChanged, UserError

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "dataset.schema.json"
ROOT = Path(__file__).resolve().parents[1]
INTERPRETERS = [ROOT / ".venv/engine" / python for python in ("bin/python", "Scripts/python.exe")]
COLOURS = {"Red": (0.8, 0.0, 0.0), "Green": (0.0, 0.8, 0.0), "Blue": (0.0, 0.0, 0.8)}


def capture_many(instances, settings, **how):
    return list(capture(bpy.context.scene, instances, settings, **how))


def manifest_of(root):
    return json.loads((root / "dataset.json").read_text("utf-8"))


def wedge(name, turn, colour="Red", at=(0.0, 0.0, 0.0)):
    """A flat corner that looks different from every side, turned about z by `turn` radians."""
    shape = add_mesh(
        bpy.context.scene,
        [(0, 0, 0), (1, 0, 0), (0, 0.3, 0), (0, 0, 0.5)],
        [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)],
        name,
        [bpy.data.materials.get(colour) or emission(colour, COLOURS[colour])],
    )
    shape.location, shape.rotation_euler = at, (0.0, 0.0, turn)
    bpy.context.view_layer.update()
    return shape


def seen_colours(view):
    """Which of red, green and blue a view shows."""
    hit = view["depth"] > 0
    strongest = view["rgba"][..., :3][hit].argmax(-1)
    return {("Red", "Green", "Blue")[i] for i in np.unique(strongest)}


def test_each_object_is_seen_alone_under_its_own_id(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    for number, colour in enumerate(COLOURS):
        add_ball(bpy.context.scene, 0.5 + number, (0.3 * number, 0, 0), colour, [emission(colour, COLOURS[colour])], 16)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    bpy.context.scene.collection.objects.link(lamp)
    bpy.context.view_layer.update()
    before = everything()
    instances = each_object(list(bpy.context.scene.objects), align=False)
    assert [one.id for one in instances] == ["Blue", "Green", "Red"], "the lamp is none"
    items = capture_many(instances, small_settings(tmp_path))
    assert everything() == before
    assert [item.done for item in items] == [*range(1, 19), 18]
    assert items[-1].check is not None and items[-1].left_out == ()
    manifest = manifest_of(tmp_path)
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text("utf-8")))
    assert manifest["splits"]["train"] == {"planned": 9, "captured": 9}
    assert [one["name"] for one in manifest["classes"]] == ["background", "Blue", "Green", "Red"]
    assert {one["id"]: round(one["scale"], 2) for one in manifest["instances"]} == {
        "Red": 0.5,
        "Green": 1.5,
        "Blue": 2.5,
    }
    for label, one in enumerate(instances, 1):
        for split, index in (("train", 0), ("train", 2), ("test", 1)):
            _, view = read_view(tmp_path, split, index, instance=one.id)
            assert seen_colours(view) == {one.source}
            assert set(np.unique(view["semantic"])) == {0, label}
    assert not (tmp_path / "transforms_train.json").exists()
    frame = json.loads((tmp_path / "Green/transforms_train.json").read_text("utf-8"))["frames"][1]
    assert (tmp_path / "Green" / f"{frame['file_path']}.png").resolve() == (
        tmp_path / "capture_train/Green/rgba/000001.png"
    ).resolve()


def test_the_engine_reads_many_instances(tmp_path):
    interpreter = next((path for path in INTERPRETERS if path.exists()), None)
    if interpreter is None:
        pytest.skip("no .venv/engine beside the checkout")
    objects = [wedge("One", 0.0), wedge("Two", 0.0, "Green")]
    capture_many(each_object(objects, align=True), small_settings(tmp_path))
    program = (
        "import sys; from pathlib import Path; from srn_engine.data.readers import open_dataset;"
        "data = open_dataset(Path(sys.argv[1]));"
        "print([(one.id, [len(data.views(split, one.id)) for split in ('train', 'val', 'test')],"
        " sorted({int(n) for n in data.views('train', one.id).semantic(1).flat})) for one in data.instances])"
    )
    done = subprocess.run([interpreter, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[('One', [3, 1, 2], [0, 2]), ('Two', [3, 1, 2], [0, 1])]"


def test_aligned_instances_of_one_shape_look_alike_and_stay_as_they_are(tmp_path):
    for number, turn in enumerate((0.0, 1.1, 2.9)):
        wedge(f"Wedge {number}", turn, at=(4.0 * number, 1.0, 0.0))
    matrices = {one.name: np.array(one.matrix_world) for one in bpy.context.scene.objects}
    objects = list(bpy.context.scene.objects)
    depths = {}
    for align in (True, False):
        root = tmp_path / str(align)
        capture_many(each_object(objects, align), small_settings(root, train_views=2, val_views=0, test_views=0))
        views = [read_view(root, "train", 1, instance=f"Wedge_{number}")[1]["depth"] for number in range(3)]
        depths[align] = [(views[0] > 0) == (view > 0) for view in views]
    assert all(same.mean() > 0.99 for same in depths[True])
    assert all(same.mean() < 0.95 for same in depths[False][1:])
    assert all(np.array_equal(np.array(one.matrix_world), matrices[one.name]) for one in objects)


def test_each_collection_is_an_instance_of_all_its_parts(tmp_path):
    scene = bpy.context.scene
    chairs = bpy.data.collections.new("Chairs")
    scene.collection.children.link(chairs)
    for number, colours in enumerate((("Red", "Green"), ("Blue",))):
        chair = bpy.data.collections.new(f"Chair {number}")
        chairs.children.link(chair)
        for place, colour in enumerate(colours):
            part = add_ball(scene, 0.5, (place, 0, 0), colour, [emission(colour, COLOURS[colour])], 16)
            scene.collection.objects.unlink(part)
            chair.objects.link(part)
    bpy.context.view_layer.update()
    capture_many(each_collection(chairs, align=False), small_settings(tmp_path))
    for name, colours in (("Chair_0", {"Red", "Green"}), ("Chair_1", {"Blue"})):
        views = [read_view(tmp_path, "train", index, instance=name)[1] for index in range(3)]
        assert set().union(*(seen_colours(view) for view in views)) == colours
    with pytest.raises(UserError, match="turn off Align"):
        capture_many(each_collection(chairs, align=True)[:1], small_settings(tmp_path / "aligned"))


def test_each_frame_is_an_instance_and_the_scene_stays_at_its_own(tmp_path):
    scene = bpy.context.scene
    ball = add_ball(scene, 1.0, segments=16)
    for frame, scale in ((1, 1.0), (3, 2.0)):
        ball.scale = (scale, 1, 1)
        ball.keyframe_insert("scale", frame=frame)
    scene.frame_set(2)
    before = everything()
    whole = Instance("Ball", "Ball", [ball])
    capture_many(each_frame(whole, range(1, 4, 2)), small_settings(tmp_path, train_views=1, val_views=0, test_views=0))
    assert everything() == before
    scales = {one["id"]: one["scale"] for one in manifest_of(tmp_path)["instances"]}
    assert scales == {"frame0001": pytest.approx(1, abs=0.01), "frame0003": pytest.approx(2, abs=0.01)}
    shares = [(read_view(tmp_path, "train", 0, instance=name)[1]["depth"] > 0).mean() for name in scales]
    assert shares[1] < 0.8 * shares[0], "the ball of frame 3 is long and thin in its unit sphere"


def test_each_frame_in_a_light_and_a_material_that_change_is_captured_and_goes_on(tmp_path):
    scene = bpy.context.scene
    paint = emission("Paint", (0.1, 0.5, 0.5))
    colour = paint.node_tree.nodes["Emission"].inputs["Color"]
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    scene.collection.objects.link(lamp)
    scene.world = bpy.data.worlds.new("World")
    for frame in (1, 3):
        colour.default_value[0] = scene.world.color[0] = lamp.rotation_euler.x = frame / 4
        colour.keyframe_insert("default_value", frame=frame)
        scene.world.keyframe_insert("color", frame=frame)
        lamp.keyframe_insert("rotation_euler", frame=frame)
    scene.frame_set(2)
    frames = each_frame(Instance("Ball", "Ball", [add_ball(scene, segments=16, materials=[paint])]), range(1, 4))
    settings = small_settings(tmp_path, train_views=1, val_views=0, test_views=0, size=16, samples=1)
    assert [item.done for item in capture_many(frames[:2], settings)] == [1, 2, 2]
    scene.frame_set(1)
    assert [item.done for item in capture_many(frames, settings)] == [3, 3]
    lamp.rotation_euler.x = 2
    lamp.keyframe_insert("rotation_euler", frame=3)
    with pytest.raises(CaptureChanged, match="lights of 'Ball'"):
        capture_many(frames, settings)


def test_an_instance_that_cannot_be_captured_is_left_out_and_told_and_added_later(tmp_path):
    good = [wedge("Good", 0.0), wedge("Other", 0.0, "Green")]
    bad = wedge("Bad", 0.0, "Blue")
    bad.hide_render = True
    instances = each_object([*good, bad], align=False)
    settings = small_settings(tmp_path, train_views=2, val_views=0, test_views=0)
    last = capture_many(instances, settings)[-1]
    assert last.done == 4 and len(last.left_out) == 1
    assert last.left_out[0].startswith("Bad: Select something that a render shows")
    assert [one["id"] for one in manifest_of(tmp_path)["instances"]] == ["Good", "Other"]
    bad.hide_render = False
    items = capture_many(instances, settings)
    assert [item.view.instance for item in items[:-1]] == ["Bad", "Bad"] and items[-1].left_out == ()
    manifest = manifest_of(tmp_path)
    assert [one["id"] for one in manifest["instances"]] == ["Bad", "Good", "Other"]
    assert [one["name"] for one in manifest["classes"]] == ["background", "Green", "Red", "Blue"], "ids stay"
    _, view = read_view(tmp_path, "train", 0, instance="Bad")
    assert set(np.unique(view["semantic"])) == {0, 3}


def test_where_nothing_can_be_captured_the_first_reason_is_told(tmp_path):
    hidden = [wedge(name, 0.0) for name in ("A", "B")]
    for one in hidden:
        one.hide_render = True
    with pytest.raises(UserError, match="None of 2 instances can be captured: A: Select something"):
        capture_many(each_object(hidden, align=False), small_settings(tmp_path / "set"))
    assert not (tmp_path / "set").exists()


def test_a_child_belongs_to_its_parent_and_names_that_collide_are_numbered():
    parent, child = wedge("Söfa", 0.0), wedge("Leg", 0.0)
    child.parent = parent
    twin = wedge("Sàfa", 0.0)
    found = each_object([parent, child, twin], align=False)
    assert [(one.id, one.source) for one in found] == [("S_fa", "Sàfa"), ("S_fa_2", "Söfa")]
    found = each_object([wedge("Chair", 0.0), wedge("chair", 0.0)], align=False)
    assert [one.id for one in found] == ["Chair", "chair_2"], "one folder to Windows and macOS"
    with pytest.raises(UserError, match="holds no collections"):
        each_collection(bpy.data.collections.new("Empty"), align=False)
    with pytest.raises(UserError, match="frame range"):
        each_frame(found[0], range(5, 5))


def test_an_instance_that_changed_is_named_and_starting_anew_captures_it(tmp_path):
    objects = [wedge("One", 0.0), wedge("Two", 0.0, "Green")]
    settings = small_settings(tmp_path, train_views=2, val_views=0, test_views=0)
    capture_many(each_object(objects, align=False), settings)
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    old = (tmp_path / "capture_train/One/rgb/000000.png").stat().st_mtime_ns
    objects[1].data.vertices[1].co.x = 2
    bpy.context.view_layer.update()
    with pytest.raises(CaptureChanged, match="changed: shape of 'Two'"):
        capture_many(each_object(objects, align=False), settings)
    with pytest.raises(CaptureChanged, match="holds 'Two' as well"):
        capture_many(each_object(objects[:1], align=False), settings)
    assert (tmp_path / "capture_train/One/rgb/000000.png").stat().st_mtime_ns == old
    items = capture_many(each_object(objects[:1], align=False), settings, anew=True)
    assert [item.done for item in items] == [1, 2, 2]
    assert not (tmp_path / "capture_train/Two").exists() and not (tmp_path / "One").exists()
    assert (tmp_path / "transforms_train.json").exists() and (tmp_path / "notes.txt").read_text("utf-8") == "mine"
