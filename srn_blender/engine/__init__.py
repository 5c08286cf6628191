"""The engine as Blender sees it: starting it, talking to it, its jobs."""
