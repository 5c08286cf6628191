"""Training views beyond those that the rig has: a dataset may grow where a model asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .settings import CaptureSettings

Array = NDArray[np.float64]
Added = Mapping[str, Array]  # by instance, the poses (N, 4, 4) of further training views, OpenCV axes, dataset units
NONE: Added = MappingProxyType({})


def train_folder(settings: CaptureSettings, instance: str) -> Path:
    """Where the training views of an instance stand."""
    return settings.root / f"{settings.name}_train" / instance


def views_there(settings: CaptureSettings, instance: str) -> int:
    """How many training views of an instance are on disk."""
    return len(_poses_from(train_folder(settings, instance), 0))


def grown(poses: Mapping[str, Array], folder: Path | None, added: Array | None) -> dict[str, Array]:
    """The poses of a rig and, behind those for training, what an earlier capture added in `folder` and what is `added`.

    folder: that of the instance's training views; None where nothing in it is to be gone on with. What the views show
    does not depend on how many there are, so that a fingerprint is that of the rig alone. Raises UserError where one is
    missing or damaged.
    """
    first = poses["train"]
    there = [] if folder is None else _poses_from(folder, len(first))
    more = np.empty((0, 4, 4)) if added is None else added
    return {**poses, "train": np.concatenate([first, np.array(there).reshape(-1, 4, 4), more])}


def _poses_from(folder: Path, first: int) -> list[Array]:
    """The poses of the views in `folder` from number `first` on."""
    names = [path.stem for path in (folder / "pose").glob("[0-9]*.txt")]
    numbers = sorted(int(name) for name in names if name.isdigit() and int(name) >= first)
    poses = []
    for number, there in enumerate(numbers, first):
        if there != number:  # in the gap would stand a view that was never planned
            raise UserError(f"Delete the views from {there} on in {folder}: number {number} is missing.")
        path = folder / "pose" / f"{number:06d}.txt"
        try:
            poses.append(np.array(path.read_text("utf-8").split(), np.float64).reshape(4, 4))
        except (OSError, ValueError) as error:
            raise UserError(f"Delete {path} and capture again: it holds no pose.") from error
    return poses
