"""What a person can choose about a capture, and the only place of its defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

PLACED_RIGS = ("sphere", "hemisphere", "spiral", "turntable")  # around the object
FOUND_RIGS = ("cameras", "animation", "saved")  # poses that exist already
RIGS = PLACED_RIGS + FOUND_RIGS
POSES_UNITS = ("dataset", "blender")
ENGINES = ("cycles", "eevee", "workbench")
PASSES = ("rgba", "depth", "normal")
LABELS = ("material", "object", "collection", "property", "none")


@dataclass(frozen=True)
class LabelClass:
    """A semantic class: its name, its colour in sRGB from 0 to 1, and the names of the sources that belong to it."""

    name: str
    colour: tuple[float, float, float]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class CaptureSettings:
    """What a person can choose.

    size: the longer side of each view in pixels.
    Of the rigs that are placed: focal_length is in millimetres, on a sensor of 36; distance is 1 where the unit sphere
    just fills the picture; rings are those of a turntable, or the turns of a spiral, between two elevations in radians;
    the jitters are the largest tilt in radians and the largest share of the distance.
    Of those that are found: an empty camera_collection means all of the scene; poses_units says whether the poses at
    poses_path are around the unit sphere or where Blender's units put them; hold_out is that of `rigs.saved.divide`.
    passes: beside rgb, which is always there; semantic comes with labels. samples: Workbench has none.
    classes: where there are none, each source of labels is a class. labelled_views: how many training views of an
    instance get labels, and labelled_instances of how many instances, the first ones; 0 for all.
    """

    root: Path
    name: str = "capture"
    rig: str = "sphere"
    focal_length: float = 50.0
    distance: float = 1.04
    rings: int = 3
    lowest_elevation: float = 0.0
    highest_elevation: float = math.radians(60)
    jitter_angle: float = 0.0
    jitter_distance: float = 0.0
    camera_collection: str = ""
    poses_path: str = ""
    poses_units: str = "dataset"
    hold_out: int = 8
    train_views: int = 50
    val_views: int = 5
    test_views: int = 20
    size: int = 128
    engine: str = "cycles"
    samples: int = 16
    seed: int = 0
    passes: tuple[str, ...] = PASSES
    labels: str = "material"
    label_property: str = ""
    classes: tuple[LabelClass, ...] = ()
    labelled_views: int = 0
    labelled_instances: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many views each split has, where the rig is placed."""
        return {"train": self.train_views, "val": self.val_views, "test": self.test_views}
