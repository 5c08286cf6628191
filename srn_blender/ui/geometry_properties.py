"""The part of `scene.srn` that says what geometry to extract."""

from __future__ import annotations

from bpy.props import EnumProperty, IntProperty

KINDS = (
    ("mesh", "Mesh", "A surface of triangles"),
    ("points", "Point Cloud", "Points spread evenly over the surface, as vertices without faces"),
)


class GeometryProperties:
    """Mixed into `scene.srn`."""

    geometry: EnumProperty(name="Geometry", description="What is extracted of a neural scene", items=KINDS)
    mesh_resolution: IntProperty(
        name="Resolution",
        description="Points a side of the grid that the surface is found in; more show finer detail and take longer",
        default=128,
        min=16,
        max=512,
    )
    point_count: IntProperty(
        name="Points",
        description="How many points the cloud has",
        default=100_000,
        min=1,
        soft_max=1_000_000,
        max=10_000_000,
    )
