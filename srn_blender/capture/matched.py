"""Views from pictures that a person has matched a camera to: photographs, or renders of another program.

Each picture lies behind its camera as a background image; where the camera stands and its lens are the camera's own.
They become a small dataset of one instance (docs/dataset.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .camera import Camera, camera_from_blender
from .dataset import DatasetWriter, View
from .geometry import bounding_sphere, measure_parts
from .instance import instance_id
from .labels import BACKGROUND
from .plan import InstancePlan, Plan, ViewKey
from .rigs.saved import require_one_lens

Array = NDArray[np.float64]

LONGEST = 1024  # pixels of a picture's longer side; a larger one is made smaller
WHITE = 250  # a channel from which on white counts as background, where it reaches the picture's edge
OPAQUE_FROM = 250  # of alpha: a picture without a pixel below has no alpha worth the name


@dataclass(frozen=True, eq=False)
class Matched:
    """A picture and its camera. camera: in Blender units, for the picture's own pixels. pixels: uint8 (H, W, 4)."""

    name: str
    camera: Camera
    pixels: NDArray[np.uint8]


def matched_view(scene: bpy.types.Scene, camera: bpy.types.Object) -> Matched:
    """The first background image that `camera` shows. Raises UserError where there is none, or it is not usable."""
    background = _background(camera)
    image: Any = background.image
    if scene.render.use_border and scene.render.use_crop_to_border:
        raise UserError("Turn off Crop to Render Region: pictures are matched to the whole frame.")
    pixels = _pixels(image)
    height, width = pixels.shape[:2]
    frame = camera_from_blender(scene, camera)
    aspect = frame.fl_x / frame.fl_y  # of a pixel: its height by its width
    across, down = _extent(frame.width, frame.height * aspect, width / height, background.frame_method)
    x, y = (background.scale * side for side in (across / width, down / aspect / height))  # of the frame's pixels
    # The picture's middle is the frame's.
    placed = replace(
        frame,
        fl_x=frame.fl_x / x,
        fl_y=frame.fl_y / y,
        cx=(frame.cx - frame.width / 2) / x + width / 2,
        cy=(frame.cy - frame.height / 2) / y + height / 2,
        width=width,
        height=height,
    )
    return Matched(camera.name, placed, pixels)


def place_of(reference: bpy.types.Object | None, scene: bpy.types.Scene, radius: float) -> tuple[Array, float, str]:
    """Centre (3,) and radius of the sphere that holds the object in the pictures, Blender units; and whose they are.

    reference: an object with faces stands for the sphere around them, an empty for that of its own size; without one
    it is the 3D cursor's place and `radius`. Raises UserError where the sphere has no size.
    """
    if reference is None:
        return np.array(scene.cursor.location, np.float64), radius, "3D cursor"
    depsgraph = scene.view_layers[0].depsgraph
    if depsgraph is None or reference.name not in scene.objects:
        raise UserError(f"Choose another object under Reference: '{reference.name}' is not in this scene.")
    if reference.type == "EMPTY":
        matrix = np.array(reference.evaluated_get(depsgraph).matrix_world, np.float64)
        size = float(np.linalg.norm(matrix[:3, :3], axis=0).max()) * reference.empty_display_size
        if not size > 0:
            raise UserError(f"Give the empty '{reference.name}' a size: it stands for the sphere around the object.")
        return matrix[:3, 3], size, reference.name
    centre, size = bounding_sphere(measure_parts(depsgraph, [reference]))
    return centre, size, reference.name


def write_matched(root: Path, views: Sequence[Matched], source: str, centre: Array, scale: float) -> int:
    """Writes the views as a dataset of one instance in a new folder; returns how many. Touches no Blender.

    Raises UserError where a picture does not show where the object ends, and where lenses or sizes differ.
    """
    alike = require_one_lens([view.camera for view in views], [view.name for view in views])
    pictures = [_with_alpha(view) for view in views]
    name = instance_id(source)
    poses = np.stack([view.camera.normalised(centre, scale).pose for view in views])
    nothing = np.empty((0, 4, 4))
    plan = Plan(
        name="matched",
        instances=[
            InstancePlan(name, source, list(centre), scale, {"train": poses, "val": nothing, "test": nothing}, {})
        ],
        camera=alike,
        passes=["rgb", "rgba"],
        classes=[BACKGROUND],
        rig={"kind": "cameras", "seed": 0},
        blender=bpy.app.version_string,
        fingerprint={},
    )
    with DatasetWriter(root, plan, anew=True) as writer:
        for number, picture in enumerate(pictures):
            writer.write_view(ViewKey(name, "train", number), View(picture))
    return len(views)


def _background(camera: bpy.types.Object) -> Any:
    data: Any = camera.data
    shown = [one for one in data.background_images if one.show_background_image] if data.show_background_images else []
    usable = [one for one in shown if one.source == "IMAGE" and one.image is not None]
    if not usable:
        raise UserError(f"Give camera '{camera.name}' a background image, and match the camera to it.")
    found = usable[0]
    if tuple(found.offset) != (0.0, 0.0) or found.rotation or found.use_flip_x or found.use_flip_y:
        raise UserError(f"Clear Offset, Rotation and Flip of the background image of '{camera.name}'.")
    return found


def _extent(width: float, height: float, aspect: float, method: str) -> tuple[float, float]:
    """How wide and how high a picture of that aspect lies over a frame, in the frame's units."""
    if method == "STRETCH":
        return width, height
    by_width = (aspect > width / height) == (method == "FIT")
    return (width, width / aspect) if by_width else (height * aspect, height)


def _pixels(image: Any) -> NDArray[np.uint8]:
    """An image's pixels, uint8 (H, W, 4), sRGB with straight alpha, the top row first; a large one made smaller."""
    width, height = image.size
    if image.source not in ("FILE", "GENERATED") or not width * height:
        raise UserError(f"Choose another background image: '{image.name}' is no still picture that can be read.")
    if image.is_float:
        raise UserError(f"Choose a PNG or JPEG as background image: '{image.name}' holds linear colours.")
    smaller: Any = None
    if max(width, height) > LONGEST:
        factor = LONGEST / max(width, height)
        smaller = image.copy()
        smaller.scale(max(round(width * factor), 1), max(round(height * factor), 1))
        width, height = smaller.size
    flat = np.empty(width * height * 4, np.float32)
    try:
        (smaller or image).pixels.foreach_get(flat)
    finally:
        if smaller is not None:
            bpy.data.images.remove(smaller)
    pixels = (flat.reshape(height, width, 4)[::-1] * 255 + 0.5).astype(np.uint8)
    return pixels


def _with_alpha(view: Matched) -> NDArray[np.uint8]:
    """The picture with its own alpha, or transparent where white reaches its edge."""
    if view.pixels[..., 3].min() < OPAQUE_FROM:
        return view.pixels
    background = _reached(view.pixels[..., :3].min(axis=-1) >= WHITE)
    if not background.any():
        raise UserError(f"Give the picture of '{view.name}' alpha, or a white background around the object.")
    pixels = view.pixels.copy()
    pixels[background, 3] = 0
    return pixels


def _reached(free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The free cells (H, W) that a walk from the edge over free cells reaches."""
    reached = free.copy()
    reached[1:-1, 1:-1] = False
    while True:
        before = reached.sum()
        for rows, over in (
            (reached, free),
            (reached[::-1], free[::-1]),
            (reached.T, free.T),
            (reached.T[::-1], free.T[::-1]),
        ):
            _sweep(rows, over)
        if reached.sum() == before:
            return reached


def _sweep(reached: NDArray[np.bool_], free: NDArray[np.bool_]) -> None:
    """Walks from the first row to the last, in place."""
    for row in range(1, len(reached)):
        reached[row] |= reached[row - 1] & free[row]
