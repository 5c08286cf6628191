"""Object > SRN: the steps of the work without the sidebar, and where the menu search (F3) finds them."""

from __future__ import annotations

from typing import Any

import bpy


class SRN_MT_object(bpy.types.Menu):
    bl_idname = "SRN_MT_object"
    bl_label = "SRN"

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        layout.operator_context = "INVOKE_DEFAULT"  # modal, as the buttons are
        layout.operator("srn.capture_views", icon="OUTLINER_OB_CAMERA")
        layout.operator("srn.capture_adaptively", icon="VIEWZOOM")
        layout.operator("srn.label_preview", icon="HIDE_OFF")
        layout.operator("srn.inspect", icon="VIEWZOOM")
        layout.operator_menu_enum("srn.dataset_export", "layout", icon="EXPORT")
        layout.separator()
        layout.operator("srn.train", icon="PLAY").new_run = True
        layout.operator("srn.train_continue", icon="PLAY")
        layout.operator("srn.train_pause", icon="PAUSE")
        layout.operator("srn.render_view", icon="RENDER_STILL")
        layout.operator("srn.place_instance", icon="EMPTY_AXIS")
        layout.operator("srn.combine", icon="NODE_COMPOSITING")
        layout.operator("srn.compare", icon="NODE_COMPOSITING")
        layout.operator("srn.report", icon="FILE_TEXT")
        layout.operator("srn.report_open", icon="URL")
        layout.operator("srn.fit", icon="MOD_SHRINKWRAP")
        layout.operator("srn.extract_geometry", icon="MESH_DATA")
        layout.separator()
        layout.operator("srn.engine_start", icon="PLAY")
        layout.operator("srn.engine_stop", icon="PAUSE")
        layout.operator("srn.engine_check", icon="CHECKMARK")
        layout.operator("srn.engine_install", icon="IMPORT")


def _entry(menu: Any, context: Any) -> None:
    menu.layout.separator()
    menu.layout.menu(SRN_MT_object.bl_idname)


def register() -> None:
    bpy.utils.register_class(SRN_MT_object)
    menu: Any = bpy.types.VIEW3D_MT_object
    menu.append(_entry)


def unregister() -> None:
    menu: Any = bpy.types.VIEW3D_MT_object
    menu.remove(_entry)
    bpy.utils.unregister_class(SRN_MT_object)
