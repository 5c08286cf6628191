"""Every difference between the Blender versions that the add-on runs on (4.2 to 5.2), and nowhere else."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import bpy

IS_5 = bpy.app.version >= (5, 0)


# The compositor. 4.x keeps the tree in the scene and has nodes of its own for mixing and arithmetic; 5.x takes any node
# group of the right kind as the scene's tree, ends it like a group, and shares those nodes with the shader editor.


class MixNode(NamedTuple):
    """The sockets of a node that mixes two colours."""

    factor: Any
    a: Any
    b: Any
    result: Any


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The scene's compositor tree, switched on, made where there is none."""
    any_scene: Any = scene
    if IS_5:
        if any_scene.compositing_node_group is None:
            any_scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        return cast(bpy.types.NodeTree, any_scene.compositing_node_group)
    any_scene.use_nodes = True
    return cast(bpy.types.NodeTree, any_scene.node_tree)


def existing_compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The scene's compositor tree, None where it has none."""
    tree = getattr(scene, "compositing_node_group" if IS_5 else "node_tree")
    return cast("bpy.types.NodeTree | None", tree)


def add_compositor_output(tree: Any) -> Any:
    """A node whose first input is what the scene's compositing gives; the other outputs stay, without effect."""
    if not IS_5:
        node = tree.nodes.new("CompositorNodeComposite")
        tree.nodes.active = node
        return node
    outputs = [item for item in tree.interface.items_tree if item.item_type == "SOCKET" and item.in_out == "OUTPUT"]
    if not outputs:
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    node = tree.nodes.new("NodeGroupOutput")
    node.is_active_output = True
    return node


def activate_compositor_output(tree: Any) -> None:
    """Lets some output node that is left in the tree take effect."""
    kind = "NodeGroupOutput" if IS_5 else "CompositorNodeComposite"
    for node in tree.nodes:
        if node.bl_idname != kind:
            continue
        if IS_5:
            node.is_active_output = True
        else:
            tree.nodes.active = node
        return


def add_mix(tree: Any, blend_type: str, clamp: bool = False) -> MixNode:
    """A compositor node that mixes two colours, with its factor at 1."""
    if IS_5:
        node = tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type, node.clamp_result = "RGBA", blend_type, clamp
        by_id = {socket.identifier: socket for socket in (*node.inputs, *node.outputs)}
        mix = MixNode(by_id["Factor_Float"], by_id["A_Color"], by_id["B_Color"], by_id["Result_Color"])
    else:
        node = tree.nodes.new("CompositorNodeMixRGB")
        node.blend_type, node.use_clamp = blend_type, clamp
        mix = MixNode(node.inputs[0], node.inputs[1], node.inputs[2], node.outputs[0])
    mix.factor.default_value = 1.0
    return mix


def add_math(tree: Any, operation: str, clamp: bool = False) -> Any:
    """A compositor node that calculates with numbers: `inputs[0]` and `inputs[1]` give `outputs[0]`."""
    node = tree.nodes.new("ShaderNodeMath" if IS_5 else "CompositorNodeMath")
    node.operation, node.use_clamp = operation, clamp
    return node


def add_alpha_over(tree: Any) -> MixNode:
    """A compositor node that lays `b`, premultiplied, over `a`."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    by_id = {socket.identifier: socket for socket in node.inputs}
    background, foreground = ("Background", "Foreground") if IS_5 else ("Image", "Image_001")
    return MixNode(by_id["Fac"], by_id[background], by_id[foreground], node.outputs[0])


def add_alpha_convert(tree: Any, to_straight: bool) -> Any:
    """A compositor node that turns premultiplied alpha straight, or the other way round."""
    node = tree.nodes.new("CompositorNodePremulKey")
    if IS_5:
        node.inputs["Type"].default_value = "To Straight" if to_straight else "To Premultiplied"
    else:
        node.mapping = "PREMUL_TO_STRAIGHT" if to_straight else "STRAIGHT_TO_PREMUL"
    return node


def add_wipe(tree: Any) -> tuple[Any, Any, Any]:
    """A compositor node that shows one picture left of the middle and one right of it: left, right, result."""
    node = tree.nodes.new("CompositorNodeSplit")
    if IS_5:
        node.inputs["Rotation"].default_value = -math.pi / 2
    by_id = {socket.identifier: socket for socket in node.inputs}
    return by_id["Image_001"], by_id["Image"], node.outputs[0]
