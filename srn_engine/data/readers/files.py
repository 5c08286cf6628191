"""What the readers of several layouts need: poses, JSON, names, splits."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from srn_engine.cameras import checked_pose
from srn_engine.errors import UserError

HELD_OUT = 8
_Item = TypeVar("_Item")


def read_pose(path: Path) -> npt.NDArray[np.float64]:
    """A pose (4, 4) from 16 numbers in a text file; UserError where they are no rigid motion."""
    try:
        pose = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} must hold 16 numbers; delete it and capture again.") from error
    return checked_pose(pose, str(path))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; UserError where the file holds none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; choose the folder of a dataset.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no JSON object.")
    return data


def inside(root: Path, name: str) -> Path:
    """The file that a dataset in `root` calls `name`, with / or \\ between folders. UserError where it lies elsewhere:
    what someone else sent shall not have other files of this computer read."""
    path = Path(os.path.normpath(root / name.replace("\\", "/")))
    if not path.is_relative_to(os.path.normpath(root)):
        raise UserError(f"{root} names {name[:200]}, which lies elsewhere; put the pictures into the dataset's folder.")
    return path


def identifier(name: str) -> str:
    """A name as an instance's id may be: letters, digits, - and _, 64 of them at most."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "instance"


def by_eighths(items: Sequence[_Item], split: str) -> list[_Item]:
    """The items of a split where a layout has none: the first of every eight is for test, none are for val.

    It is how the readers of NeRFs and Gaussian splats divide a COLMAP model.
    """
    if split == "val":
        return []
    return [item for place, item in enumerate(items) if (place % HELD_OUT == 0) == (split == "test")]
