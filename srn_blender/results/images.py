"""Arrays from the engine as image datablocks under stable names.

Each render replaces the content of the same datablocks, so whatever shows or composites them follows. They are packed
and have a fake user, so they stay in the .blend without files beside it.

An image is encoded as the file that Blender packs: that needs no Blender, so a thread can do it, and giving Blender the
file takes a moment, where packing pixels takes it a third of a second at 1080p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..capture.exr import encode_exr
from ..capture.png import encode_png

Array = NDArray[np.float32]

COLOUR = "SRN Colour"
DEPTH = "SRN Depth"
NORMAL = "SRN Normal"
LABELS = "SRN Labels"
LABEL_IDS = "SRN Label IDs"

# What Cycles' Depth pass holds where nothing was hit: with it the two depths compare without a special case.
MISS = 1e10
THUMBNAIL = 256  # pixels at most


@dataclass(frozen=True)
class Encoded:
    """A picture as a file. is_colour: sRGB with straight alpha at 8 bits; otherwise float32 without colour management.

    thumbnail: (H, W, 4), at most THUMBNAIL pixels a side, row 0 at the bottom.
    """

    data: bytes
    width: int
    height: int
    is_colour: bool
    thumbnail: Array


def show(arrays: Mapping[str, NDArray[Any]], scale: float, palette: ArrayLike) -> dict[str, bpy.types.Image]:
    """Puts the arrays of a `render` job (docs/protocol.md, "Arrays") into image datablocks, and returns them by name.

    scale: Blender units per dataset unit; depth is brought back to Blender units by it.
    palette: (classes, 3), sRGB, 0 to 1, by class id.
    """
    return {name: place(name, picture) for name, picture in encoded(arrays, scale, palette).items()}


def encoded(arrays: Mapping[str, NDArray[Any]], scale: float, palette: ArrayLike) -> dict[str, Encoded]:
    """What `show` puts into image datablocks, by their names; touches no Blender."""
    pictures = {}
    if "colour" in arrays:
        pictures[COLOUR] = encode(arrays["colour"], is_colour=True)
    if "depth" in arrays:
        depth = arrays["depth"]
        pictures[DEPTH] = encode(np.where(depth > 0.0, depth * scale, MISS), is_colour=False)
    if "normal" in arrays:
        pictures[NORMAL] = encode(arrays["normal"], is_colour=False)
    if "semantic" in arrays:
        ids = arrays["semantic"]
        pictures[LABELS] = encode(paint_labels(ids, palette), is_colour=True)
        pictures[LABEL_IDS] = encode(ids, is_colour=False)
    return pictures


def paint_labels(ids: NDArray[Any], palette: ArrayLike) -> Array:
    """Class ids (H, W) in their colours, (H, W, 4) sRGB with straight alpha; the background, id 0, is transparent.

    An id beyond the palette takes its last colour.
    """
    colours = np.asarray(palette, np.float32)
    picture = np.empty((*ids.shape, 4), np.float32)
    picture[..., :3] = colours[np.minimum(ids, len(colours) - 1)]
    picture[..., 3] = ids > 0
    return picture


def encode(pixels: NDArray[Any], is_colour: bool) -> Encoded:
    """A picture as a file for `place`; touches no Blender.

    pixels: row 0 at the top; colour (H, W, 4), sRGB with straight alpha, cut to 0 to 1; else values (H, W), (H, W, 1)
    or (H, W, 3).
    """
    if is_colour:
        data = encode_png((np.clip(pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    else:
        pixels = np.ascontiguousarray(pixels[..., None] if pixels.ndim == 2 else pixels, np.float32)
        data = encode_exr(pixels)
    height, width, channels = pixels.shape
    skip = -(-max(height, width) // THUMBNAIL)
    small = pixels[::skip, ::skip][::-1]
    thumbnail = np.ones((*small.shape[:2], 4), np.float32)
    thumbnail[..., : max(channels, 3)] = small
    return Encoded(data, width, height, is_colour, thumbnail)


def place(name: str, picture: Encoded) -> bpy.types.Image:
    """The image datablock `name`, holding the picture; made where it is missing. Blender reads it when it needs it."""
    image: Any = bpy.data.images.get(name) or bpy.data.images.new(name, picture.width, picture.height, alpha=True)
    image.source = "GENERATED"  # and FILE below: only a change of the source makes Blender forget the old pixels
    image.pack(data=picture.data, data_len=len(picture.data))
    image.source = "FILE"
    image.colorspace_settings.name = "sRGB" if picture.is_colour else "Non-Color"
    image.alpha_mode = "STRAIGHT" if picture.is_colour else "NONE"
    image.use_fake_user = True
    image.update_tag()
    return cast(bpy.types.Image, image)


def put(name: str, pixels: NDArray[Any], is_colour: bool) -> bpy.types.Image:
    """Encodes and places a picture at once."""
    return place(name, encode(pixels, is_colour))


def pixels_of(image: bpy.types.Image) -> Array:
    """The pixels of an image datablock, (H, W, 4) float32, row 0 at the top."""
    data: Any = image
    width, height = data.size
    flat = np.empty(width * height * image.channels, np.float32)
    data.pixels.foreach_get(flat)
    return flat.reshape(height, width, image.channels)[::-1]


def show_thumbnail(image: bpy.types.Image, thumbnail: Array) -> None:
    """Makes the image's preview, which a panel shows. Blender's own comes later, or not without a window.

    thumbnail: as of `Encoded`.
    """
    preview: Any = image.preview_ensure()
    preview.image_size = thumbnail.shape[1], thumbnail.shape[0]
    premultiplied = thumbnail.copy()  # as Blender draws it
    premultiplied[..., :3] *= thumbnail[..., 3:]
    preview.image_pixels_float.foreach_set(premultiplied.ravel())
