"""How a stage renders a view: once with the engine of choice for colour, once with Cycles for what has no colour.

Depth, normals and labels of a pixel are those of one ray through its middle, whichever engine gives the colour.
Averaged over samples they would mix what lies on the two sides of an edge, and EEVEE and Workbench lack some of them.

One scene renders both, its settings changed in between: of two scenes Blender would evaluate each anew, modifiers and
all, whenever the other one had been rendered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Shot:
    """One of a stage's two renders.

    settings: those in which they differ, for each its owner, its name and its value. passes: those that it writes, for
    each the output of the Render Layers node.
    """

    settings: Sequence[tuple[Any, str, Any]]
    passes: Mapping[str, str]


def colour_shot(stage: Any, engine: str, samples: int) -> Shot:
    """How `stage` renders colour, beside what it has of the person's settings; engine: one of settings.ENGINES.

    Workbench has no samples.
    """
    settings: list[tuple[Any, str, Any]] = [(stage.render, "engine", ENGINES[engine])]
    if engine == "cycles":
        cycles = stage.cycles
        settings += [(cycles, "samples", samples), (cycles, "time_limit", 0.0), (cycles, "use_animated_seed", False)]
    elif engine == "eevee":
        settings.append((stage.eevee, "taa_render_samples", samples))
    return Shot(settings, {"rgba": "Image"})


def geometry_shot(stage: Any, engine: str, passes: Sequence[str], index: str) -> Shot:
    """How `stage` renders what has no colour: depth and, where chosen, normals and pass indices.

    engine: what renders the colour. index: "material", "object" or, for neither, empty.
    """
    cycles, layer = stage.cycles, stage.view_layers[0]
    denoised = engine == "cycles" and cycles.use_denoising
    settings = [
        *((stage.render, "engine", "CYCLES"), (cycles, "samples", 1), (cycles, "time_limit", 0.0)),
        *((cycles, "use_adaptive_sampling", False), (cycles, "max_bounces", 0)),
        # Denoising touches colour alone. Turned off between two renders of Cycles', the denoiser would be made anew for
        # each view, which takes longer.
        (cycles, "use_denoising", denoised),
        *((cycles, "denoising_input_passes", "RGB"), (cycles, "denoising_prefilter", "NONE")),
        (cycles, "denoising_quality", "FAST"),
        *((cycles, "use_animated_seed", False), (cycles, "pixel_filter_type", "BOX")),
        *((cycles, "filter_width", NARROWEST_FILTER), (layer, "use_pass_z", True)),
        (layer, "use_pass_normal", "normal" in passes),
        (layer, "use_pass_material_index", index == "material"),
        (layer, "use_pass_object_index", index == "object"),
    ]
    sockets = {"depth": "Depth"}
    if "normal" in passes:
        sockets["normal"] = "Normal"
    if index:
        sockets["index"] = compat.index_socket(index)
    return Shot(settings, sockets)


def otherwise(shot: Shot, other: Shot) -> Shot:
    """The same shot with every setting that `other` changes as it is now, so that the two can take turns."""
    named = {(owner.as_pointer(), name) for owner, name, _ in shot.settings}
    rest = [(owner, name, getattr(owner, name)) for owner, name, _ in other.settings]
    return Shot([*shot.settings, *(one for one in rest if (one[0].as_pointer(), one[1]) not in named)], shot.passes)


def prepare(stage: bpy.types.Scene, folder: Path) -> None:
    """Gives the stage a compositor tree; what Blender writes beside the passes, and nobody uses, goes into `folder`."""
    render: Any = stage.render
    render.filepath, render.use_overwrite, render.use_placeholder = str(folder / "unused"), True, False
    render.use_file_extension = True
    render.image_settings.file_format, render.image_settings.compression = "PNG", 0
    compat.own_compositor_tree(stage)


def use_settings(shot: Shot) -> None:
    """Gives a stage the settings of this shot."""
    for owner, name, value in shot.settings:
        if getattr(owner, name) != value:
            setattr(owner, name, value)


def _route(stage: Any, shot: Shot, folder: Path) -> None:
    """A file for each pass: the only way to a render's pixels where there is no window."""
    # Made anew: the sockets of passes that are off are gone, and their links with them.
    tree: Any = compat.existing_compositor_tree(stage)
    tree.nodes.clear()
    with bpy.context.temp_override(scene=stage):  # or else the node would for a moment count as a user of another
        layers: Any = tree.nodes.new("CompositorNodeRLayers")
    tree.links.new(layers.outputs["Image"], compat.add_compositor_output(tree).inputs[0])
    for name, socket in shot.passes.items():
        kind, mode = ("PNG", "RGBA") if name == "rgba" else ("OPEN_EXR", "RGB")
        compat.add_file_output(tree, layers.outputs[socket], folder, name, kind, mode)


def render_shot(stage: Any, shot: Shot, folder: Path, frame: int) -> None:
    """Renders one frame of the stage into files in `folder`.

    As an animation of that frame alone: a still is rendered at the frame that the user's scene is at. Raises UserError
    where Blender cannot, as for a negative frame.
    """
    if frame < 0:
        raise UserError(f"Go to frame 0 or a later one: Blender renders no animation from frame {frame} on.")
    use_settings(shot)
    _route(stage, shot, folder)
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
