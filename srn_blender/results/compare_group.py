"""The node group that compares: one output for each way to look at Cycles and the neural view, one for each class.

Both pictures are laid over white, and Cycles' is first cut to what a captured view can hold, 0 to 1. What is left
between them is what the model got wrong. An error is shown as a heat map, whose colours grow brighter with the error
throughout, as the engine's report has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from .. import compat
from . import images, nodes

GROUP = "SRN Compare"
CYCLES, CYCLES_DEPTH, DIFFERENCE_RANGE, DEPTH_RANGE = "Cycles", "Cycles Depth", "Difference Range", "Depth Range"
WIPE, DIFFERENCE, DEPTH, DEPTH_ERROR, LABELS = "Wipe", "Difference", "Depth", "Depth Error", "Labels"
MASK = "Mask "  # and the name of the class
HEAT = "SRN Heat"  # the name of the colour ramps' nodes begins with it
# What each output cannot do without.
NEEDED = {WIPE: images.COLOUR, DIFFERENCE: images.COLOUR, DEPTH: images.DEPTH, DEPTH_ERROR: images.DEPTH}
NEEDED |= {LABELS: images.LABELS}
LABEL_OPACITY = 0.6
WHITE = (1.0, 1.0, 1.0, 1.0)
# The mean difference of red, green and blue that has the heat map's last colour; the engine's report has the same.
FULL_DIFFERENCE = 0.1
# matplotlib's "inferno", evenly spread; sRGB, (N, 3). Its lightness, as people see it, grows evenly.
INFERNO = np.frombuffer(
    bytes.fromhex(
        "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754"
        "d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4"
    ),
    np.uint8,
).reshape(-1, 3) / np.float64(255)


def build_group(depth_range: float, classes: Sequence[str]) -> Any:
    """The node group with the comparison; one that is there is emptied and filled again.

    depth_range: the depth error, in Blender units, that has the heat map's last colour. classes: names, by their ids.
    """
    group = nodes.new_group(GROUP)
    interface = group.interface
    interface.new_socket(CYCLES, in_out="INPUT", socket_type="NodeSocketColor")
    interface.new_socket(CYCLES_DEPTH, in_out="INPUT", socket_type="NodeSocketFloat")
    for name, default in ((DIFFERENCE_RANGE, FULL_DIFFERENCE), (DEPTH_RANGE, depth_range)):
        socket = interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
        socket.default_value, socket.min_value = default, 1e-6
    shown = [name for name, needed in NEEDED.items() if bpy.data.images.get(needed) is not None]
    for name in shown:
        interface.new_socket(name, in_out="OUTPUT", socket_type="NodeSocketColor")
    masks = classes if bpy.data.images.get(images.LABEL_IDS) is not None else ()
    for name in masks:
        interface.new_socket(f"{MASK}{name}", in_out="OUTPUT", socket_type="NodeSocketFloat")
    inputs = group.nodes.new("NodeGroupInput").outputs
    outputs = {socket.name: socket for socket in group.nodes.new("NodeGroupOutput").inputs}
    cycles = _over_white(group, _clip(group, inputs[CYCLES]))
    _compare_colour(group, cycles, inputs[DIFFERENCE_RANGE], outputs)
    if DEPTH in shown:
        _compare_depth(group, inputs[CYCLES_DEPTH], inputs[DEPTH_RANGE], outputs)
    if LABELS in shown:
        over = compat.add_alpha_over(group)
        over.factor.default_value = LABEL_OPACITY
        group.links.new(cycles, over.a)
        group.links.new(_image(group, images.LABELS), over.b)
        group.links.new(over.result, outputs[LABELS])
    _mask_classes(group, masks, outputs)
    _arrange(group)
    return group


def set_wipe(position: float) -> None:
    """Moves the edge between the two pictures, in the group that is there: 0 is the left end, 1 the right one."""
    group: Any = bpy.data.node_groups.get(GROUP)
    for node in group.nodes if group is not None else ():
        if node.bl_idname == compat.WIPE:
            compat.set_wipe(node, position)


def heat_ramp(output: str) -> Any:
    """The colour ramp's node of an output that is a heat map, None where there is none."""
    group: Any = bpy.data.node_groups.get(GROUP)
    return group.nodes.get(f"{HEAT} {output}") if group is not None else None


def _compare_colour(group: Any, cycles: Any, difference_range: Any, outputs: Any) -> None:
    neural = _over_white(group, _image(group, images.COLOUR))
    group.links.new(_wipe(group, cycles, neural), outputs[WIPE])
    # Taken between sRGB values, so that 1/255 means the same in the dark and in the light.
    difference = compat.add_mix(group, "DIFFERENCE")
    group.links.new(_to_srgb(group, cycles), difference.a)
    group.links.new(_to_srgb(group, neural), difference.b)
    split = group.nodes.new("CompositorNodeSeparateColor")
    group.links.new(difference.result, split.inputs[0])
    red, green, blue, _ = split.outputs
    total = nodes.math(group, "ADD", nodes.math(group, "ADD", red, green), blue)
    _heat(group, nodes.math(group, "DIVIDE", total, 3.0), difference_range, outputs[DIFFERENCE])


def _compare_depth(group: Any, cycles: Any, depth_range: Any, outputs: Any) -> None:
    neural = _value(group, images.DEPTH)
    both = group.nodes.new("CompositorNodeNormalize")
    group.links.new(_wipe(group, cycles, neural), both.inputs[0])
    near = nodes.math(group, "SUBTRACT", 1.0, both.outputs[0])
    group.links.new(near, outputs[DEPTH])
    apart = nodes.math(group, "ABSOLUTE", nodes.math(group, "SUBTRACT", cycles, neural))
    _heat(group, apart, depth_range, outputs[DEPTH_ERROR])


def _heat(group: Any, error: Any, full: Any, output: Any) -> None:
    """An error in the colours of the heat map; from `full` on it has the last one."""
    ramp = compat.add_colour_ramp(group)
    ramp.name = ramp.label = f"{HEAT} {output.name}"
    elements = ramp.color_ramp.elements
    for number, colour in enumerate(INFERNO):
        place = number / (len(INFERNO) - 1)
        # A ramp begins with one colour at each end.
        at_end = number in (0, len(INFERNO) - 1)
        element = elements[0 if number == 0 else -1] if at_end else elements.new(place)
        element.position = place
        element.color = (*map(_linear, colour), 1.0)
    group.links.new(nodes.math(group, "DIVIDE", error, full, clamp=True), ramp.inputs[0])
    group.links.new(ramp.outputs[0], output)


def _linear(value: float) -> float:
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def _mask_classes(group: Any, classes: Sequence[str], outputs: Any) -> None:
    """White where the neural view sees the class, black elsewhere."""
    if not classes:
        return
    ids = _value(group, images.LABEL_IDS)
    for number, name in enumerate(classes):
        group.links.new(nodes.math(group, "COMPARE", ids, float(number), 0.5), outputs[f"{MASK}{name}"])


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


def _value(group: Any, name: str) -> Any:
    """The values of an image. Red alone: averaging three channels would round 1e10, a miss, to something else."""
    split = group.nodes.new("CompositorNodeSeparateColor")
    group.links.new(_image(group, name), split.inputs[0])
    return split.outputs[0]


def _image(group: Any, name: str) -> Any:
    node = group.nodes.new("CompositorNodeImage")
    node.image = bpy.data.images[name]
    node.label = name
    return node.outputs["Image"]


def _arrange(group: Any) -> None:
    """Puts every node right of all that lead to it."""
    column = dict.fromkeys((node.name for node in group.nodes), 0)
    links = [(link.from_node.name, link.to_node.name) for link in group.links]
    while any(column[after] <= column[before] for before, after in links):
        for before, after in links:
            column[after] = max(column[after], column[before] + 1)
    filled: dict[int, int] = {}
    for node in group.nodes:
        place = column[node.name]
        node.location = (place * 240.0, -filled.get(place, 0) * 260.0)
        filled[place] = filled.get(place, 0) + 1
