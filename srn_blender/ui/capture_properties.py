"""The part of `scene.srn` that says what to capture and how."""

from __future__ import annotations

import dataclasses
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from .. import compat
from ..capture.settings import CaptureSettings

# What stands as a default in CaptureSettings is not written a second time here.
CAPTURE: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(CaptureSettings)}

INSTANCES = (
    ("one", "One", "Everything together is one instance"),
    ("objects", "Each Object", "Every object is an instance, with its children; the others are not seen beside it"),
    ("collections", "Each Collection", "Every collection inside the chosen one is an instance"),
    ("frames", "Each Frame", "Every frame of the scene's frame range is an instance of everything together"),
)
ENGINES = (
    ("cycles", "Cycles", "Traced light: slower, and the most exact"),
    ("eevee", "EEVEE", "Fast, by the graphics card; needs one"),
    ("workbench", "Workbench", "Plain shading, as under Render > Workbench; needs a graphics card"),
)
PASSES = (
    ("rgba", "Alpha", "Colour with alpha, which tells the object from the background"),
    ("depth", "Depth", "How far each pixel's surface is from the camera"),
    ("normal", "Normal", "Which way each pixel's surface faces"),
)


class CaptureProperties:
    """Mixed into the property group of the scene."""

    collection: PointerProperty(
        name="Collection",
        description="What to capture; the selected objects where this is empty",
        type=bpy.types.Collection,
    )
    instances: EnumProperty(
        name="Instances",
        description="What of it is captured for itself, as an instance of the dataset",
        items=INSTANCES,
    )
    align: BoolProperty(
        name="Align",
        description="Undo each instance's own rotation, so that all face alike; the file's objects stay as they are",
    )
    engine: EnumProperty(
        name="Engine",
        description="What renders the colours; depth, normals and labels are always traced by Cycles, one ray a pixel",
        items=ENGINES,
        default=CAPTURE["engine"],
    )
    passes: EnumProperty(
        name="Passes",
        description="What is captured beside the colour; labels have settings of their own",
        items=PASSES,
        options={"ENUM_FLAG"},
        default=set(CAPTURE["passes"]),
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
        description="Samples of each pixel; more take longer and leave less noise",
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
