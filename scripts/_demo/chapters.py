"""The chapters of the manual as they are done in a window: docs/manual has the same steps in words.

Each goes on where the one before left its file and its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bpy
from mathutils import Vector

from .chairs import PART, build_chairs
from .scene import add_camera, add_light, build_scene
from .window import Window

srn: Any = bpy.ops.srn
CHAIRS = 12
NEW_CHAIR = 1000  # its seed: the class has the first ones of seed 0


def settings() -> Any:
    return bpy.context.scene.srn


def prepare(width: int, height: int) -> None:
    scene: Any = bpy.context.scene
    scene.view_settings.view_transform = "Standard"
    scene.cycles.use_denoising = False  # some builds have no denoiser
    scene.render.resolution_x, scene.render.resolution_y = width, height


def first_comparison(window: Window) -> Iterator[float]:
    yield from window.begin("first")
    scene: Any = bpy.context.scene
    prepare(480, 360)
    settings().collection = build_scene(scene)
    yield from window.frame("Tray", 3.0)
    yield from window.focus("SRN_PT_capture", "SRN_PT_rig")
    settings().show_rig = True
    yield from window.picture("first-rig")
    settings().show_rig = False
    yield from window.press(srn.capture_views)
    yield from window.until(window.passed("capture", 0.4), "the capture's middle")
    yield from window.picture("first-capturing")
    yield from window.work_to_end("capture")
    yield from window.focus("SRN_PT_train", "SRN_PT_train_progress")
    yield from window.press(srn.train)
    yield from window.until(window.passed("train", 0.8), "the training's end")
    yield from window.picture("first-training", "VIEW_3D")
    yield from window.work_to_end("train")
    yield from window.press(srn.render_view)
    yield from window.work_to_end("render")
    for mode, name in (("WIPE", "first-wipe"), ("DIFFERENCE", "first-heat")):
        settings().compare_mode = mode
        yield from window.press(srn.compare)
        yield from window.render(name)
    yield from window.press(srn.place_instance)
    scene.render.engine = "SRN"
    yield from window.shade("RENDERED", 6.0)
    yield from window.focus("SRN_PT_placed")
    yield from window.picture("first-viewport", "VIEW_3D")
    yield from window.shade("SOLID", 0.0)


def class_of_chairs(window: Window) -> Iterator[float]:
    yield from window.begin("chairs")
    scene: Any = bpy.context.scene
    prepare(480, 360)
    settings().collection = build_chairs(scene, CHAIRS)
    add_light(scene)
    add_camera(scene, Vector((3.2, 3.2, 0.4)), 4.5)
    settings().instances = "collections"
    settings().train_views, settings().val_views, settings().test_views, settings().size = 12, 1, 2, 64
    settings().labels, settings().label_property = "property", PART
    settings().labelled_views, settings().labelled_instances = 3, 10
    yield from window.frame(f"seat.{CHAIRS // 2:03d}", 7.0)
    yield from window.focus("SRN_PT_capture", "SRN_PT_rig")
    yield from window.picture("chairs-capture", "VIEW_3D")
    yield from labels(window)
    yield from window.press(srn.capture_views)
    yield from window.work_to_end("capture")
    yield from window.focus("SRN_PT_train", "SRN_PT_train_progress")
    settings().seconds = 300.0
    yield from window.press(srn.train)
    yield from window.work_to_end("train")
    yield from window.picture("chairs-trained", "VIEW_3D")
    yield from blend(window)
    yield from new_chair(window)


def labels(window: Window) -> Iterator[float]:
    yield from window.press(srn.fill_classes)
    yield from window.press(srn.label_preview)
    yield from window.focus("SRN_PT_capture", "SRN_PT_labels")
    yield from window.picture("labels-classes", "VIEW_3D")
    yield from window.press(srn.label_preview)


def blend(window: Window) -> Iterator[float]:
    hide("Chairs", True)
    yield from window.press(srn.place_instance, instance="Chair_01")
    empty: Any = bpy.context.object
    empty.srn.second, empty.srn.blend = "Chair_05", 0.5
    bpy.context.scene.render.engine = "SRN"
    yield from window.frame(empty.name, 2.2)
    yield from window.shade("RENDERED", 8.0)
    yield from window.focus("SRN_PT_placed")
    yield from window.picture("chairs-blend", "VIEW_3D")
    yield from window.shade("SOLID", 0.0)
    bpy.data.objects.remove(empty)
    bpy.context.scene.render.engine = "CYCLES"


def new_chair(window: Window) -> Iterator[float]:
    scene: Any = bpy.context.scene
    chair = build_chairs(scene, 1, NEW_CHAIR)
    for camera in [one for one in scene.objects if one.type == "CAMERA"]:
        bpy.data.objects.remove(camera)
    add_camera(scene, Vector((0.0, 0.0, 0.4)), 0.8)
    for item in chair.all_objects:
        item.select_set(True)
    yield from window.frame(f"seat.{CHAIRS:03d}", 2.2)
    yield from window.press(srn.fit)
    yield from window.work_to_end("fit")
    yield from window.press(srn.render_view)
    yield from window.work_to_end("render")
    yield from window.focus("SRN_PT_fit", "SRN_PT_render")
    yield from window.picture("chairs-fitted", "VIEW_3D")
    yield from window.picture_of("SRN Labels", "labels-predicted")
    yield from window.press(srn.extract_geometry)
    yield from window.work_to_end("geometry")
    mesh: Any = next(item for item in scene.objects if item.name.endswith("Surface"))
    mesh.location.x += 1.2
    yield from window.frame(mesh.name, 3.0)
    yield from window.shade("MATERIAL", 6.0)
    yield from window.focus("SRN_PT_geometry")
    yield from window.picture("chairs-mesh", "VIEW_3D")


def hide(collection: str, hidden: bool) -> None:
    bpy.context.view_layer.layer_collection.children[collection].exclude = hidden


CHAPTERS: Mapping[str, Callable[[Window], Iterator[float]]] = {"first": first_comparison, "chairs": class_of_chairs}
