"""The part of `scene.srn` that says what the semantic classes are."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import CollectionProperty, EnumProperty, FloatVectorProperty, IntProperty, StringProperty

from ..capture.settings import LabelClass
from . import label_preview
from .capture_properties import CAPTURE

LABELS = (
    ("material", "Materials", "A class is made of materials"),
    ("object", "Objects", "A class is made of objects"),
    ("collection", "Collections", "A class is made of collections"),
    ("property", "Custom Property", "A class is made of the values of a custom property of the objects"),
    ("none", "None", "No labels"),
)


def _changed(settings: Any, context: Any) -> None:
    label_preview.update()


class SRN_PG_source(bpy.types.PropertyGroup):
    """One source of a class."""

    name: StringProperty(
        name="Name", description="Name of the material, object or collection, or the property's value", update=_changed
    )


class SRN_PG_class(bpy.types.PropertyGroup):
    """One class as the list shows it."""

    name: StringProperty(name="Name", description="Name of the class", update=_changed)
    colour: FloatVectorProperty(
        name="Colour",
        description="The colour that labels of this class are shown in",
        subtype="COLOR_GAMMA",  # sRGB, as the dataset has it
        size=3,
        min=0.0,
        max=1.0,
        update=_changed,
    )
    sources: CollectionProperty(name="Sources", description="What belongs to this class", type=SRN_PG_source)


class LabelProperties:
    """Mixed into the property group of the scene."""

    labels: EnumProperty(
        name="Labels",
        description="What the semantic classes are made of",
        items=LABELS,
        default=CAPTURE["labels"],
        update=_changed,
    )
    label_property: StringProperty(
        name="Property",
        description="Name of the custom property whose values are the classes",
        default=CAPTURE["label_property"],
        update=_changed,
    )
    classes: CollectionProperty(
        name="Classes",
        description="The semantic classes; what is in none of them is background, and without any each source is one",
        type=SRN_PG_class,
    )
    active_class: IntProperty(name="Active Class", description="The class that is chosen in the list", min=0)
    labelled_views: IntProperty(
        name="Labelled Views",
        description="How many training views of an instance get labels, spread over the rig; 0 for all of them. "
        "A few are enough, the engine predicts the rest",
        default=CAPTURE["labelled_views"],
        min=0,
        soft_max=100,
    )
    labelled_instances: IntProperty(
        name="Of Instances",
        description="Of how many instances training views get labels, the first ones by name; 0 for all of them",
        default=CAPTURE["labelled_instances"],
        min=0,
        soft_max=100,
    )


def classes_of(settings: Any) -> tuple[LabelClass, ...]:
    """The classes in the list, as a capture takes them."""
    return tuple(
        LabelClass(one.name, tuple(round(value, 4) for value in one.colour), tuple(s.name for s in one.sources))
        for one in settings.classes
    )


CLASSES = (SRN_PG_source, SRN_PG_class)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
