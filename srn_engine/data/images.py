"""Reads the pictures of a dataset, and says in a sentence which one is broken."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from srn_engine.errors import UserError

Bytes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
FORMATS = ("PNG", "JPEG", "WEBP")
_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture, without decoding it."""
    with _opened(path) as image:
        return image.size


def has_alpha(path: Path) -> bool:
    """Whether a picture says how opaque it is."""
    with _opened(path) as image:
        return image.has_transparency_data


def read_colour(path: Path, size: tuple[int, int]) -> Bytes:
    """A picture as (H, W, 4), opaque where it has no alpha; uint16 where the file has 16 bit, else uint8.

    `size` is the (width, height) it must have.
    """
    with _opened(path) as image:
        _check_size(path, image.size, size)
        deep = str(image.tile[0].args) if image.format == "PNG" and image.tile else ""
        if image.mode == "I;16":
            grey = _decoded(path, image)
            return np.dstack([grey, grey, grey, np.full_like(grey, 65535)])
        high = _decoded(path, image, "RGBA" if image.has_transparency_data else "RGB")
    if deep in ("RGB;16B", "RGBA;16B"):
        # Pillow hands on the high byte of each value. Told that the low byte comes first, it hands on the low one.
        with _opened(path) as image:
            image.tile = [image.tile[0]._replace(args=deep.replace("16B", "16L"))]
            low = _decoded(path, image)
        return _with_alpha((high.astype(np.uint16) << 8) | low)
    return _with_alpha(high)


def read_labels(path: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A PNG of class ids, 8 bit grey or palette, as (H, W); `size` is the (width, height) it must have."""
    with _opened(path) as image:
        if image.mode not in ("L", "P"):
            raise UserError(f"{path} is a {image.mode} picture where one of class ids, L or P, is needed.")
        _check_size(path, image.size, size)
        return _decoded(path, image)


def read_mask(path: Path, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """(H, W): where a mask of any kind is not black; `size` is the (width, height) it must have."""
    with _opened(path) as image:
        _check_size(path, image.size, size)
        return _decoded(path, image, "L") > 0


def read_exr(path: Path, channels: int, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """An EXR of one or three channels as float32 (H, W) or (H, W, 3); `size` is the (width, height) it must have."""
    if not path.is_file():
        raise _missing(path)
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


def _opened(path: Path) -> ImageFile:
    """The picture with its header read; its pixels are not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are checked before pixels are read
            return Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except _BROKEN as error:
        raise _broken(path, error) from error


def _decoded(path: Path, image: ImageFile, mode: str | None = None) -> npt.NDArray[Any]:
    try:
        return np.asarray(image if mode in (None, image.mode) else image.convert(mode))
    except _BROKEN as error:
        raise _broken(path, error) from error


def _with_alpha(pixels: Bytes) -> Bytes:
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)])


def _missing(path: Path) -> UserError:
    return UserError(f"{path} is missing; put it back, or capture the dataset again into the same folder.")


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is no readable picture ({error}); put a whole one there, or capture the view again.")


def _check_size(path: Path, found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        raise UserError(f"{path} is {found[0]} x {found[1]} pixels where its camera says {size[0]} x {size[1]}.")
