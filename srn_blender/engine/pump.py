"""Calls `Engine.poll` while Blender has a window; a script without one polls by itself."""

import bpy

from .engine import engine

INTERVAL = 0.05  # seconds


def _pump() -> None:
    try:
        engine().poll()
    finally:
        # Not by its return value: Blender drops a timer whose function raised, and the next news would never come.
        bpy.app.timers.register(_pump, first_interval=INTERVAL, persistent=True)


def register() -> None:
    if not bpy.app.background:
        bpy.app.timers.register(_pump, first_interval=INTERVAL, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(_pump):
        bpy.app.timers.unregister(_pump)
    engine().close()
