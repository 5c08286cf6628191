"""`scene.srn`: what the person chooses, saved with the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import PointerProperty

from ..errors import UserError
from .adaptive_properties import AdaptiveProperties
from .capture_properties import CaptureProperties
from .compare_properties import CompareProperties
from .fit_properties import FitProperties
from .geometry_properties import GeometryProperties
from .label_properties import LabelProperties
from .rig_properties import RigProperties
from .train_properties import TrainProperties


class SRN_PG_settings(
    CaptureProperties,
    AdaptiveProperties,
    LabelProperties,
    RigProperties,
    TrainProperties,
    CompareProperties,
    FitProperties,
    GeometryProperties,
    bpy.types.PropertyGroup,
):
    """Everything the operators need beyond the scene itself."""


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
