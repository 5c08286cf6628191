"""The colour of the world behind the instances."""

from __future__ import annotations

from typing import Any

from .. import compat

BLACK = (0.0, 0.0, 0.0)


def background(world: Any) -> tuple[float, float, float]:
    """The one colour that stands for a world: that of its Background node, or of the world in the viewport.

    Scene-linear. What shines on that node, such as a sky or a picture, is not followed: instances bring their light.
    """
    if world is None:
        return BLACK
    tree = compat.world_tree(world)
    node = _background_node(tree) if tree is not None else None
    if node is None or node.inputs["Color"].is_linked:
        return tuple(world.color)
    strength = node.inputs["Strength"].default_value
    red, green, blue, _ = node.inputs["Color"].default_value
    return red * strength, green * strength, blue * strength


def _background_node(tree: Any) -> Any:
    """The Background node that the tree's output shows, None where it shows something else."""
    output = tree.get_output_node("ALL")
    links = output.inputs["Surface"].links if output is not None else ()
    node = links[0].from_node if links else None
    return node if node is not None and node.bl_idname == "ShaderNodeBackground" else None
