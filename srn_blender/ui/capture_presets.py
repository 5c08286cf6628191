"""Presets of a capture's settings, kept and chosen as everywhere in Blender: in the panel's header."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

from .capture_properties import CAPTURE
from .properties import settings_of

FOLDER = "srn/capture"
# The add-on's own presets lie beside the user's, under presets/ of this folder.
SHIPPED = str(Path(__file__).resolve().parents[1])
# What belongs to one file and its scene.
NOT_KEPT = {"name", "classes", "camera_collection", "poses_path"}


class SRN_OT_capture_preset_add(AddPresetBase, bpy.types.Operator):  # type: ignore[misc]
    """Keep the settings of the capture and its rig as a preset, or remove one"""

    bl_idname = "srn.capture_preset_add"
    bl_label = "Add Capture Preset"
    preset_menu = "SRN_PT_capture_presets"
    preset_subdir = FOLDER
    preset_defines: ClassVar[list[str]] = ["settings = bpy.context.scene.srn"]

    @property
    def preset_values(self) -> list[str]:
        """The properties that a preset keeps, as Python reads them."""
        context: Any = bpy.context
        settings = settings_of(context.scene)
        return [f"settings.{name}" for name in CAPTURE if name not in NOT_KEPT and hasattr(settings, name)]


class SRN_PT_capture_presets(PresetPanel, bpy.types.Panel):
    """The list of presets, with a field to add one."""

    bl_label = "Capture Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "srn.capture_preset_add"


CLASSES: tuple[Any, ...] = (SRN_OT_capture_preset_add, SRN_PT_capture_presets)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.utils.register_preset_path(SHIPPED)


def unregister() -> None:
    bpy.utils.unregister_preset_path(SHIPPED)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
