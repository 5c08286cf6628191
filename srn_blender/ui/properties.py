"""`scene.srn`: what the person chooses, saved with the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, FloatProperty, PointerProperty, StringProperty

from .. import compat
from ..errors import UserError
from ..results import compositor
from .capture_properties import CaptureProperties
from .label_properties import LabelProperties
from .rig_properties import RigProperties

PRESETS = (
    ("fast", "Fast", "Good views after a minute, also without a GPU"),
    ("paper", "Paper", "The networks of Sitzmann et al. 2019; slower, and the views are softer"),
)
MODES = tuple((identifier, name, tip) for identifier, name, tip, _ in compositor.MODES)


def _show_comparison(settings: SRN_PG_settings, context: Any) -> None:
    owner = settings.id_data
    if isinstance(owner, bpy.types.Scene):
        compositor.select(owner, settings.compare_mode)


class SRN_PG_settings(CaptureProperties, LabelProperties, RigProperties, bpy.types.PropertyGroup):
    """Everything the operators need beyond the scene itself."""

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
