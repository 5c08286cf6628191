"""The part of `scene.srn` that says what to train and how."""

from __future__ import annotations

from bpy.props import EnumProperty, FloatProperty, StringProperty

from .. import compat

PRESETS = (
    ("fast", "Fast", "Good views after a minute, also without a GPU"),
    ("paper", "Paper", "The networks of Sitzmann et al. 2019; slower, and the views are softer"),
)


class TrainProperties:
    """Mixed into `scene.srn`."""

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
