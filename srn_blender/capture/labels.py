"""What the semantic classes of a capture are, and which pass index stands for which of them.

A source is what a class is made of: a material, an object, a collection or the value of a custom property. A person may
list classes that hold several sources each; without a list every source is a class of its own.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .geometry import Part
from .settings import LabelClass
from .stage import OWN

BACKGROUND = LabelClass("background", (0.0, 0.0, 0.0), ())
MAX_CLASSES = 256
MAX_INDEX = 32767  # Blender's largest pass index
# What has no material, or lacks the property, is a source too.
NO_MATERIAL = "(no material)"
NO_VALUE = "(no value)"
LOOSE = "Scene Collection"  # objects in no collection but the scene's own


@dataclass(frozen=True)
class Source:
    """One source and the materials or objects that carry its pass index; faces without a material have none."""

    name: str
    carriers: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """How a capture is labelled.

    classes: by their ids, the background first. sources: the n-th, from 1 on, carries pass index n. table: uint8
    (sources + 1,), the class id of each pass index.
    """

    kind: str
    classes: Sequence[LabelClass]
    sources: Sequence[Source]
    table: NDArray[np.uint8]

    @property
    def index(self) -> str:
        """Which of Blender's passes tells the sources apart, as of `index_of`."""
        return index_of(self.kind)

    def ids(self, index: NDArray[np.float32], hit: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Class ids from a pass of indices, both (H, W, 1); 0 where nothing was hit."""
        numbers = np.rint(index).astype(np.int64)
        numbers[numbers >= len(self.table)] = 0  # one that a person has given meanwhile
        return np.where(hit, self.table[numbers], np.uint8(0))


def index_of(kind: str) -> str:
    """Which of Blender's passes tells the sources of a kind apart: "material" or "object"; empty without labels."""
    return {"material": "material", "none": ""}.get(kind, "object")


def make_labels(sources: Sequence[Source], kind: str, classes: Sequence[LabelClass]) -> Labels:
    """The labels of an instance with these sources; classes: those of the whole capture, as `list_classes` gives them.

    kind: one of settings.LABELS.
    """
    ids = {name: number for number, one in enumerate(classes) for name in one.sources}
    table = np.zeros(len(sources) + 1, np.uint8)
    for number, source in enumerate(sources, 1):
        table[number if source.carriers else 0] = ids.get(source.name, 0)
    return Labels(kind, classes, sources, table)


def find_sources(parts: Sequence[Part], kind: str, label_property: str) -> list[Source]:
    """What of a kind `parts` show, by name; what has no material or no value comes last.

    Raises UserError where the property has no name, and where there are more than Blender can tell apart.
    """
    if kind == "property" and not label_property:
        raise UserError("Write the name of a custom property under Property, or choose other labels.")
    found: dict[str, dict[int, Any]] = {}
    for part in parts:
        for name, carrier in _sources_of(part, kind, label_property):
            carriers = found.setdefault(name, {})
            if carrier is not None:
                carriers[carrier.as_pointer()] = carrier
    if len(found) > MAX_INDEX:
        raise UserError(f"Set Labels to None or join some parts: {len(found)} sources are more than {MAX_INDEX}.")
    return [Source(name, tuple(found[name].values())) for name in in_order(found)]


def in_order(names: Iterable[str]) -> list[str]:
    """The names of sources by the alphabet; what has no material or no value comes last."""
    return sorted(names, key=lambda name: (name in (NO_MATERIAL, NO_VALUE), name))


def _sources_of(part: Part, kind: str, label_property: str) -> Iterator[tuple[str, Any]]:
    if kind == "material":
        for material in part.materials:
            yield (material.name_full, material) if material else (NO_MATERIAL, None)
    elif kind != "none":
        yield source_of_object(part.owner, kind, label_property), part.owner


def source_of_object(owner: bpy.types.Object, kind: str, label_property: str) -> str:
    """The name of the source that an object belongs to; kind: "object", "collection" or "property"."""
    if kind == "object":
        return owner.name_full
    if kind == "property":
        value = owner.get(label_property)
        return NO_VALUE if value is None else str(value)
    # A scene's own collection is no datablock: the object may stand in those of other scenes.
    named = [group.name_full for group in owner.users_collection if not (group.is_embedded_data or group.get(OWN))]
    return min(named, default=LOOSE)


def list_classes(names: Sequence[str], chosen: Sequence[LabelClass]) -> list[LabelClass]:
    """The classes by their ids, the background first: those chosen, or one for each of the sources' names.

    What the chosen ones leave out is background. Raises UserError where there are more than fit into 8 bits, where the
    chosen contradict themselves, and where they hold none of the names.
    """
    if not chosen:
        classes = [LabelClass(name, class_colour(number), (name,)) for number, name in enumerate(names)]
    else:
        _require_clear(chosen)
        if not {name for one in chosen for name in one.sources} & set(names):
            raise UserError("Press Fill from Scene or empty the list of classes: none of them is of what is captured.")
        classes = list(chosen)
    if len(classes) >= MAX_CLASSES:
        raise UserError(f"Set Labels to None or list fewer classes: {len(classes)} are more than 255.")
    return [BACKGROUND, *classes]


def _require_clear(chosen: Sequence[LabelClass]) -> None:
    taken, owners = {BACKGROUND.name}, dict[str, str]()
    for one in chosen:
        if not one.name.strip():
            raise UserError("Give each class in the list a name.")
        if one.name in taken:
            raise UserError(f"Give class '{one.name}' another name: there is one already.")
        taken.add(one.name)
        for source in one.sources:
            if owners.setdefault(source, one.name) != one.name:
                raise UserError(f"Take '{source}' out of class '{one.name}': it belongs to '{owners[source]}'.")


def class_colour(index: int) -> tuple[float, float, float]:
    """An sRGB colour from 0 to 1: hues far from each other, the same at every capture, however many there are."""
    hue = (index * 0.618034) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.75, 0.5)[index % 2], (0.95, 0.8)[index // 2 % 2])
    return round(red, 4), round(green, 4), round(blue, 4)


def choose_views(positions: NDArray[np.float64], count: int) -> list[int]:
    """The numbers of `count` of the cameras at `positions` (N, 3), far from each other; of all where there are no more.

    The first view is always one of them.
    """
    if count >= len(positions):
        return list(range(len(positions)))
    nearest = np.full(len(positions), np.inf)
    chosen = [0]
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.linalg.norm(positions - positions[chosen[-1]], axis=1))
        chosen.append(int(nearest.argmax()))
    return sorted(chosen)
