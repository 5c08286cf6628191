"""The part of `scene.srn` that says what to capture and how."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
from bpy.props import IntProperty, PointerProperty, StringProperty

from .. import compat
from ..capture.settings import CaptureSettings

# What stands as a default in CaptureSettings is not written a second time here.
CAPTURE: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(CaptureSettings)}


class CaptureProperties:
    """Mixed into the property group of the scene."""

    collection: PointerProperty(
        name="Collection",
        description="What to capture as one instance; the selected objects where this is empty",
        type=bpy.types.Collection,
    )
    dataset_path: StringProperty(
        name="Dataset",
        description="Folder that captured views are written into; // is the folder of the saved file",
        subtype="DIR_PATH",
        default="//srn/dataset",
        options=compat.PATH_OPTIONS,
    )
    train_views: IntProperty(
        name="Training Views",
        description="Views to train on; more make a better neural scene",
        default=CAPTURE["train_views"],
        min=1,
        soft_max=500,
        max=100_000,
    )
    val_views: IntProperty(
        name="Validation",
        description="Views that show how good the training is while it runs",
        default=CAPTURE["val_views"],
        min=0,
        soft_max=100,
        max=100_000,
    )
    test_views: IntProperty(
        name="Test",
        description="Views that the training never sees, to measure the result with",
        default=CAPTURE["test_views"],
        min=0,
        soft_max=100,
        max=100_000,
    )
    size: IntProperty(
        name="Size",
        description="The longer side of each view in pixels",
        default=CAPTURE["size"],
        min=16,
        soft_max=512,
        max=8192,
        subtype="PIXEL",
    )
    samples: IntProperty(
        name="Samples",
        description="Cycles samples of each pixel; more take longer and leave less noise",
        default=CAPTURE["samples"],
        min=1,
        soft_max=1024,
        max=65536,
    )
    seed: IntProperty(
        name="Seed",
        description="Another seed turns the rig another way, and jitters it otherwise",
        default=CAPTURE["seed"],
        min=0,
    )
