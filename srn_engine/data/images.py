"""Reads the pictures of a dataset, and says in a sentence which one is broken."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR
from PIL import Image, UnidentifiedImageError

from srn_engine.errors import UserError

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_png(path: Path, channels: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An 8 bit PNG as (H, W, channels), or (H, W) for one channel; `size` is the (width, height) it must have."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode != _MODES[channels]:
                raise UserError(
                    f"{path} is a {image.mode} picture where {_MODES[channels]} is needed; capture it again."
                )
            _check_size(path, image.size, size)
            return np.asarray(image)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is missing; capture the dataset again into the same folder to fill the gap."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UserError(f"{path} is no readable PNG ({error}); delete its pose file and capture again.") from error


def read_exr(path: Path, channels: int, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """An EXR of one or three channels as float32 (H, W) or (H, W, 3); `size` is the (width, height) it must have."""
    if not path.is_file():
        raise UserError(f"{path} is missing; capture the dataset again into the same folder to fill the gap.")
    try:
        with OpenEXR.File(str(path), separate_channels=False) as file:
            found: dict[str, Any] = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{path} is no readable EXR ({error}); delete its pose file and capture again.") from error
    pixels = np.asarray(next(iter(found.values())), dtype=np.float32)
    pixels = pixels[..., 0] if channels == 1 and pixels.ndim == 3 else pixels
    if pixels.ndim != (2 if channels == 1 else 3):
        raise UserError(f"{path} has channels {', '.join(found)} where {channels} are needed; capture it again.")
    _check_size(path, (pixels.shape[1], pixels.shape[0]), size)
    return pixels if channels == 1 else pixels[..., :3]


def _check_size(path: Path, found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        raise UserError(f"{path} is {found[0]} x {found[1]} pixels where dataset.json says {size[0]} x {size[1]}.")
