"""The demo's scene, and the models that it takes, in every Blender."""

import json
import struct
from pathlib import Path

import bpy
import numpy as np
import pytest
from _demo.model import ModelError, import_model
from _demo.scene import COLLECTION, build_scene
from bpy_extras.object_utils import world_to_camera_view

from blender_tests.scenes import add_mesh


def test_still_life_has_its_parts() -> None:
    collection = build_scene(bpy.context.scene)
    assert collection.name == COLLECTION
    materials = {slot.material.name for item in collection.all_objects for slot in item.material_slots}
    assert materials == {"Tray", "Mug", "Coffee", "Spoon", "Dough", "Icing", "Pencil"}
    for item in collection.all_objects:
        areas = [face.area for face in item.data.polygons]
        assert min(areas) > 0 and item.data.validate() is False, item.name
    image = bpy.data.images["Checks"]
    assert image.packed_file is not None
    assert len(np.unique(np.array(image.pixels[:]).reshape(-1, 4), axis=0)) == 2


def test_still_life_fills_the_cameras_view_without_leaving_it() -> None:
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 128
    collection = build_scene(scene)
    bpy.context.view_layer.update()
    seen = np.array(
        [
            world_to_camera_view(scene, scene.camera, item.matrix_world @ vertex.co)
            for item in collection.all_objects
            for vertex in item.data.vertices
        ]
    )
    assert (seen[:, :2] > 0).all() and (seen[:, :2] < 1).all()
    assert np.ptp(seen[:, 0]) > 0.6


def write_glb(path: Path, corners: np.ndarray) -> None:
    """A glTF of one tetrahedron with the given corners (4, 3) in Blender's axes.

    By hand: Blender 4.2's own exporter makes the bpy module crash when the interpreter ends."""
    y_up = np.stack([corners[:, 0], corners[:, 2], -corners[:, 1]], axis=-1).astype("<f4")
    faces = np.array([(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)], "<u2")
    bounds = {"min": y_up.min(axis=0).tolist(), "max": y_up.max(axis=0).tolist()}
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", **bounds},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": y_up.nbytes},
            {"buffer": 0, "byteOffset": y_up.nbytes, "byteLength": faces.nbytes},
        ],
        "buffers": [{"byteLength": y_up.nbytes + faces.nbytes}],
    }  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary = y_up.tobytes() + faces.tobytes()
    length = 12 + 8 + len(text) + 8 + len(binary)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, length) + chunks)


@pytest.mark.parametrize("suffix", [".obj", ".glb", ".blend"])
def test_models_come_in_whole(tmp_path: Path, suffix: str) -> None:
    corners = np.array([(3.0, 1.0, 0.0), (4.0, 1.0, 0.0), (3.0, 2.0, 0.0), (3.0, 1.0, 1.5)])
    add_mesh(bpy.context.scene, corners, [(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)])
    path = tmp_path / f"thing{suffix}"
    if suffix == ".obj":
        bpy.ops.wm.obj_export(filepath=str(path))
    elif suffix == ".glb":
        write_glb(path, corners)
    else:
        bpy.ops.wm.save_as_mainfile(filepath=str(path))

    bpy.ops.wm.read_factory_settings(use_empty=True)
    collection = import_model(bpy.context.scene, path)
    (item,) = [item for item in collection.all_objects if item.type == "MESH"]
    found = np.array([item.matrix_world @ vertex.co for vertex in item.data.vertices])
    distances = np.linalg.norm(found[:, None] - corners[None], axis=-1)
    assert distances.min(axis=0).max() < 1e-4 and distances.min(axis=1).max() < 1e-4
    assert [other.type for other in bpy.context.scene.objects if other.type == "LIGHT"] == ["LIGHT"]
    assert bpy.context.scene.camera is not None


@pytest.mark.parametrize("suffix", [".obj", ".glb", ".blend"])
def test_what_is_no_model_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"nothing{suffix}"
    path.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"could not be read|holds no shape"):
        import_model(bpy.context.scene, path)
