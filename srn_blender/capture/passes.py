"""How a stage renders: one with the engine of choice for colour, one with Cycles for what has no colour.

Depth, normals and labels of a pixel are those of one ray through its middle, whichever engine gives the colour.
Averaged over samples they would mix what lies on the two sides of an edge, and EEVEE and Workbench lack some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..errors import UserError

# Cycles puts a miss at 1e10.
FARTHEST_HIT = 1e9
# In pixels: a ray of Cycles' goes through a point within the filter, and this is its smallest.
NARROWEST_FILTER = 0.01
ENGINES = {"cycles": "CYCLES", "eevee": compat.EEVEE, "workbench": "BLENDER_WORKBENCH"}


def set_up_colour(stage: Any, engine: str, samples: int, folder: Path) -> None:
    """Lets `stage` render pictures into `folder`; engine: one of settings.ENGINES. Workbench has no samples."""
    stage.render.engine = ENGINES[engine]
    if engine == "cycles":
        stage.cycles.samples, stage.cycles.time_limit, stage.cycles.use_animated_seed = samples, 0.0, False
    elif engine == "eevee":
        stage.eevee.taa_render_samples = samples
    _route(stage, folder, {"rgba": "Image"})


def set_up_geometry(stage: Any, passes: Sequence[str], index: str, folder: Path) -> None:
    """Lets `stage` render passes without colour into `folder`: depth and, where chosen, normals and pass indices.

    index: "material", "object" or, for neither, empty.
    """
    stage.render.engine = "CYCLES"
    cycles, layer = stage.cycles, stage.view_layers[0]
    cycles.samples, cycles.time_limit, cycles.max_bounces = 1, 0.0, 0
    cycles.use_denoising = cycles.use_adaptive_sampling = cycles.use_animated_seed = False
    cycles.pixel_filter_type, cycles.filter_width = "BOX", NARROWEST_FILTER
    layer.use_pass_z, layer.use_pass_normal = True, "normal" in passes
    layer.use_pass_material_index, layer.use_pass_object_index = index == "material", index == "object"
    sockets = {"depth": "Depth"}
    if "normal" in passes:
        sockets["normal"] = "Normal"
    if index:
        sockets["index"] = compat.index_socket(index)
    _route(stage, folder, sockets)


def _route(stage: bpy.types.Scene, folder: Path, sockets: dict[str, str]) -> None:
    """A file for each pass: the only way to a render's pixels where there is no window."""
    # What Blender writes besides is not used.
    render: Any = stage.render
    render.filepath, render.use_overwrite, render.use_placeholder = str(folder / "unused"), True, False
    render.use_file_extension = True
    render.image_settings.file_format, render.image_settings.compression = "PNG", 0
    tree = compat.own_compositor_tree(stage)
    with bpy.context.temp_override(scene=stage):  # or else the node would for a moment count as a user of another
        layers: Any = tree.nodes.new("CompositorNodeRLayers")
    tree.links.new(layers.outputs["Image"], compat.add_compositor_output(tree).inputs[0])
    for name, socket in sockets.items():
        kind, mode = ("PNG", "RGBA") if name == "rgba" else ("OPEN_EXR", "RGB")
        compat.add_file_output(tree, layers.outputs[socket], folder, name, kind, mode)


def render_stage(stage: Any, frame: int) -> None:
    """Renders one frame of the stage into its files. Raises UserError where Blender cannot, as for a negative frame.

    As an animation of that frame alone: a still is rendered at the frame that the user's scene is at.
    """
    if frame < 0:
        raise UserError(f"Go to frame 0 or a later one: Blender renders no animation from frame {frame} on.")
    stage.frame_start = stage.frame_end = frame
    try:
        bpy.ops.render.render(animation=True, scene=stage.name)
    except RuntimeError as error:
        raise UserError(f"Try again when Blender can render: {str(error).strip()}") from error


def take_pass(folder: Path, name: str, frame: int) -> NDArray[np.float32]:
    """The pixels that were just rendered, (H, W, 4); the file goes, so that none is ever taken twice."""
    path = folder / f"{name}{frame:04d}.{'png' if name == 'rgba' else 'exr'}"
    if not path.is_file():
        raise UserError(f"Free some space on the disk of {folder}: Blender could not write its passes there.")
    pixels = load_pixels(path)
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"Close what else reads {path} and capture again: {error.strerror}.") from error
    return pixels


def load_pixels(path: Path) -> NDArray[np.float32]:
    """The stored values of an image file, (H, W, 4) float32, the top row first. Raises UserError for a broken one."""
    try:
        image: Any = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise UserError(f"Delete {path} and capture again: Blender cannot read it.") from error
    try:
        image.colorspace_settings.name = "Non-Color"  # the values as they are stored
        width, height = image.size
        if not width * height:
            raise UserError(f"Delete {path} and capture again: Blender cannot read it.")
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return np.ascontiguousarray(pixels.reshape(height, width, 4)[::-1])
