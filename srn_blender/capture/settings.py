"""What a person can choose about a capture, and the only place of its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RIGS = ("sphere", "hemisphere")
LABELS = ("material", "object", "none")


@dataclass(frozen=True)
class CaptureSettings:
    """What a person can choose. `instance` is an id as `instance.instance_id` makes it; sizes are pixels."""

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
