"""What is captured as an instance, and which objects make it up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import bpy

from ..errors import UserError

SURFACES = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
# Seen by Cycles, but without a mesh to measure: their bounding box has to do.
BOXES = {"CURVES", "POINTCLOUD", "VOLUME"}


# What Windows takes for a device, whatever its folder.
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Instance:
    """What is captured as one instance: objects, with their children.

    id: as `instance_id` makes it. source: the name to remember, of the object or the collection. align: whether the
    rotation of the one object that the others hang on is undone, so that many instances face alike. frame: which one of
    the scene's, None for the current one.
    """

    id: str
    source: str
    objects: Sequence[bpy.types.Object]
    align: bool = False
    frame: int | None = None


def instance_id(name: str) -> str:
    """An id for a folder from any name in Blender: letters, digits, "-" and "_", at most 64."""
    fit = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "instance"
    return f"_{fit}" if DEVICE.fullmatch(fit) else fit


def gather_objects(objects: Sequence[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects and all their children that a render shows, in a stable order.

    Raises UserError where nothing is left.
    """
    if not objects:
        raise UserError("Select the object to capture, or choose a collection.")
    family = {child.name_full: child for parent in objects for child in (parent, *parent.children_recursive)}
    shown = [family[name] for name in sorted(family) if not (family[name].hide_render or family[name].hide_viewport)]
    kinds = SURFACES | BOXES | {"EMPTY"}  # an empty may stand for a whole collection
    renderable = [candidate for candidate in shown if candidate.type in kinds]
    if not renderable:
        names = ", ".join(sorted(chosen.name for chosen in objects)[:3])
        raise UserError(f"Select something that a render shows: '{names}' holds no visible surface.")
    return renderable
