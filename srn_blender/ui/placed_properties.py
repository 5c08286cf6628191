"""`object.srn`: which instance of which run an empty stands for."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import CollectionProperty, FloatProperty, PointerProperty, StringProperty

from .. import compat
from ..errors import UserError
from ..results.placed import folder_of_instance
from ..results.placed_run import placed_run


def _instances(settings: Any, context: Any, typed: str) -> list[str]:
    """What to propose while a name is typed."""
    try:
        sources = placed_run(folder_of_instance(settings.id_data)).sources
    except UserError:
        return []  # the panel says why
    return [name for name in sources if typed.lower() in name.lower()]


def _tag(settings: Any, context: Any) -> None:
    """Has the viewport show a change that a script makes: of its own accord Blender only heeds buttons and curves."""
    settings.id_data.update_tag()


class SRN_PG_share(bpy.types.PropertyGroup):
    """One more instance of a mix."""

    instance: StringProperty(
        name="Instance", description="Name of the instance in the run", search=_instances, options=set(), update=_tag
    )
    weight: FloatProperty(
        name="Weight",
        description="How much of it, where the first two instances together have 1",
        default=1.0,
        min=0.0,
        soft_max=1.0,
        update=_tag,
    )


class SRN_PG_instance(bpy.types.PropertyGroup):
    """What an empty stands for; nothing where it names no run."""

    run_path: StringProperty(
        name="Run",
        description="Folder of the run whose instance stands here; // is the folder of the saved file",
        subtype="DIR_PATH",
        options=compat.PATH_OPTIONS,
        update=_tag,
    )
    instance: StringProperty(
        name="Instance",
        description="Name of the instance in the run; the run's first where this is empty",
        search=_instances,
        options=set(),
        update=_tag,
    )
    second: StringProperty(
        name="Second Instance",
        description="Name of an instance to blend towards",
        search=_instances,
        options=set(),
        update=_tag,
    )
    blend: FloatProperty(
        name="Blend",
        description="How far on the way from the instance to the second one",
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_tag,
    )
    further: CollectionProperty(
        name="More Instances",
        description="Instances that are mixed in beside the first two",
        type=SRN_PG_share,
    )


CLASSES = (SRN_PG_share, SRN_PG_instance)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    setattr(bpy.types.Object, "srn", PointerProperty(type=SRN_PG_instance))  # noqa: B010


def unregister() -> None:
    delattr(bpy.types.Object, "srn")
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
