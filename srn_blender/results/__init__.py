"""What the engine sends back, inside Blender: image datablocks and compositor trees."""
