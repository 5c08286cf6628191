"""Cycles and the placed instances in one picture, by depth.

A second scene, a linked copy of the first, is rendered by SRN through the same camera; the first scene's compositor
lays the two over each other. Whichever is nearer in a pixel lies in front, and lets the other through where it is
transparent, so that soft edges and a transparent film stay what they are.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from ..errors import UserError
from . import nodes

PREFIX = "SRN Combine"
GROUP, OUTPUT = f"{PREFIX} Depth", f"{PREFIX} Output"
SUFFIX = " SRN"
PARTNER = "srn_partner"  # on the second scene: the first
IMAGE_A, DEPTH_A, IMAGE_B, DEPTH_B = "Image", "Depth", "SRN Image", "SRN Depth"
# What both must have in common for their pixels to lie on each other.
SHARED = (
    *("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y"),
    *("use_border", "use_crop_to_border", "border_min_x", "border_max_x", "border_min_y", "border_max_y"),
)


def combine(scene: bpy.types.Scene) -> bpy.types.Scene:
    """Has renders of `scene` show the placed instances among what its own engine renders; returns the second scene."""
    if str(scene.render.engine) == "SRN":
        raise UserError("Choose the scene that Cycles renders: this one is rendered by SRN.")
    second = second_scene(scene) or _new_scene(scene)
    match_contents(scene)
    match(scene, second)
    scene.view_layers[0].use_pass_z = True
    scene.render.use_compositing = True
    tree: Any = compat.compositor_tree(scene)
    _remove_nodes(tree)
    below = min((node.location.y for node in tree.nodes), default=0.0) - 400.0
    first_layers = _layers(tree, scene, 0.0, below)
    second_layers = _layers(tree, second, 0.0, below - 400.0)
    group = nodes.add(tree, "CompositorNodeGroup", GROUP, 350.0, below)
    group.node_tree = _group()
    for name, node in ((IMAGE_A, first_layers), (IMAGE_B, second_layers)):
        tree.links.new(node.outputs["Image"], group.inputs[name])
    for name, node in ((DEPTH_A, first_layers), (DEPTH_B, second_layers)):
        tree.links.new(node.outputs["Depth"], group.inputs[name])
    output = nodes.place(compat.add_compositor_output(tree), OUTPUT, 650.0, below)
    tree.links.new(group.outputs["Image"], output.inputs[0])
    return second


def second_scene(scene: bpy.types.Scene) -> bpy.types.Scene | None:
    """The scene that renders the instances for this one, None where there is none."""
    return next((one for one in bpy.data.scenes if one.get(PARTNER) == scene), None)


def match(scene: bpy.types.Scene, second: bpy.types.Scene) -> None:
    """Gives the second scene the camera and the size of the first, as they are now."""
    for name in SHARED:
        if getattr(second.render, name) != getattr(scene.render, name):
            setattr(second.render, name, getattr(scene.render, name))
    if second.camera != scene.camera:
        second.camera = scene.camera


def match_contents(scene: Any) -> None:
    """Has the second scene show what the first shows by now; in the main thread alone.

    A scene's own collection is not shared: what is linked to it later is linked to the second one's here.
    """
    second: Any = second_scene(scene)
    if second is None:
        return
    for kind in ("objects", "children"):
        wanted, there = getattr(scene.collection, kind), getattr(second.collection, kind)
        for one in [one for one in there if one.name not in wanted]:
            there.unlink(one)
        for one in [one for one in wanted if one.name not in there]:
            there.link(one)
    _match_layers(scene.view_layers[0].layer_collection, second.view_layers[0].layer_collection)


def _match_layers(layer: Any, other: Any) -> None:
    for one in layer.children:
        same = other.children.get(one.name)
        if same is not None:
            if same.exclude != one.exclude:
                same.exclude = one.exclude
            _match_layers(one, same)


def match_before_render(scene: bpy.types.Scene) -> None:
    """What has changed in the first scene since the second was made is made good before each frame."""
    second = second_scene(scene)
    if second is not None:
        match(scene, second)


def remove(scene: bpy.types.Scene) -> None:
    """Takes the instances out of the scene's picture again, and the second scene out of the file."""
    tree: Any = compat.existing_compositor_tree(scene)
    if tree is not None:
        _remove_nodes(tree)
        nodes.give_output_back(scene)
    second = second_scene(scene)
    if second is not None:
        bpy.data.scenes.remove(second)


def is_combined(scene: bpy.types.Scene) -> bool:
    tree: Any = compat.existing_compositor_tree(scene)
    return tree is not None and GROUP in tree.nodes


def _new_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    """A scene of the same objects, rendered by SRN alone."""
    second: Any = scene.copy()
    second.name = f"{scene.name}{SUFFIX}"
    second[PARTNER] = scene
    second.render.engine = "SRN"
    second.render.film_transparent = True
    second.render.use_compositing = second.render.use_sequencer = False
    second.timeline_markers.clear()  # their cameras would go before the first scene's
    for layer in list(second.view_layers)[1:]:
        second.view_layers.remove(layer)
    second.view_layers[0].use_pass_z = True
    return second  # type: ignore[no-any-return]


def _group() -> Any:
    """The node group that lays two pictures over each other by their depths; made anew."""
    group = nodes.new_group(GROUP)
    for name, kind in ((IMAGE_A, "Color"), (DEPTH_A, "Float"), (IMAGE_B, "Color"), (DEPTH_B, "Float")):
        group.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{kind}")
    for name, kind in (("Image", "Color"), ("Depth", "Float")):
        group.interface.new_socket(name, in_out="OUTPUT", socket_type=f"NodeSocket{kind}")
    inputs, outputs = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    inputs.location, outputs.location = (-300.0, 0.0), (700.0, 0.0)
    image_a, depth_a, image_b, depth_b = (inputs.outputs[name] for name in (IMAGE_A, DEPTH_A, IMAGE_B, DEPTH_B))
    nearer = nodes.math(group, "LESS_THAN", depth_b, depth_a)
    nearer.node.location = (0.0, -250.0)
    mix = compat.add_mix(group, "MIX")
    mix.result.node.location = (450.0, 0.0)
    for target, back, front, y in ((mix.a, image_b, image_a, 250.0), (mix.b, image_a, image_b, 0.0)):
        over = compat.add_alpha_over(group)
        over.result.node.location = (150.0, y)
        group.links.new(back, over.a)
        group.links.new(front, over.b)
        group.links.new(over.result, target)
    group.links.new(nearer, mix.factor)
    group.links.new(mix.result, outputs.inputs["Image"])
    nearest = nodes.math(group, "MINIMUM", depth_a, depth_b)
    nearest.node.location = (450.0, -250.0)
    group.links.new(nearest, outputs.inputs["Depth"])
    return group


def _layers(tree: Any, scene: bpy.types.Scene, x: float, y: float) -> Any:
    node = nodes.add(tree, "CompositorNodeRLayers", f"{PREFIX} {scene.name}", x, y)
    node.scene, node.layer = scene, scene.view_layers[0].name
    return node


def _remove_nodes(tree: Any) -> None:
    for node in [node for node in tree.nodes if node.name.startswith(PREFIX)]:
        tree.nodes.remove(node)
