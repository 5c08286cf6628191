"""Many instances at once: every object, every collection inside one, or every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import bpy

from ..errors import UserError
from .instance import BOXES, SURFACES, Instance, instance_id

KINDS = SURFACES | BOXES | {"EMPTY"}
MOST = 100_000


def each_object(objects: Sequence[bpy.types.Object], align: bool) -> list[Instance]:
    """Every object for itself, with its children; an object with a parent among them belongs to that.

    Cameras, lights and the like are passed over. Raises UserError where nothing is left.
    """
    roots = [one for one in objects if not _ancestors(one) & set(objects)]
    found = [Instance("", root.name, (root,), align) for root in roots if _may_be_seen(root)]
    return _with_ids(found, "Select the objects to capture, or choose a collection that holds some.")


def each_collection(collection: bpy.types.Collection, align: bool) -> list[Instance]:
    """Every collection that stands directly in this one, with what it holds. Raises UserError where there is none."""
    found = [Instance("", child.name, tuple(child.all_objects), align) for child in collection.children]
    return _with_ids(found, f"Put a collection for each instance into '{collection.name}': it holds no collections.")


def each_frame(whole: Instance, frames: Sequence[int]) -> list[Instance]:
    """The same at every frame, named frame0001 and so on. Raises UserError where there are none or too many."""
    if not 0 < len(frames) <= MOST:
        raise UserError(f"Set the scene's frame range to at least one frame and at most {MOST}.")
    return [replace(whole, id=f"frame{frame:04d}".replace("-", "_"), frame=frame) for frame in frames]


def _may_be_seen(root: bpy.types.Object) -> bool:
    return any(one.type in KINDS for one in (root, *root.children_recursive))


def _ancestors(one: bpy.types.Object) -> set[bpy.types.Object]:
    found = set()
    while one.parent is not None:
        one = one.parent
        found.add(one)
    return found


def _with_ids(found: Sequence[Instance], advice: str) -> list[Instance]:
    """By their names, each with an id of its own: where two names give the same one, the later is numbered.

    Small and capital letters are the same: to Windows and macOS they are, in the names of folders.
    """
    if not 0 < len(found) <= MOST:
        raise UserError(advice if not found else f"Choose fewer than {MOST} instances.")
    taken: set[str] = set()
    named = []
    for one in sorted(found, key=lambda one: one.source):
        wanted = name = instance_id(one.source)
        number = 2
        while name.casefold() in taken:
            name = f"{wanted[:56]}_{number}"
            number += 1
        taken.add(name.casefold())
        named.append(replace(one, id=name))
    return named
