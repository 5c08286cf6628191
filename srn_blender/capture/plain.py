"""Blender's structs as plain values: what a person can set in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PLAIN = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}


def plain_properties(struct: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of what a person can set in a Blender struct: numbers, texts, choices."""
    for prop in struct.bl_rna.properties:
        # `use_nodes` warns of its end in 6.0 wherever it is read, and is on for everything that 5.0 makes.
        if prop.type in PLAIN and not prop.is_readonly and prop.identifier != "use_nodes":
            yield prop.identifier, getattr(struct, prop.identifier)


def plain_value(value: Any) -> Any:
    """A property as something that JSON takes; pointers to other datablocks by name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "name_full"):
        return value.name_full
    return sorted(value) if isinstance(value, set) else list(value)
