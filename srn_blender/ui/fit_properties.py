"""The part of `scene.srn` that says what to fit, and from what."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, FloatProperty, PointerProperty

SOURCES = (
    ("cameras", "Scene's Cameras", "The selected object, rendered through the cameras of the scene"),
    ("images", "Pictures", "The background images of the selected cameras, or of the scene's active one"),
)


class FitProperties:
    """Mixed into `scene.srn`."""

    fit_source: EnumProperty(name="Fit From", description="Where the views of the new object come from", items=SOURCES)
    fit_reference: PointerProperty(
        name="Reference",
        description="Object or empty that lies where the object in the pictures lies, and is as large; "
        "the 3D cursor and the radius where this is empty",
        type=bpy.types.Object,
    )
    fit_radius: FloatProperty(
        name="Radius",
        description="How far the object in the pictures reaches from the 3D cursor",
        default=1.0,
        min=1e-4,
        soft_max=100.0,
        subtype="DISTANCE",
        unit="LENGTH",
    )
