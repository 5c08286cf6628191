"""A capture from beginning to end: a generator that renders and writes one view at each step."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from ..errors import UserError
from .check import CheckResult, Observed, check_poses, neighbours
from .dataset import SPLITS, DatasetWriter, Plan
from .fingerprint import fingerprint
from .instance import gather_objects, require_textures
from .labels import choose_views
from .passes import Studio, load_pixels, open_studio
from .rigs import plan_rig
from .settings import LABELS, RIGS, CaptureSettings

CHECKED_VIEWS = 12


@dataclass(frozen=True)
class CaptureProgress:
    """How many of `total` views are done, which one was the last, where its rgb is, and seconds left.

    The last item of a capture adds nothing but `check`.
    """

    done: int
    total: int
    split: str
    index: int
    eta: float
    path: Path
    check: CheckResult | None = None


def capture(
    scene: bpy.types.Scene, objects: Sequence[bpy.types.Object], source: str, settings: CaptureSettings
) -> Iterator[CaptureProgress]:
    """Captures `objects` with their children as one instance, one view at each step.

    `source` is the name to remember, of the object or the collection. Views that an earlier capture with the same
    settings has left are not rendered again. Closing the generator leaves the scene as it was and the views so far on
    disk. Raises UserError, then too.
    """
    _require_settings(settings)
    members = gather_objects(objects)
    with open_studio(scene, members, settings) as studio:
        require_textures(studio.parts, scene.world)
        plan = _plan(scene, studio, source, settings)
        studio.use_lens(plan.camera)
        with DatasetWriter(settings.root, plan) as writer:
            yield from _write_missing(scene, members, studio, writer)
            total = sum(len(poses) for poses in plan.poses.values())
            split, index = _last_view(plan)
            yield CaptureProgress(total, total, split, index, 0.0, writer.path(split, index, "rgb"), _check(writer))


def _require_settings(settings: CaptureSettings) -> None:
    if min(settings.counts.values()) < 0 or settings.train_views < 1:
        raise UserError("Set Train Views to at least 1, and the others to at least 0.")
    if settings.rig not in RIGS or settings.labels not in LABELS:
        raise UserError(f"Set Rig to one of {', '.join(RIGS)} and Labels to one of {', '.join(LABELS)}.")
    if not 8 <= settings.size <= 8192:
        raise UserError("Set Size to a number of pixels from 8 to 8192.")
    if settings.samples < 1:
        raise UserError("Set Samples to at least 1.")
    for what, text in (("Name", settings.name), ("Instance", settings.instance)):
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
            raise UserError(f"Use only letters, digits, '-' and '_', at most 64, in {what}: '{text}'.")


def _plan(scene: bpy.types.Scene, studio: Studio, source: str, settings: CaptureSettings) -> Plan:
    rig = plan_rig(scene, settings, studio.centre, studio.scale)
    labelled = None
    if settings.labels != "none" and settings.labelled_views:
        labelled = choose_views(rig.poses["train"][:, :3, 3], settings.labelled_views)
    return Plan(
        name=settings.name,
        instance=settings.instance,
        source=source,
        centre=studio.centre.tolist(),
        scale=studio.scale,
        camera=rig.camera,
        poses=rig.poses,
        passes=["rgb", "rgba", "depth", "normal", *(["semantic"] if settings.labels != "none" else [])],
        classes=[(one.name, one.colour) for one in studio.labels.classes],
        rig={"kind": settings.rig, "seed": settings.seed, **({"radius": rig.radius} if rig.radius else {})},
        blender=bpy.app.version_string,
        fingerprint=fingerprint(studio, rig, source, settings),
        labelled=labelled,
    )


def _write_missing(
    scene: bpy.types.Scene, members: Sequence[bpy.types.Object], studio: Studio, writer: DatasetWriter
) -> Iterator[CaptureProgress]:
    missing = writer.missing()
    total = sum(len(poses) for poses in writer.plan.poses.values())
    present = {member.as_pointer() for member in members} & _pointers(scene)
    start = time.monotonic()
    for step, (split, index) in enumerate(missing, 1):
        try:
            if not present <= _pointers(scene):
                raise ReferenceError("an object has left the scene")
            view = studio.render(writer.plan.poses[split][index])
            if "semantic" not in writer.plan.passes_of(split, index):
                view = replace(view, semantic=None)
        except ReferenceError as error:
            raise UserError(
                "Capture again with what is there now: an object was deleted during the capture."
            ) from error
        path = writer.write_view(split, index, view)
        eta = (time.monotonic() - start) / step * (len(missing) - step)
        yield CaptureProgress(total - len(missing) + step, total, split, index, eta, path)


def _last_view(plan: Plan) -> tuple[str, int]:
    split = [split for split in SPLITS if len(plan.poses[split])][-1]
    return split, len(plan.poses[split]) - 1


def _check(writer: DatasetWriter) -> CheckResult:
    """Holds training views as they are on disk against each other."""
    positions = writer.plan.poses["train"][:, :3, 3]
    pairs = neighbours(positions, CHECKED_VIEWS)
    observed = {i: _observe(writer, "train", i) for pair in pairs for i in pair}
    return check_poses([(observed[i], observed[j]) for i, j in pairs])


def _observe(writer: DatasetWriter, split: str, index: int) -> Observed:
    depth = load_pixels(writer.path(split, index, "depth"))[..., 0]
    return Observed(writer.read_camera(split, index), depth)


def _pointers(scene: bpy.types.Scene) -> set[int]:
    return {member.as_pointer() for member in scene.objects}
