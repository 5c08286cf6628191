"""The preview of a training: which view to ask the engine for, and its pictures as an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..capture.manifest import read_manifest
from ..errors import UserError
from . import images, view

NAME = "SRN Preview"
LONGER_SIDE = 256  # pixels: what the sidebar has room for, and a processor renders in a fraction of a second


@dataclass(frozen=True)
class Target:
    """What is looked at: an instance, and the centre (3,) and scale that take dataset units to Blender units."""

    instance: str
    centre: ArrayLike
    scale: float


def target_in_dataset(dataset: Path, source: str) -> Target:
    """The instance of a captured dataset that was captured from `source`, else its first. UserError where none is."""
    described = read_manifest(dataset)
    if described is None or not described["instances"]:
        raise UserError(f"Capture views first, or choose the folder of a dataset: there is none in {dataset}.")
    instances = described["instances"]
    chosen = next((one for one in instances if one["source"] == source), instances[0])
    return Target(str(chosen["id"]), chosen["centre"], float(chosen["scale"]))


def target_in_run(run: Path, source: str) -> Target:
    """The instance of a run that was captured from `source`, else its first. UserError where it cannot be read."""
    trained = view.read_run(run, source)
    return Target(trained.instance, trained.centre, trained.scale)


def wanted(scene: bpy.types.Scene, camera: bpy.types.Object, target: Target) -> dict[str, Any]:
    """What to ask for in order to see `target` through a camera, `preview` in docs/protocol.md but for the job.

    UserError where such a camera is not supported.
    """
    seen = view.seen_by(scene, camera)
    small = seen.resized(min(LONGER_SIDE, max(seen.width, seen.height)))
    return {"instance": target.instance, "camera": small.normalised(target.centre, target.scale).to_json()}


def show(colour: NDArray[np.float32]) -> bpy.types.Image:
    """Puts a preview's colour, (H, W, 4), into the image SRN Preview."""
    return images.put(NAME, np.clip(colour, 0.0, 1.0), is_colour=True)
