"""The engine of SRN for Blender: trains neural scenes from posed views and renders them."""

__version__ = "0.1.0"
