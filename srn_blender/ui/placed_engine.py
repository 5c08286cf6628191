"""The render engine SRN in Blender's interface: Blender's own panels, and three of ours."""

from __future__ import annotations

from typing import Any

import bpy

from ..results import render_engine_orders as orders
from ..results.render_engine import SRN_RenderEngine
from .engine_choice import open_engine
from .panel_parts import sentence

ENGINE = SRN_RenderEngine.bl_idname
# Panels for every engine name Blender's old one. Of these two are for what this engine does not have.
FOR_EVERY_ENGINE = "BLENDER_RENDER"
NOT_OURS = {"VIEWLAYER_PT_filter", "VIEWLAYER_PT_layer_passes"}
# The world's nodes; they stand for its colour here.
ALSO_OURS = {"EEVEE_WORLD_PT_surface"}


class EnginePanel(bpy.types.Panel):
    """What is common to the panels that show with this engine alone."""

    layout: Any

    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and context.scene.render.engine in cls.COMPAT_ENGINES

    def columns(self) -> Any:
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        return column


class SRN_PT_engine_film(EnginePanel):
    bl_idname = "SRN_PT_engine_film"
    bl_label = "Film"
    bl_context = "render"

    def draw(self, context: Any) -> None:
        self.columns().prop(context.scene.render, "film_transparent", text="Transparent")
        sentence(self.layout, "Renders the placed instances of the scene, and the colour of its world.", "INFO")


class SRN_PT_engine_passes(EnginePanel):
    bl_idname = "SRN_PT_engine_passes"
    bl_label = "Passes"
    bl_context = "view_layer"

    def draw(self, context: Any) -> None:
        column = self.columns()
        column.prop(context.view_layer, "use_pass_z", text="Depth")
        column.prop(context.view_layer, "use_pass_normal", text="Normal")
        sentence(self.layout, "Combined and Semantic, the ids of the classes, are always there.", "INFO")


CLASSES = (SRN_RenderEngine, SRN_PT_engine_film, SRN_PT_engine_passes)
_opened_to_us: list[Any] = []  # Blender's panels that show with this engine because of us


def _blenders_panels() -> list[Any]:
    found = []
    for panel in bpy.types.Panel.__subclasses__():
        engines = getattr(panel, "COMPAT_ENGINES", ())
        name = panel.__name__
        if ENGINE not in engines and (name in ALSO_OURS or (FOR_EVERY_ENGINE in engines and name not in NOT_OURS)):
            found.append(panel)
    return found


def register() -> None:
    orders.start(lambda: open_engine(bpy.context))
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    _opened_to_us.extend(_blenders_panels())
    for panel in _opened_to_us:
        panel.COMPAT_ENGINES.add(ENGINE)


def unregister() -> None:
    for panel in _opened_to_us:
        panel.COMPAT_ENGINES.discard(ENGINE)
    _opened_to_us.clear()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
    orders.stop()
