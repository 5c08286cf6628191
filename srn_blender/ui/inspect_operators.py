"""Inspect Dataset and Export Dataset."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from .. import compat
from ..capture.inspect import Inspection, describe, inspect_dataset, report
from ..capture.inspect_picture import draw
from ..engine.convert import convert
from ..errors import UserError
from ..results import images
from . import tasks
from .engine_choice import checked_interpreter
from .image_editors import give, may_go
from .install_operators import StepsTask
from .long_work import LongWork
from .properties import folder_of, settings_of

STEP = 0.02  # seconds of work at a time
NAME = "SRN Inspect"  # the image and the text that an inspection makes
LAYOUTS = (
    ("colmap", "COLMAP", "For Gaussian splatting: cameras and pictures with points taken from the depth"),
    ("nerfstudio", "nerfstudio", "For nerfstudio and instant-ngp: one transforms.json"),
    ("nerf", "NeRF", "As NeRF's synthetic scenes are: a transforms file for each split"),
    ("srn", "SRN", "As the SRN family reads ShapeNet"),
)


class InspectTask(tasks.Task):
    """Looks through a dataset, and shows what it found."""

    pause = 0.0

    def __init__(self, root: Path) -> None:
        super().__init__("inspect", "Opening the dataset.")
        self._steps = inspect_dataset(root)

    def step(self) -> None:
        deadline = time.monotonic() + STEP
        try:
            while time.monotonic() < deadline:
                self.fraction, self.message = next(self._steps)
        except StopIteration as ended:
            found: Inspection = ended.value
            show(found)
            self.end(tasks.DONE, describe(found))
            self.warns = bool(found.problems)

    def cancel(self) -> None:
        self._steps.close()
        self.end(tasks.CANCELLED, "The inspection was cancelled.")


def show(found: Inspection) -> None:
    """Puts the drawing into the image SRN Inspect and all sentences into the text SRN Inspect."""
    picture = images.encode(draw(found), is_colour=True)
    image = images.place(NAME, picture)
    give(image, may_go)
    images.show_thumbnail(image, picture.thumbnail)
    text: Any = bpy.data.texts.get(NAME) or bpy.data.texts.new(NAME)
    text.from_string(report(found))


class SRN_OT_inspect(LongWork, bpy.types.Operator):
    """Look through the dataset for what is wrong: the views and cameras in the image SRN Inspect, and a text of that \
name with whether depth agrees between views"""

    bl_idname = "srn.inspect"
    bl_label = "Inspect Dataset"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("inspect") or tasks.running("capture"):
            cls.poll_message_set("Wait for the end of what is running")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        return InspectTask(folder_of(settings_of(context.scene).dataset_path, "Dataset"))


class SRN_OT_dataset_export(LongWork, bpy.types.Operator):
    """Write the dataset in the layout of another program, with the engine installed on this computer"""

    bl_idname = "srn.dataset_export"
    bl_label = "Export Dataset"

    layout: EnumProperty(name="Layout", description="Which programs the files are for", items=LAYOUTS)
    directory: StringProperty(
        name="Folder",
        description="New or empty folder to write into; one beside the dataset where this is empty",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", *compat.PATH_OPTIONS},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if tasks.running("export") or tasks.running("capture"):
            cls.poll_message_set("Wait for the end of what is running")
            return False
        return context.scene is not None

    def begin(self, context: Any) -> tasks.Task:
        source = folder_of(settings_of(context.scene).dataset_path, "Dataset")
        if not (source / "dataset.json").is_file():
            raise UserError(f"Capture views first, or choose the folder of a dataset: there is none in {source}.")
        beside = source.with_name(f"{source.name}_{self.layout}")
        target = folder_of(self.directory, "Folder") if self.directory else beside
        steps = convert(checked_interpreter(context), source, target, self.layout)
        return StepsTask("export", "Writing the dataset.", steps, "The export was cancelled.")


CLASSES = (SRN_OT_inspect, SRN_OT_dataset_export)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for kind in ("inspect", "export"):
        tasks.cancel_all(kind)  # a program of ours must not outlive the add-on
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
