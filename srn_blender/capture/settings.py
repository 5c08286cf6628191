"""What a person can choose about a capture, and the only place of its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RIGS = ("sphere", "hemisphere")
LABELS = ("material", "object", "collection", "property", "none")


@dataclass(frozen=True)
class LabelClass:
    """A semantic class: its name, its colour in sRGB from 0 to 1, and the names of the sources that belong to it."""

    name: str
    colour: tuple[float, float, float]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class CaptureSettings:
    """What a person can choose. `instance` is an id as `instance.instance_id` makes it; sizes are pixels.

    classes: where there are none, each source of labels is a class. labelled_views: how many training views of an
    instance get labels, 0 for all.
    """

    root: Path
    instance: str
    name: str = "capture"
    rig: str = "sphere"
    train_views: int = 50
    val_views: int = 5
    test_views: int = 20
    size: int = 128
    samples: int = 16
    seed: int = 0
    labels: str = "material"
    label_property: str = ""
    classes: tuple[LabelClass, ...] = ()
    labelled_views: int = 0
