"""The comparison in the compositor: Cycles and the neural view of the same camera.

One node group (compare_group.py) holds the comparison, with one output for each way to look at it. The scene's own tree
gets three nodes: Render Layers, that group and an output. Whatever else stands in the tree stays
as it is; only its output has no effect while ours is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from .. import compat
from ..errors import UserError
from . import compare_group, images, nodes
from .compare_group import CYCLES, CYCLES_DEPTH, GROUP, MASK, NEEDED

LAYERS, OUTPUT = "SRN Render Layers", "SRN Output"
OURS = (LAYERS, GROUP, OUTPUT)  # the nodes in the scene's own tree
LABELLED, MASKS = "LABELS", "MASK"  # the modes that need labels

# What there is to look at: the mode, the group's output, and what it shows.
MODES = (
    ("WIPE", compare_group.WIPE, "Cycles on the left, the neural view on the right"),
    ("DIFFERENCE", compare_group.DIFFERENCE, "How far the two colours are apart, as a heat map"),
    ("DEPTH", compare_group.DEPTH, "Cycles' depth on the left, the neural one on the right; bright is near"),
    ("DEPTH_ERROR", compare_group.DEPTH_ERROR, "How far the two depths are apart, as a heat map"),
    (LABELLED, compare_group.LABELS, "The neural labels in their colours, laid over Cycles' picture"),
    (MASKS, "Class Mask", "White where the neural view sees the chosen class"),
)


def build(
    scene: bpy.types.Scene, mode: str, depth_range: float, classes: Sequence[str] = (), chosen: str = ""
) -> list[str]:
    """Makes the comparison anew and shows `mode` of it; returns a sentence for each setting of the scene it changed.

    depth_range: the depth error, in Blender units, that has the heat map's last colour. classes: the names of the
    neural view's classes, by their ids; chosen: the one whose mask is shown. What a person has linked from the
    comparison into nodes of their own stays linked.
    """
    if bpy.data.images.get(images.COLOUR) is None:
        raise UserError("Press Render Neural View first: there is no neural picture to compare with.")
    needed = images.LABEL_IDS if mode == MASKS else NEEDED[_output_of(mode, chosen)]
    if bpy.data.images.get(needed) is None:
        raise UserError(f"Choose another comparison: the neural view came without the image '{needed}'.")
    changes = _prepare_scene(scene)
    tree: Any = compat.compositor_tree(scene)
    used = _links_of_others(tree)
    _remove_nodes(tree)
    below = min((node.location.y for node in tree.nodes), default=0.0) - 400.0
    layers = nodes.add(tree, "CompositorNodeRLayers", LAYERS, 0.0, below)
    layers.scene, layers.layer = scene, scene.view_layers[0].name
    group = nodes.add(tree, "CompositorNodeGroup", GROUP, 350.0, below)
    group.node_tree = compare_group.build_group(depth_range, classes)
    group.width = 200.0
    tree.links.new(layers.outputs["Image"], group.inputs[CYCLES])
    tree.links.new(layers.outputs["Depth"], group.inputs[CYCLES_DEPTH])
    for name, target in used:
        if name in group.outputs:
            tree.links.new(group.outputs[name], target)
    nodes.place(compat.add_compositor_output(tree), OUTPUT, 650.0, below)
    select(scene, mode, chosen)
    return changes


def select(scene: bpy.types.Scene, mode: str, chosen: str = "") -> None:
    """Shows `mode` of a comparison that is there; does nothing where none is."""
    node = group_node(scene)
    if node is None:
        return
    tree = node.id_data
    source = node.outputs.get(_output_of(mode, chosen))
    if source is not None:
        _adopt_output(tree)
        tree.links.new(source, tree.nodes[OUTPUT].inputs[0])


def group_node(scene: bpy.types.Scene) -> Any:
    """The comparison's node in the scene's compositor, None where there is none."""
    tree: Any = compat.existing_compositor_tree(scene)
    return tree.nodes.get(GROUP) if tree is not None else None


def can_show(scene: bpy.types.Scene, mode: str, chosen: str = "") -> bool:
    """Whether the comparison that is there has an output for `mode`."""
    node = group_node(scene)
    return node is not None and _output_of(mode, chosen) in node.outputs


def is_built(scene: bpy.types.Scene) -> bool:
    """Whether the scene's compositor holds the comparison."""
    return group_node(scene) is not None


def remove(scene: bpy.types.Scene) -> None:
    """Takes the comparison out of the scene's compositor; an output that was there before takes effect again."""
    tree: Any = compat.existing_compositor_tree(scene)
    if tree is not None:
        _remove_nodes(tree)
        nodes.give_output_back(scene)


def _output_of(mode: str, chosen: str) -> str:
    return f"{MASK}{chosen}" if mode == MASKS else next(output for name, output, _ in MODES if name == mode)


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


def _links_of_others(tree: Any) -> list[tuple[str, Any]]:
    """The comparison's outputs that lead to nodes which are not ours, by name, and the sockets they lead to."""
    return [
        (link.from_socket.name, link.to_socket)
        for link in tree.links
        if link.from_node.name == GROUP and link.to_node.name not in OURS
    ]


def _remove_nodes(tree: Any) -> None:
    _adopt_output(tree)
    for node in [node for node in tree.nodes if node.name in OURS]:
        tree.nodes.remove(node)
