"""SRN for Blender: turns objects into neural scenes and brings them back."""
