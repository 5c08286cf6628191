"""Every difference between the Blender versions that the add-on runs on (4.2 to 5.2), and nowhere else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, cast

import bpy

IS_5 = bpy.app.version >= (5, 0)
EEVEE = "BLENDER_EEVEE" if IS_5 else "BLENDER_EEVEE_NEXT"

# For folder properties that may begin with //: newer versions warn where it is not said, older ones do not know it.
PATH_OPTIONS = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()


# The compositor. 4.x keeps the tree in the scene and has nodes of its own for mixing and arithmetic; 5.x takes any node
# group of the right kind as the scene's tree, ends it like a group, and shares those nodes with the shader editor.


COMPOSITOR_OUTPUT = "NodeGroupOutput" if IS_5 else "CompositorNodeComposite"
WIPE = "CompositorNodeSplit"


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
    if IS_5 and not any(item.item_type == "SOCKET" and item.in_out == "OUTPUT" for item in tree.interface.items_tree):
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    node = tree.nodes.new(COMPOSITOR_OUTPUT)
    activate_compositor_output(tree, node)
    return node


def activate_compositor_output(tree: Any, node: Any) -> None:
    """Lets this output node of the tree take effect, and no other."""
    if IS_5:
        node.is_active_output = True
    else:
        tree.nodes.active = node


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


def add_colour_ramp(tree: Any) -> Any:
    """A compositor node that turns a number from 0 to 1 into a colour, by its `color_ramp`."""
    return tree.nodes.new("ShaderNodeValToRGB" if IS_5 else "CompositorNodeValToRGB")


def add_wipe(tree: Any) -> tuple[Any, Any, Any]:
    """A compositor node that shows one picture left of the middle and one right of it: left, right, result."""
    node = tree.nodes.new(WIPE)
    if IS_5:
        node.inputs["Rotation"].default_value = -math.pi / 2
    by_id = {socket.identifier: socket for socket in node.inputs}
    return by_id["Image_001"], by_id["Image"], node.outputs[0]


def set_wipe(node: Any, position: float) -> None:
    """Moves the edge of a node that `add_wipe` has made: 0 is the left end of the picture, 1 the right one."""
    if IS_5:
        node.inputs["Position"].default_value[0] = position
    else:
        node.factor = round(100 * position)


def material_tree(material: bpy.types.Material) -> bpy.types.NodeTree:
    """The nodes of a material; 5.x always has them, and warns where they are asked for."""
    if not IS_5:
        material.use_nodes = True
    return cast(bpy.types.NodeTree, material.node_tree)


# Render passes to files. Without a window nothing else gives pixels.


def own_compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """An empty compositor tree that no other scene uses, in place of the one that `scene` has been copied with."""
    any_scene: Any = scene
    if IS_5:
        any_scene.compositing_node_group = None
    tree = compositor_tree(scene)
    tree.nodes.clear()
    return tree


def remove_compositor_tree(scene: bpy.types.Scene) -> None:
    """Removes the tree of a scene that is about to go; 4.x keeps it in the scene."""
    tree = existing_compositor_tree(scene)
    if IS_5 and tree is not None:
        bpy.data.node_groups.remove(tree)


def use_cpu_compositor(scene: bpy.types.Scene) -> None:
    """5.2 composites on the GPU by default, which fails where there is none."""
    scene.render.compositor_device = "CPU"


def add_file_output(tree: Any, socket: Any, folder: Path, name: str, image_format: str, colour_mode: str) -> None:
    """Writes what `socket` gives to a file at every render: name0001.png and so on, by the frame of an animation.

    image_format: "PNG", with 8 bits, or "OPEN_EXR", with float32. colour_mode: "RGB" or "RGBA".
    """
    node = tree.nodes.new("CompositorNodeOutputFile")
    if IS_5:
        node.directory, node.file_name = str(folder), ""
        node.format.media_type = "IMAGE"
        node.file_output_items.clear()
        node.file_output_items.new("RGBA", name)
    else:
        node.base_path = str(folder)
        node.file_slots.clear()
        node.file_slots.new(name)
    node.format.file_format = image_format
    node.format.color_mode = colour_mode
    node.format.color_depth = "8" if image_format == "PNG" else "32"
    tree.links.new(socket, node.inputs[0])


def index_socket(kind: str) -> str:
    """The output of a Render Layers node that holds the pass indices; kind: "material" or "object"."""
    if IS_5:
        return {"material": "Material Index", "object": "Object Index"}[kind]
    return {"material": "IndexMA", "object": "IndexOB"}[kind]


def turn_off_white_balance(view_settings: bpy.types.ColorManagedViewSettings) -> None:
    """4.3 brought a white balance to the view settings."""
    if bpy.app.version >= (4, 3, 0):
        view_settings.use_white_balance = False


# The world.


def world_tree(world: bpy.types.World) -> bpy.types.NodeTree | None:
    """The nodes that make a world's colour, None where it has one colour; 5.x knows no world without nodes."""
    return world.node_tree if IS_5 or world.use_nodes else None
