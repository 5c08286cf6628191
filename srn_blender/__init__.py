"""SRN for Blender: turns objects into neural scenes and brings them back."""

import atexit

import bpy

from .engine import pump
from .ui import (
    adaptive_operators,
    adaptive_panel,
    capture_command,
    capture_operator,
    capture_presets,
    combine_operators,
    compare_live,
    compare_operators,
    compare_swatches,
    engine_operators,
    fit_operators,
    geometry_operators,
    inspect_operators,
    inspect_panel,
    install_operators,
    label_operators,
    label_panel,
    label_properties,
    long_work,
    menus,
    panels,
    placed_engine,
    placed_operators,
    placed_panel,
    placed_properties,
    preferences,
    properties,
    report_operators,
    rig_panel,
    rig_preview,
    runs_list,
    runs_operators,
    runs_panel,
    train_icons,
    train_operators,
    train_watch,
    view_operators,
)

# In the order in which they need each other.
MODULES = (
    pump,
    preferences,
    label_properties,
    runs_list,
    properties,
    placed_properties,
    long_work,
    engine_operators,
    install_operators,
    capture_operator,
    adaptive_operators,
    capture_command,
    capture_presets,
    label_operators,
    train_icons,
    train_operators,
    runs_operators,
    view_operators,
    compare_swatches,
    compare_live,
    compare_operators,
    fit_operators,
    geometry_operators,
    report_operators,
    inspect_operators,
    placed_operators,
    placed_engine,
    combine_operators,
    placed_panel,
    runs_panel,
    panels,
    train_watch,
    menus,
    rig_preview,
    rig_panel,
    adaptive_panel,
    label_panel,
    inspect_panel,
)


_left = False  # at the end of Blender as a module, which then disables its extensions once more


def _leave() -> None:
    global _left
    unregister()
    _left = True


def register() -> None:
    for module in MODULES:
        module.register()
    if not bpy.app.binary_path:  # Blender as a module ends without unregistering; 4.2 then crashes and 4.5 hangs
        atexit.register(_leave)


def unregister() -> None:
    global _left
    if _left:
        return
    atexit.unregister(_leave)
    for module in reversed(MODULES):
        module.unregister()
