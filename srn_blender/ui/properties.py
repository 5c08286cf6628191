"""`scene.srn`: what the person chooses, saved with the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from .. import compat
from ..capture.settings import CaptureSettings
from ..errors import UserError
from ..results import compositor

# What stands as a default in CaptureSettings is not written a second time here.
CAPTURE: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(CaptureSettings)}

RIGS = (
    ("sphere", "Sphere", "Cameras all around the object"),
    ("hemisphere", "Hemisphere", "Cameras around and above the object, none below"),
)
LABELS = (
    ("material", "Materials", "One class for each material"),
    ("object", "Objects", "One class for each object"),
    ("none", "None", "No labels"),
)
PRESETS = (
    ("fast", "Fast", "Good views after a minute, also without a GPU"),
    ("paper", "Paper", "The networks of Sitzmann et al. 2019; slower, and the views are softer"),
)
MODES = tuple((identifier, name, tip) for identifier, name, tip, _ in compositor.MODES)


def _show_comparison(settings: SRN_PG_settings, context: Any) -> None:
    owner = settings.id_data
    if isinstance(owner, bpy.types.Scene):
        compositor.select(owner, settings.compare_mode)


class SRN_PG_settings(bpy.types.PropertyGroup):
    """Everything the operators need beyond the scene itself."""

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
    rig: EnumProperty(name="Rig", description="Where the cameras are placed", items=RIGS, default=CAPTURE["rig"])
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
        description="Width and height of each view in pixels",
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
        description="Another seed turns the rig another way",
        default=CAPTURE["seed"],
        min=0,
    )
    labels: EnumProperty(
        name="Labels", description="What the semantic classes are", items=LABELS, default=CAPTURE["labels"]
    )
    run_path: StringProperty(
        name="Run",
        description="Folder that the training is written into; // is the folder of the saved file",
        subtype="DIR_PATH",
        default="//srn/run",
        options=compat.PATH_OPTIONS,
    )
    preset: EnumProperty(name="Preset", description="What is trained, and how", items=PRESETS)
    seconds: FloatProperty(
        name="Time",
        description="How long to train; longer makes a better neural scene",
        default=60.0,
        min=1.0,
        soft_max=3600.0,
        max=604_800.0,
        precision=0,
        step=1000,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
    )
    compare_mode: EnumProperty(
        name="Show", description="How Cycles and the neural view are compared", items=MODES, update=_show_comparison
    )


def settings_of(scene: bpy.types.Scene) -> Any:
    """`scene.srn`, which the type checker does not know."""
    return getattr(scene, "srn")  # noqa: B009


def folder_of(path: str, what: str) -> Path:
    """A folder setting as an absolute path. Raises UserError where it is empty, or where // means nothing yet.

    what: the setting's name, for the sentence.
    """
    if not path.strip():
        raise UserError(f"Choose a folder under {what}.")
    if path.startswith("//") and not bpy.data.filepath:
        raise UserError(f"Save the file first, or choose an absolute folder under {what}.")
    folder = Path(bpy.path.abspath(path)).expanduser()
    if not folder.is_absolute():
        raise UserError(f"Choose an absolute folder under {what}, or one that begins with //.")
    return folder


def register() -> None:
    bpy.utils.register_class(SRN_PG_settings)
    setattr(bpy.types.Scene, "srn", PointerProperty(type=SRN_PG_settings))  # noqa: B010


def unregister() -> None:
    delattr(bpy.types.Scene, "srn")
    bpy.utils.unregister_class(SRN_PG_settings)
