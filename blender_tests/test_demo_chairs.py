"""The class of chairs of the manual, in every Blender."""

import bpy
import numpy as np
from _demo.chairs import PART, PARTS, build_chairs


def corners(chair: bpy.types.Collection) -> np.ndarray:
    return np.array([item.matrix_world @ vertex.co for item in chair.objects for vertex in item.data.vertices])


def test_every_chair_is_another_one_and_the_same_again() -> None:
    first = build_chairs(bpy.context.scene, 4)
    again = build_chairs(bpy.context.scene, 9)
    bpy.context.view_layer.update()
    shapes = [corners(chair) for chair in first.children]
    sizes = [np.ptp(shape, axis=0) for shape in shapes]
    assert all(not np.allclose(one, other) for i, one in enumerate(sizes) for other in sizes[:i])
    for chair, size in zip(list(again.children)[:4], sizes, strict=True):
        np.testing.assert_allclose(np.ptp(corners(chair), axis=0), size, atol=1e-6)


def test_chairs_stand_apart_on_the_floor_and_face_outward() -> None:
    chairs = build_chairs(bpy.context.scene, 5)
    bpy.context.view_layer.update()
    boxes = [(corners(chair).min(0), corners(chair).max(0)) for chair in chairs.children]
    for i, (low, high) in enumerate(boxes):
        assert abs(low[2]) < 1e-6 and high[2] < 1.5
        assert all((low > other_high)[:2].any() or (high < other_low)[:2].any() for other_low, other_high in boxes[:i])
    for chair in chairs.children:
        assert {item[PART] for item in chair.objects} <= set(PARTS) and chair.objects
        for item in chair.objects:
            assert all(face.normal.dot(face.center) > 0 for face in item.data.polygons), item.name
