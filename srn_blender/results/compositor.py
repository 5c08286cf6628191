"""The comparison in the compositor: Cycles and the neural view of the same camera.

One node group, `SRN Compare`, holds the comparison, with one output for each way to look at it. The scene's own tree
gets three nodes, all named `SRN ...`: Render Layers, that group and an output. Whatever else stands in the tree stays
as it is; only its output has no effect while ours is there.

Both pictures are laid over white, and Cycles' is first cut to what a captured view can hold, 0 to 1. What is left
between them is what the model got wrong.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from ..errors import UserError
from . import images

GROUP = "SRN Compare"
PREFIX = "SRN "
OUTPUT = "SRN Output"
CYCLES, CYCLES_DEPTH, DEPTH_RANGE, GAIN = "Cycles", "Cycles Depth", "Depth Range", "Gain"

# What there is to look at: the mode, the group's output, what it shows, and the image without which it is not there.
MODES = (
    ("WIPE", "Wipe", "Cycles on the left, the neural view on the right", images.COLOUR),
    ("DIFFERENCE", "Difference", "How far the two colours are apart, times the gain", images.COLOUR),
    ("DEPTH", "Depth", "Cycles' depth on the left, the neural one on the right; bright is near", images.DEPTH),
    ("DEPTH_ERROR", "Depth Error", "How far the two depths are apart; white is the depth range or more", images.DEPTH),
    ("LABELS", "Labels", "The neural labels laid over Cycles' picture", images.LABELS),
)
LABEL_OPACITY = 0.6
WHITE = (1.0, 1.0, 1.0, 1.0)


def build(scene: bpy.types.Scene, mode: str, depth_range: float) -> list[str]:
    """Makes the comparison anew and shows `mode` of it; returns a sentence for each setting of the scene it changed.

    depth_range: the depth error, in Blender units, that shows as white.
    """
    if bpy.data.images.get(images.COLOUR) is None:
        raise UserError("Press Render Neural View first: there is no neural picture to compare with.")
    _, _, _, needed = _find_mode(mode)
    if bpy.data.images.get(needed) is None:
        raise UserError(f"Choose another comparison: the neural view came without the image '{needed}'.")
    changes = _prepare_scene(scene)
    tree: Any = compat.compositor_tree(scene)
    _remove_nodes(tree)
    below = min((node.location.y for node in tree.nodes), default=0.0) - 400.0
    layers = _add(tree, "CompositorNodeRLayers", "SRN Render Layers", 0.0, below)
    layers.scene, layers.layer = scene, scene.view_layers[0].name
    group = _add(tree, "CompositorNodeGroup", GROUP, 350.0, below)
    group.node_tree = _build_group(depth_range)
    group.width = 200.0
    tree.links.new(layers.outputs["Image"], group.inputs[CYCLES])
    tree.links.new(layers.outputs["Depth"], group.inputs[CYCLES_DEPTH])
    output = compat.add_compositor_output(tree)
    _place(output, OUTPUT, 650.0, below)
    select(scene, mode)
    return changes


def select(scene: bpy.types.Scene, mode: str) -> None:
    """Shows `mode` of a comparison that is there; does nothing where none is."""
    tree: Any = compat.existing_compositor_tree(scene)
    if tree is None or GROUP not in tree.nodes:
        return
    _, name, _, _ = _find_mode(mode)
    source = tree.nodes[GROUP].outputs.get(name)
    if source is not None:
        _adopt_output(tree)
        tree.links.new(source, tree.nodes[OUTPUT].inputs[0])


def is_built(scene: bpy.types.Scene) -> bool:
    """Whether the scene's compositor holds the comparison."""
    tree: Any = compat.existing_compositor_tree(scene)
    return tree is not None and GROUP in tree.nodes


def remove(scene: bpy.types.Scene) -> None:
    """Takes the comparison out of the scene's compositor; an output that was there before takes effect again.

    Where there is none, compositing is turned off: a tree without an output gives an empty picture.
    """
    tree: Any = compat.existing_compositor_tree(scene)
    if tree is not None:
        _remove_nodes(tree)
        others = [node for node in tree.nodes if node.bl_idname == compat.COMPOSITOR_OUTPUT]
        if others:
            compat.activate_compositor_output(tree, others[0])
        else:
            scene.render.use_compositing = False


def _find_mode(mode: str) -> tuple[str, str, str, str]:
    return next(entry for entry in MODES if entry[0] == mode)


def _prepare_scene(scene: bpy.types.Scene) -> list[str]:
    """Sets what the comparison cannot do without."""
    layer: Any = scene.view_layers[0]
    wanted: tuple[tuple[Any, str, Any, str], ...] = (
        (scene.render, "engine", "CYCLES", "the render engine is Cycles now"),
        (scene.render, "film_transparent", True, "the film is transparent now"),
        (scene.render, "use_compositing", True, "compositing is on now"),
        (layer, "use_pass_z", True, "the depth pass is on now"),
    )
    changes = []
    for owner, name, value, sentence in wanted:
        if getattr(owner, name) != value:
            setattr(owner, name, value)
            changes.append(sentence)
    return changes


def _adopt_output(tree: Any) -> None:
    """Gives our output node its name again: Blender 5 puts a nameless one in its place when it opens a file of 4.x."""
    if OUTPUT in tree.nodes:
        return
    for link in tree.links:
        if link.from_node.name == GROUP and link.to_node.bl_idname == compat.COMPOSITOR_OUTPUT:
            link.to_node.name = OUTPUT


def _remove_nodes(tree: Any) -> None:
    _adopt_output(tree)
    for node in [node for node in tree.nodes if node.name.startswith(PREFIX)]:
        tree.nodes.remove(node)


def _build_group(depth_range: float) -> Any:
    """The node group with the comparison; one that is there is emptied and filled again."""
    old = bpy.data.node_groups.get(GROUP)
    if old is not None:
        bpy.data.node_groups.remove(old)
    group: Any = bpy.data.node_groups.new(GROUP, "CompositorNodeTree")
    interface = group.interface
    interface.new_socket(CYCLES, in_out="INPUT", socket_type="NodeSocketColor")
    interface.new_socket(CYCLES_DEPTH, in_out="INPUT", socket_type="NodeSocketFloat")
    for name, default in ((GAIN, 1.0), (DEPTH_RANGE, depth_range)):
        socket = interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
        socket.default_value, socket.min_value = default, 1e-6
    for _, name, _, needed in MODES:
        if bpy.data.images.get(needed) is not None:
            interface.new_socket(name, in_out="OUTPUT", socket_type="NodeSocketColor")
    inputs = _add(group, "NodeGroupInput", "SRN Input", 0.0, 0.0).outputs
    outputs = _add(group, "NodeGroupOutput", OUTPUT, 2000.0, 0.0).inputs
    cycles = _over_white(group, _clip(group, inputs[CYCLES]))
    _compare_colour(group, cycles, inputs[GAIN], outputs)
    if "Depth" in outputs:
        _compare_depth(group, inputs[CYCLES_DEPTH], inputs[DEPTH_RANGE], outputs)
    if "Labels" in outputs:
        over = compat.add_alpha_over(group)
        over.factor.default_value = LABEL_OPACITY
        group.links.new(cycles, over.a)
        group.links.new(_image(group, images.LABELS), over.b)
        group.links.new(over.result, outputs["Labels"])
    _arrange(group)
    return group


def _compare_colour(group: Any, cycles: Any, gain: Any, outputs: Any) -> None:
    neural = _over_white(group, _image(group, images.COLOUR))
    group.links.new(_wipe(group, cycles, neural), outputs["Wipe"])
    # Taken between sRGB values, so that 1/255 means the same in the dark and in the light.
    difference = compat.add_mix(group, "DIFFERENCE")
    group.links.new(_to_srgb(group, cycles), difference.a)
    group.links.new(_to_srgb(group, neural), difference.b)
    gained = compat.add_mix(group, "MULTIPLY", clamp=True)
    group.links.new(difference.result, gained.a)
    group.links.new(gain, gained.b)
    back = group.nodes.new("CompositorNodeConvertColorSpace")
    back.from_color_space = "sRGB"
    group.links.new(gained.result, back.inputs[0])
    group.links.new(back.outputs[0], outputs["Difference"])


def _compare_depth(group: Any, cycles: Any, depth_range: Any, outputs: Any) -> None:
    # Red alone: averaging three channels would round 1e10, a miss, to something else.
    split = group.nodes.new("CompositorNodeSeparateColor")
    group.links.new(_image(group, images.DEPTH), split.inputs[0])
    neural = split.outputs[0]
    both = group.nodes.new("CompositorNodeNormalize")
    group.links.new(_wipe(group, cycles, neural), both.inputs[0])
    near = _math(group, "SUBTRACT", 1.0, both.outputs[0])
    group.links.new(near, outputs["Depth"])
    apart = _math(group, "ABSOLUTE", _math(group, "SUBTRACT", cycles, neural))
    group.links.new(_math(group, "DIVIDE", apart, depth_range, clamp=True), outputs["Depth Error"])


def _clip(group: Any, picture: Any) -> Any:
    """The picture with straight colours cut to 0 .. 1, which is all that a captured view keeps of a bright spot."""
    straight = compat.add_alpha_convert(group, to_straight=True)
    group.links.new(picture, straight.inputs[0])
    clip = compat.add_mix(group, "MIX", clamp=True)
    clip.factor.default_value = 0.0
    group.links.new(straight.outputs[0], clip.a)
    premultiplied = compat.add_alpha_convert(group, to_straight=False)
    group.links.new(clip.result, premultiplied.inputs[0])
    return premultiplied.outputs[0]


def _over_white(group: Any, picture: Any) -> Any:
    over = compat.add_alpha_over(group)
    over.a.default_value = WHITE
    group.links.new(picture, over.b)
    return over.result


def _to_srgb(group: Any, picture: Any) -> Any:
    convert = group.nodes.new("CompositorNodeConvertColorSpace")
    convert.to_color_space = "sRGB"
    group.links.new(picture, convert.inputs[0])
    return convert.outputs[0]


def _wipe(group: Any, left: Any, right: Any) -> Any:
    left_socket, right_socket, result = compat.add_wipe(group)
    group.links.new(left, left_socket)
    group.links.new(right, right_socket)
    return result


def _math(group: Any, operation: str, *values: Any, clamp: bool = False) -> Any:
    """A math node over sockets or plain numbers; its output."""
    node = compat.add_math(group, operation, clamp)
    for socket, value in zip(node.inputs, values, strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            group.links.new(value, socket)
    return node.outputs[0]


def _image(group: Any, name: str) -> Any:
    node = group.nodes.new("CompositorNodeImage")
    node.image = bpy.data.images[name]
    node.label = name
    return node.outputs["Image"]


def _add(tree: Any, kind: str, name: str, x: float, y: float) -> Any:
    node = tree.nodes.new(kind)
    _place(node, name, x, y)
    return node


def _place(node: Any, name: str, x: float, y: float) -> None:
    node.name = node.label = name
    node.location = (x, y)


def _arrange(group: Any) -> None:
    """Puts every node right of all that lead to it."""
    column = dict.fromkeys((node.name for node in group.nodes), 0)
    for _ in group.nodes:
        for link in group.links:
            column[link.to_node.name] = max(column[link.to_node.name], column[link.from_node.name] + 1)
    filled: dict[int, int] = {}
    for node in group.nodes:
        place = column[node.name]
        node.location = (place * 240.0, -filled.get(place, 0) * 260.0)
        filled[place] = filled.get(place, 0) + 1
