"""A class of chairs, made by code: each in a collection of its own, no two alike.

A seat, a back of slats or a panel, four legs and sometimes arms, in random sizes and colours. The custom property
`part` of every object says what it is of the chair, and becomes its semantic class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

CLASS = "Chairs"
PART = "part"  # the custom property
PARTS = ("seat", "back", "leg", "arm")
SPACING = 1.6
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Block:
    """A box of a chair: what it is part of, its middle and its whole size, z up, the chair's front towards -y."""

    part: str
    middle: Place
    size: Place


def build_chairs(scene: bpy.types.Scene, count: int, seed: int = 0) -> bpy.types.Collection:
    """Builds `count` chairs side by side; returns the collection that holds a collection of each.

    The same seed gives the same chairs, and the first ones are the same for every count.
    """
    chairs = bpy.data.collections.new(CLASS)
    scene.collection.children.link(chairs)
    across = int(np.ceil(np.sqrt(count)))
    for number in range(count):
        random = np.random.default_rng((seed, number))
        chair = bpy.data.collections.new(f"Chair {number + 1:02d}")
        chairs.children.link(chair)
        soft, wood = _colour(random, (0.0, 6.0), 0.6, 0.8), _colour(random, (0.3, 0.9), 0.6, 0.5)
        materials = {part: _material(f"{chair.name} {part}", soft if part == "seat" else wood) for part in PARTS}
        place = (SPACING * (number % across), SPACING * (number // across), 0.0)
        for block in blocks(random):
            chair.objects.link(_build(block, materials[block.part], place))
    return chairs


def blocks(random: np.random.Generator) -> Iterator[Block]:
    """The boxes of one chair, standing on z = 0."""
    width, depth = random.uniform(0.4, 0.6), random.uniform(0.4, 0.55)
    height, rise = random.uniform(0.35, 0.55), random.uniform(0.3, 0.6)
    thick, leg = random.uniform(0.04, 0.1), random.uniform(0.03, 0.06)
    yield Block("seat", (0.0, 0.0, height), (width, depth, thick))
    right, front = (width - leg) / 2, (depth - leg) / 2
    for x in (-right, right):
        for y in (-front, front):
            yield Block("leg", (x, y, (height - thick / 2) / 2), (leg, leg, height - thick / 2))
    middle = height + thick / 2 + rise / 2
    if random.random() < 0.5:
        yield Block("back", (0.0, front, middle), (width, leg, rise))
    else:
        slats = int(random.integers(3, 6))
        for x in np.linspace(-right, right, slats):
            yield Block("back", (float(x), front, middle), (leg, leg, rise))
        yield Block("back", (0.0, front, middle + rise / 2), (width, leg, 1.5 * leg))
    if random.random() < 0.5:
        for x in (-right, right):
            yield Block("arm", (x, 0.0, height + 0.22), (leg, depth, leg))
            yield Block("arm", (x, -front, height + 0.11), (leg, leg, 0.22))


def _build(block: Block, material: bpy.types.Material, place: Place) -> bpy.types.Object:
    half = np.array(block.size) / 2
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(block.part)
    mesh.from_pydata(corners.tolist(), [], faces)
    mesh.materials.append(material)
    item = bpy.data.objects.new(block.part, mesh)
    item.location = np.array(block.middle) + np.array(place)
    item[PART] = block.part
    return item


def _material(name: str, colour: tuple[float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree: Any = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = 0.7
    return material


def _colour(
    random: np.random.Generator, hues: tuple[float, float], saturation: float, value: float
) -> tuple[float, float, float]:
    """A linear colour; its hue, from red to red in 6 parts, is drawn between two."""
    hue = random.uniform(*hues)
    ramps = np.clip([abs(hue - 3.0) - 1.0, 2.0 - abs(hue - 2.0), 2.0 - abs(hue - 4.0)], 0.0, 1.0)
    red, green, blue = value * (1.0 - saturation * (1.0 - ramps))
    return float(red), float(green), float(blue)
