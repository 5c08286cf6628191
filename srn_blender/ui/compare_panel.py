"""The panel Compare."""

from __future__ import annotations

from typing import Any

import bpy

from ..results import compositor, images
from .panel_parts import SidebarPanel, sentence
from .properties import settings_of


class SRN_PT_compare(SidebarPanel):
    bl_idname = "SRN_PT_compare"
    bl_label = "Compare"

    def draw(self, context: Any) -> None:
        if not compositor.is_built(context.scene):
            self.layout.operator("srn.compare", icon="NODE_COMPOSITING")
            ready = images.COLOUR in bpy.data.images
            text = "Puts the comparison into the compositor." if ready else "Render a neural view first."
            sentence(self.layout, text, "INFO")
            return
        self.columns().prop(settings_of(context.scene), "compare_mode")
        self.layout.operator("render.render", text="Render Comparison", icon="RENDER_STILL")
        row = self.layout.row(align=True)
        row.operator("srn.compare", text="Rebuild", icon="FILE_REFRESH")
        row.operator("srn.compare_remove", text="Remove", icon="X")
