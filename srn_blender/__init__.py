"""SRN for Blender: turns objects into neural scenes and brings them back."""

import atexit

import bpy

from .engine import pump
from .ui import capture_operator, engine_operators, neural_operators, panels, preferences, properties

# In the order in which they need each other.
MODULES = (pump, preferences, properties, engine_operators, capture_operator, neural_operators, panels)


def register() -> None:
    for module in MODULES:
        module.register()
    if not bpy.app.binary_path:  # Blender as a module ends without unregistering; 4.2 then crashes and 4.5 hangs
        atexit.register(unregister)


def unregister() -> None:
    atexit.unregister(unregister)
    for module in reversed(MODULES):
        module.unregister()
