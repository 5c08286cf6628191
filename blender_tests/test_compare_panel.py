"""What the panel Compare says where the render cannot show what is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import srn_blender
from srn_blender.capture.camera import Camera
from srn_blender.results import view
from srn_blender.ui.compare_operators import build_comparison
from srn_blender.ui.compare_panel import why_missing

CAMERA = Camera(np.eye(4), 8.0, 8.0, 4.0, 4.0, 8, 8)
CLASSES = ("background", "leg", "seat")


@pytest.fixture
def scene() -> Iterator[Any]:
    srn_blender.register()
    yield bpy.context.scene
    srn_blender.unregister()


def show_view(classes: tuple[str, ...]) -> None:
    """A neural view of a run with these classes, as the engine sends it."""
    arrays = {"colour": np.zeros((8, 8, 4), np.float32), "depth": np.ones((8, 8), np.float32)}
    if len(classes) > 1:
        arrays["semantic"] = np.ones((8, 8), np.uint8)
    palette = np.zeros((len(classes), 3))
    trained = view.Trained(Path("/run"), "one", "One", np.zeros(3), 1.0, palette, len(classes) > 1, classes)
    for _ in view.show(arrays, CAMERA, trained, stamp=""):
        pass


def test_labels_that_are_missing_are_told(scene: Any) -> None:
    show_view(CLASSES[:1])
    build_comparison(scene)
    told = {}
    for mode in ("WIPE", "DEPTH_ERROR", "LABELS", "MASK"):
        scene.srn.compare_mode = mode
        told[mode] = why_missing(scene)
    without = "Choose another comparison: the neural view has no labels."
    assert told == {"WIPE": "", "DEPTH_ERROR": "", "LABELS": without, "MASK": without}
    show_view(CLASSES)  # of a run that has learned labels
    scene.srn.compare_mode, scene.srn.compare_class = "MASK", "seat"
    assert why_missing(scene).startswith("Press Rebuild")
    build_comparison(scene)
    assert why_missing(scene) == ""
    scene.srn.compare_mode = "LABELS"
    assert why_missing(scene) == ""
    show_view(CLASSES[:1])  # the labels of the view before are still there
    assert why_missing(scene) == without
