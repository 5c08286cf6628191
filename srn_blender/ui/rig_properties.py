"""The part of `scene.srn` that says where the cameras stand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from .. import compat
from ..capture.settings import CaptureSettings
from .capture_properties import CAPTURE

RIGS = (
    ("sphere", "Sphere", "Cameras all around the object"),
    ("hemisphere", "Hemisphere", "Cameras around and above the object, none below"),
    ("spiral", "Spiral", "Cameras along a spiral around the object, one after the other as in a film"),
    ("turntable", "Turntable", "Rings of cameras around the object, one above the other"),
    ("cameras", "Existing Cameras", "The cameras of a collection, or all of the scene"),
    ("animation", "Animated Camera", "The scene's camera at each frame of the frame range; the object stands still"),
    ("saved", "Saved Poses", "The cameras of an earlier dataset, or of a transforms.json"),
)
POSES_UNITS = (
    (
        "dataset",
        "Around the Object",
        "The poses stand around what is captured now as they stood around the unit sphere",
    ),
    ("blender", "World", "The poses stay where they are in Blender's units"),
)
# What of the settings a rig depends on.
RIG_SETTINGS: tuple[str, ...] = ("rig", "focal_length", "distance", "rings", "lowest_elevation", "highest_elevation")
RIG_SETTINGS += ("jitter_angle", "jitter_distance", "camera_collection", "poses_path", "poses_units", "hold_out")
RIG_SETTINGS += ("train_views", "val_views", "test_views", "size", "seed")


class RigProperties:
    """Mixed into the property group of the scene."""

    rig: EnumProperty(name="Rig", description="Where the cameras are placed", items=RIGS, default=CAPTURE["rig"])
    focal_length: FloatProperty(
        name="Focal Length",
        description="Of the cameras' lens, on a sensor of 36 mm",
        default=CAPTURE["focal_length"],
        min=5.0,
        soft_max=200.0,
        max=1000.0,
        unit="CAMERA",
        precision=1,
        step=100,
    )
    distance: FloatProperty(
        name="Distance",
        description="How far the cameras stand: at 1 the sphere around the object just fills the picture",
        default=CAPTURE["distance"],
        min=0.1,
        soft_max=5.0,
        max=100.0,
        precision=2,
        step=1,
    )
    rings: IntProperty(
        name="Rings",
        description="How many rings of cameras a turntable has, or how many turns a spiral takes",
        default=CAPTURE["rings"],
        min=1,
        soft_max=20,
        max=1000,
    )
    lowest_elevation: FloatProperty(
        name="Lowest",
        description="How high the lowest cameras stand above the object's middle, as seen from there",
        default=CAPTURE["lowest_elevation"],
        min=-math.pi / 2,
        max=math.pi / 2,
        subtype="ANGLE",
    )
    highest_elevation: FloatProperty(
        name="Highest",
        description="How high the highest cameras stand above the object's middle, as seen from there",
        default=CAPTURE["highest_elevation"],
        min=-math.pi / 2,
        max=math.pi / 2,
        subtype="ANGLE",
    )
    jitter_angle: FloatProperty(
        name="Jitter Angle",
        description="How far each camera may stand aside of its place, as seen from the object",
        default=CAPTURE["jitter_angle"],
        min=0.0,
        max=math.pi / 2,
        subtype="ANGLE",
    )
    jitter_distance: FloatProperty(
        name="Jitter Distance",
        description="How much nearer or further each camera may stand, as a share of the distance",
        default=CAPTURE["jitter_distance"],
        min=0.0,
        max=0.9,
        subtype="FACTOR",
    )
    camera_collection: StringProperty(
        name="Cameras",
        description="The collection whose cameras are used; all cameras of the scene where this is empty",
        default=CAPTURE["camera_collection"],
    )
    poses_path: StringProperty(
        name="Poses",
        description="A dataset.json, a transforms.json or the folder of one; its lens is taken too, without distortion",
        subtype="FILE_PATH",
        default=CAPTURE["poses_path"],
        options=compat.PATH_OPTIONS,
    )
    poses_units: EnumProperty(
        name="Placed", description="Where saved poses stand", items=POSES_UNITS, default=CAPTURE["poses_units"]
    )
    hold_out: IntProperty(
        name="Hold Out",
        description="Of cameras without splits every so many-th is for test, one half-way for validation; 0 for none",
        default=CAPTURE["hold_out"],
        min=0,
        soft_max=50,
        max=10_000,
    )
    show_rig: BoolProperty(
        name="Show Cameras", description="Draw the cameras of the next capture in the 3D view, and look for trouble"
    )


def rig_settings(settings: Any) -> CaptureSettings:
    """What of `scene.srn` a rig depends on; the rest is as by default."""
    chosen = {name: getattr(settings, name) for name in RIG_SETTINGS}
    return CaptureSettings(root=Path(), **chosen)
