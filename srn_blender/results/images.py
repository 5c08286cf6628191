"""Arrays from the engine as image datablocks under stable names.

Each render replaces the pixels of the same datablocks, so whatever shows or composites them follows. They are packed
and have a fake user, so they stay in the .blend without files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]

COLOUR = "SRN Colour"
DEPTH = "SRN Depth"
NORMAL = "SRN Normal"
LABELS = "SRN Labels"
LABEL_IDS = "SRN Label IDs"

# What Cycles' Depth pass holds where nothing was hit: with it the two depths compare without a special case.
MISS = 1e10


def show(arrays: Mapping[str, NDArray[Any]], scale: float, palette: ArrayLike) -> dict[str, bpy.types.Image]:
    """Puts the arrays of a `render` job (docs/protocol.md, "Arrays") into image datablocks, and returns them by name.

    scale: Blender units per dataset unit; depth is brought back to Blender units by it.
    palette: (classes, 3), sRGB, 0 to 1, by class id.
    """
    images = {}
    if "colour" in arrays:
        images[COLOUR] = put(COLOUR, np.clip(arrays["colour"], 0.0, 1.0), is_colour=True)
    if "depth" in arrays:
        depth = arrays["depth"]
        images[DEPTH] = put(DEPTH, _opaque(np.where(depth > 0.0, depth * scale, MISS)), is_colour=False)
    if "normal" in arrays:
        images[NORMAL] = put(NORMAL, _opaque(arrays["normal"]), is_colour=False)
    if "semantic" in arrays:
        ids = arrays["semantic"]
        images[LABELS] = put(LABELS, paint_labels(ids, palette), is_colour=True)
        images[LABEL_IDS] = put(LABEL_IDS, _opaque(ids), is_colour=False)
    return images


def paint_labels(ids: NDArray[Any], palette: ArrayLike) -> Array:
    """Class ids (H, W) in their colours, (H, W, 4) sRGB with straight alpha; the background, id 0, is transparent.

    An id beyond the palette takes its last colour.
    """
    colours = np.asarray(palette, np.float32)
    picture = np.empty((*ids.shape, 4), np.float32)
    picture[..., :3] = colours[np.minimum(ids, len(colours) - 1)]
    picture[..., 3] = ids > 0
    return picture


def put(name: str, pixels: Array, is_colour: bool) -> bpy.types.Image:
    """The image datablock `name`, holding `pixels`; made where it is missing, resized where it has another size.

    pixels: (H, W, 4), row 0 at the top. Colour is sRGB with straight alpha and becomes 8 bit, exactly what loading an
    sRGB PNG gives; anything else is kept as float32, untouched by colour management.
    """
    height, width = pixels.shape[:2]
    image: Any = bpy.data.images.get(name) or bpy.data.images.new(name, width, height, alpha=True)
    # Packing turned it into a file; as a generated image it takes any size and depth again.
    image.source = "GENERATED"
    image.generated_width, image.generated_height = width, height
    image.use_generated_float = not is_colour
    image.colorspace_settings.name = "sRGB" if is_colour else "Non-Color"
    image.alpha_mode = "STRAIGHT" if is_colour else "NONE"
    image.use_fake_user = True
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
    image.update()
    image.pack()
    return cast(bpy.types.Image, image)


def pixels_of(image: bpy.types.Image) -> Array:
    """The pixels of an image datablock, (H, W, 4) float32, row 0 at the top."""
    data: Any = image
    width, height = data.size
    flat = np.empty(width * height * image.channels, np.float32)
    data.pixels.foreach_get(flat)
    return flat.reshape(height, width, image.channels)[::-1]


def _opaque(values: NDArray[Any]) -> Array:
    """(H, W) or (H, W, 3) values -> (H, W, 4); a single value is repeated in red, green and blue."""
    pixels = np.ones((*values.shape[:2], 4), np.float32)
    pixels[..., :3] = values[..., None] if values.ndim == 2 else values
    return pixels
