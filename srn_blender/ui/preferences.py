"""The add-on's preferences: where the engine comes from, and how it is installed."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from ..engine.torch_builds import AUTO, BUILDS
from .engine_choice import ADD_ON, INSTALLED, SOURCES
from .engine_setup import draw_preferences


class SRN_AddonPreferences(bpy.types.AddonPreferences):
    """Kept with Blender, not with a file."""

    bl_idname = ADD_ON

    source: EnumProperty(
        name="Engine",
        description="Where the engine is, the program that trains and renders",
        items=SOURCES,
        default=INSTALLED,
    )
    interpreter: StringProperty(
        name="Engine's Python",
        description="The Python interpreter that the engine is installed in, as in /home/me/srn/.venv/bin/python",
        subtype="FILE_PATH",
    )
    host: StringProperty(
        name="Address",
        description="The other computer and the port that the engine listens on, as in render-box:8765",
    )
    token: StringProperty(
        name="Token",
        description="The engine's password, which it was started with. Kept in Blender's preferences",
        subtype="PASSWORD",
    )
    torch_build: EnumProperty(
        name="PyTorch",
        description="Which build of PyTorch is installed with the engine",
        items=[(AUTO, "Proposed", "What fits this computer"), *((one.name, one.title, one.tip) for one in BUILDS)],
        default=AUTO,
    )
    engine_folder: StringProperty(
        name="Folder",
        description="The engine is installed into a folder in here. Empty: Blender's own folder for this add-on",
        subtype="DIR_PATH",
    )
    package_index: StringProperty(
        name="Package Index",
        description="Address of a mirror to download everything from. Empty: PyPI and PyTorch's own index, "
        "or what pip is configured with on this computer",
    )

    def draw(self, context: Any) -> None:
        draw_preferences(self.layout, context, self)


def register() -> None:
    bpy.utils.register_class(SRN_AddonPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(SRN_AddonPreferences)
