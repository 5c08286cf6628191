"""What scripts/demo runs inside Blender."""
