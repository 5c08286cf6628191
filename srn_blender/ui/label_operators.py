"""Editing the list of classes, and showing the classes in the viewport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from ..capture.instance import Instance
from ..capture.labels import class_colour
from ..capture.settings import CaptureSettings
from ..capture.studio import open_studio
from ..errors import UserError
from . import label_preview, tasks
from .capture_operator import what_to_capture
from .label_properties import classes_of
from .properties import settings_of


def sources_here(context: Any) -> list[str]:
    """The names of what classes can be made of in what would be captured now. Raises UserError as a capture does."""
    if tasks.running("capture"):
        raise UserError("Wait for the end of the capture, or cancel it.")
    chosen = settings_of(context.scene)
    objects, _ = what_to_capture(context)
    settings = CaptureSettings(Path(), labels=chosen.labels, label_property=chosen.label_property)
    with open_studio(context.scene, settings) as studio:
        for _ in studio.show(Instance("any", "any", objects)):
            pass
        return [one.name for one in studio.sources]


def add_class(settings: Any, name: str) -> Any:
    """A new class at the end of the list, in a colour that none has yet; the active one from now on."""
    taken = {tuple(round(value, 4) for value in one.colour) for one in settings.classes}
    number = len(settings.classes)
    while class_colour(number) in taken:
        number += 1
    added = settings.classes.add()
    added.name, added.colour = name, class_colour(number)
    settings.active_class = len(settings.classes) - 1
    return added


def active_class(settings: Any) -> Any:
    """The class chosen in the list, None where there is none."""
    return settings.classes[settings.active_class] if settings.active_class < len(settings.classes) else None


class ClassEditing(bpy.types.Operator):
    """What is common to the operators that change the list."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or settings_of(context.scene).labels == "none":
            cls.poll_message_set("Choose under Labels what the classes are made of")
            return False
        return True


class ActiveClassEditing(ClassEditing):
    """What is common to the operators that change the active class."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or active_class(settings_of(context.scene)) is None:
            cls.poll_message_set("Add a class first")
            return False
        return True


class SRN_OT_fill_classes(ClassEditing):
    """Add a class for each material, object, collection or value of what is captured that is in no class yet"""

    bl_idname = "srn.fill_classes"
    bl_label = "Fill from Scene"

    def execute(self: Any, context: Any) -> Any:
        settings = settings_of(context.scene)
        try:
            names = sources_here(context)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        known = {source.name for one in settings.classes for source in one.sources}
        missing = [name for name in names if name not in known]
        for name in missing:
            add_class(settings, name).sources.add().name = name
        self.report({"INFO"}, f"{len(missing)} classes added, {len(names) - len(missing)} sources have one already")
        label_preview.update()
        return {"FINISHED"}


class SRN_OT_add_class(ClassEditing):
    """Add an empty class to the list"""

    bl_idname = "srn.add_class"
    bl_label = "Add Class"

    name: StringProperty(name="Name", description="Name of the new class", default="Class")

    def execute(self: Any, context: Any) -> Any:
        settings = settings_of(context.scene)
        taken = {one.name for one in settings.classes}
        names = (self.name, *(f"{self.name} {number}" for number in range(2, len(taken) + 3)))
        add_class(settings, next(name for name in names if name not in taken))
        return {"FINISHED"}


class SRN_OT_remove_class(ActiveClassEditing):
    """Remove the active class from the list; what belonged to it becomes background"""

    bl_idname = "srn.remove_class"
    bl_label = "Remove Class"

    def execute(self, context: Any) -> Any:
        settings = settings_of(context.scene)
        settings.classes.remove(settings.active_class)
        settings.active_class = max(min(settings.active_class, len(settings.classes) - 1), 0)
        label_preview.update()
        return {"FINISHED"}


class SRN_OT_move_class(ActiveClassEditing):
    """Move the active class in the list; its place is its id"""

    bl_idname = "srn.move_class"
    bl_label = "Move Class"

    direction: EnumProperty(
        name="Direction",
        description="Where to move the class",
        items=(("UP", "Up", "Towards the first class"), ("DOWN", "Down", "Towards the last class")),
    )

    def execute(self: Any, context: Any) -> Any:
        settings = settings_of(context.scene)
        target = settings.active_class + (-1 if self.direction == "UP" else 1)
        if not 0 <= target < len(settings.classes):
            return {"CANCELLED"}
        settings.classes.move(settings.active_class, target)
        settings.active_class = target
        return {"FINISHED"}


_offered: list[str] = []  # found once, when the dialog opens: looking at the scene takes too long for every letter


def _search(operator: Any, context: Any, text: str) -> Iterator[str]:
    return (name for name in _offered if text.casefold() in name.casefold())


class SRN_OT_add_source(ActiveClassEditing):
    """Put a material, object, collection or value into the active class, and take it out of the one that it was in"""

    bl_idname = "srn.add_source"
    bl_label = "Add to Class"

    source: StringProperty(name="Source", description="What to put into the active class", search=_search)

    def invoke(self: Any, context: Any, event: Any) -> Any:
        own = {source.name for source in active_class(settings_of(context.scene)).sources}
        try:
            _offered[:] = [name for name in sources_here(context) if name not in own]
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.source = ""
        return context.window_manager.invoke_props_dialog(self)

    def execute(self: Any, context: Any) -> Any:
        if not self.source:
            self.report({"ERROR"}, "Choose what to put into the class.")
            return {"CANCELLED"}
        settings = settings_of(context.scene)
        chosen = active_class(settings).name
        for number in reversed(range(len(settings.classes))):
            self._take_out(settings, number, chosen)
        settings.active_class = settings.classes.find(chosen)
        active_class(settings).sources.add().name = self.source
        label_preview.update()
        return {"FINISHED"}

    def _take_out(self: Any, settings: Any, number: int, chosen: str) -> None:
        """Takes the source out of a class; a class that was made for it alone goes with it."""
        one = settings.classes[number]
        place = one.sources.find(self.source)
        if place >= 0:
            one.sources.remove(place)
            if not len(one.sources) and one.name == self.source and one.name != chosen:
                settings.classes.remove(number)


class SRN_OT_remove_source(ActiveClassEditing):
    """Take this out of the active class; it becomes background"""

    bl_idname = "srn.remove_source"
    bl_label = "Remove from Class"

    source: StringProperty(name="Source", description="What to take out of the active class")

    def execute(self: Any, context: Any) -> Any:
        sources = active_class(settings_of(context.scene)).sources
        place = sources.find(self.source)
        if place < 0:
            self.report({"ERROR"}, f"The active class has no source '{self.source}'.")
            return {"CANCELLED"}
        sources.remove(place)
        label_preview.update()
        return {"FINISHED"}


def _subject(context: Any) -> label_preview.Subject:
    settings = settings_of(context.scene)
    objects, _ = what_to_capture(context)
    return label_preview.Subject(objects, settings.labels, settings.label_property, classes_of(settings))


class SRN_OT_label_preview(bpy.types.Operator):
    """Show what is captured in the colours of its classes, in every 3D view; nothing in the file changes"""

    bl_idname = "srn.label_preview"
    bl_label = "Preview Labels"

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not label_preview.is_on() and (context.scene is None or settings_of(context.scene).labels == "none"):
            cls.poll_message_set("Choose under Labels what the classes are made of")
            return False
        return True

    def execute(self, context: Any) -> Any:
        if label_preview.is_on():
            label_preview.turn_off()
        else:
            label_preview.turn_on(_subject)
        return {"FINISHED"}


CLASSES = (
    *(SRN_OT_fill_classes, SRN_OT_add_class, SRN_OT_remove_class, SRN_OT_move_class),
    *(SRN_OT_add_source, SRN_OT_remove_source, SRN_OT_label_preview),
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    label_preview.turn_off()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
