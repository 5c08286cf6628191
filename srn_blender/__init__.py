"""SRN for Blender: turns objects into neural scenes and brings them back."""

from .engine import pump
from .ui import capture_operator, engine_operators, neural_operators, panels, preferences, properties

# In the order in which they need each other.
MODULES = (pump, preferences, properties, engine_operators, capture_operator, neural_operators, panels)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
