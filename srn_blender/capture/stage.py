"""A scene beside the user's: the user's lights, world and settings, and nothing of what stands there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import bpy

from .. import compat
from ..errors import UserError
from .plain import plain_properties, plain_value

NAME = "SRN Capture"
INDICES = "srn_pass_indices"
OWN = "srn_own"  # a custom property that tells what a capture has made from what a person has made
# How Workbench shades a render; the other settings there are those of a viewport. The light decides what lights it can
# have, and comes first.
SHADING = [
    *("light", "studio_light", "use_world_space_lighting", "studiolight_rotate_z", "color_type", "single_color"),
    *("show_shadows", "shadow_intensity", "show_object_outline", "object_outline_color", "show_backface_culling"),
    *("show_cavity", "cavity_type", "cavity_ridge_factor", "cavity_valley_factor", "show_specular_highlight"),
]


def add_stage(scene: bpy.types.Scene, undo: ExitStack) -> bpy.types.Scene:
    """A scene with the settings, the world and the lights of `scene`; `undo` takes it away again.

    Its pictures are as Blender's Standard view transform gives them, transparent where nothing is.
    """
    stage: Any = bpy.data.scenes.new(NAME)
    undo.callback(_remove_scene, stage)
    stage[OWN] = True
    _copy_settings(scene, stage)
    for light in dict.fromkeys(_lights(scene)):
        stage.collection.objects.link(light)
    render, view = stage.render, stage.view_settings
    render.use_border = render.use_multiview = render.use_motion_blur = render.use_freestyle = False
    render.film_transparent = render.use_compositing = render.use_persistent_data = True
    render.use_sequencer = False
    render.dither_intensity = 0.0  # noise in the last bit of each colour
    compat.use_cpu_compositor(stage)
    try:
        stage.display_settings.display_device = "sRGB"
        view.view_transform, view.look = "Standard", "None"
    except TypeError as error:
        raise UserError("Start Blender with its own OpenColorIO configuration: this one lacks Standard.") from error
    view.exposure, view.gamma, view.use_curve_mapping = 0.0, 1.0, False
    compat.turn_off_white_balance(view)
    return stage  # type: ignore[no-any-return]


def add_camera(undo: ExitStack) -> bpy.types.Object:
    """A camera in no scene yet; `undo` takes it away again."""
    data = bpy.data.cameras.new(NAME)
    undo.callback(_remove, bpy.data.cameras, data)  # and the object with it
    camera = bpy.data.objects.new(NAME, data)
    data[OWN] = camera[OWN] = True
    return camera


def add_cast(undo: ExitStack) -> bpy.types.Collection:
    """A collection for the objects of one instance, in no scene yet; `undo` takes it away again."""
    cast = bpy.data.collections.new(NAME)
    undo.callback(_remove, bpy.data.collections, cast)
    cast[OWN] = True
    return cast


def add_turner(cast: bpy.types.Collection, undo: ExitStack) -> bpy.types.Object:
    """An empty that shows `cast` turned as it is turned itself, while the cast's objects stay as they are."""
    turner: Any = bpy.data.objects.new(NAME, None)
    undo.callback(_remove, bpy.data.objects, turner)
    turner[OWN] = True
    turner.instance_type, turner.instance_collection = "COLLECTION", cast
    return turner  # type: ignore[no-any-return]


def remember_indices(stage: bpy.types.Scene, carriers: Sequence[Any]) -> None:
    """Keeps with the stage the pass indices that materials or objects have, for `sweep` to give back."""
    stage[INDICES] = json.dumps({f"{one.id_type} {one.name_full}": one.pass_index for one in carriers})


def sweep() -> None:
    """Takes away what an undo, or a file saved by itself, has brought back of a capture that is over."""
    data = bpy.data
    for stage in [scene for scene in data.scenes if scene.get(OWN)]:
        indices = json.loads(stage.get(INDICES, "{}"))
        for carrier in (*data.materials, *data.objects):
            carrier.pass_index = indices.get(f"{carrier.id_type} {carrier.name_full}", carrier.pass_index)
        _remove_scene(stage)
    own: Any
    for kind in (data.objects, data.cameras, data.collections):
        for own in [one for one in kind if one.get(OWN)]:
            kind.remove(own)


def keep_images(undo: ExitStack) -> None:
    """Lets `undo` take away the images that Blender makes on its own when it renders: others could be the user's."""
    undo.callback(_remove_new_images, {image.name for image in bpy.data.images})


def _remove_new_images(there: set[str]) -> None:
    for name in {"Render Result", "Viewer Node"} - there:
        if name in bpy.data.images:
            bpy.data.images.remove(bpy.data.images[name])


def _remove_scene(scene: bpy.types.Scene) -> None:
    with suppress(ReferenceError):  # an undo has taken it already
        scene.render.use_persistent_data = False  # frees what Cycles has kept of it
        compat.remove_compositor_tree(scene)
        bpy.data.scenes.remove(scene)


def _remove(kind: Any, datablock: Any) -> None:
    with suppress(ReferenceError):
        kind.remove(datablock)


def _copy_settings(scene: Any, stage: Any) -> None:
    """Gives the stage what of the user's settings has a part in a picture.

    Not by Scene.copy(): that takes along the sequencer's and the simulations' data, and in 4.2 it leaves objects behind
    that Blender believes in use for ever.
    """
    for name in ("render", "cycles", "cycles_curves", "eevee", "display"):
        _copy_plain(getattr(scene, name), getattr(stage, name))
    for name in SHADING:
        setattr(stage.display.shading, name, getattr(scene.display.shading, name))
    _copy_plain(scene, stage)
    stage.world = scene.world
    for key, value in scene.items():  # materials and drivers may read a scene's custom properties
        if isinstance(value, bool | int | float | str):
            stage[key] = value


def _copy_plain(source: Any, target: Any) -> None:
    defaults = dict(plain_properties(target))
    for name, value in plain_properties(source):
        # Setting what is already there would run update callbacks, some of which need a window.
        if name != "name" and plain_value(value) != plain_value(defaults[name]):
            with suppress(TypeError):  # a choice that this machine does not have, like the denoiser of a graphics card
                setattr(target, name, value)


def _lights(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The lights that a render of the scene has."""

    def shown(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
        if layer.exclude or layer.collection.hide_render:
            return
        yield from layer.collection.objects
        for child in layer.children:
            yield from shown(child)

    root = scene.view_layers[0].layer_collection
    return [member for member in shown(root) if member.type == "LIGHT" and not member.hide_render]
