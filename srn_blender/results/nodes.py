"""What every compositor tree of ours is built with."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat


def add(tree: Any, kind: str, name: str, x: float, y: float) -> Any:
    """A new node by a name that it is found by again."""
    return place(tree.nodes.new(kind), name, x, y)


def place(node: Any, name: str, x: float, y: float) -> Any:
    node.name = node.label = name
    node.location = (x, y)
    return node


def math(tree: Any, operation: str, *values: Any, clamp: bool = False) -> Any:
    """A math node over sockets or plain numbers; its output."""
    node = compat.add_math(tree, operation, clamp)
    for socket, value in zip(node.inputs, values, strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            tree.links.new(value, socket)
    return node.outputs[0]


def new_group(name: str) -> Any:
    """An empty node group; one of this name that is there goes."""
    old = bpy.data.node_groups.get(name)
    if old is not None:
        bpy.data.node_groups.remove(old)
    return bpy.data.node_groups.new(name, "CompositorNodeTree")


def give_output_back(scene: bpy.types.Scene) -> None:
    """Lets an output take effect again that was in the scene's tree before ours, which is gone: of several the newest.

    Where there is none, compositing is turned off: a tree without an output gives an empty picture.
    """
    tree: Any = compat.existing_compositor_tree(scene)
    others = [node for node in tree.nodes if node.bl_idname == compat.COMPOSITOR_OUTPUT]
    if others:
        compat.activate_compositor_output(tree, others[-1])
    else:
        scene.render.use_compositing = False
