"""A capture from beginning to end: a generator that renders and writes one view after the other."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import bpy

from ..errors import CaptureChanged, UserError
from .background import in_background, telling
from .check import CheckResult, Observed, check_poses, neighbours
from .dataset import DatasetWriter
from .fingerprint import Look
from .growth import NONE, Added
from .instance import Instance
from .labels import make_labels
from .passes import load_pixels
from .plan import InstancePlan, ViewKey
from .planning import Planned, look_at_all, look_at_instance, plan_capture
from .rigs import plan_rig
from .settings import ENGINES, LABELS, PASSES, RIGS, CaptureSettings
from .shards import WHOLE, Shard
from .studio import Studio, open_studio

CHECKED_INSTANCES, CHECKED_VIEWS = 12, 12  # views in all, at least two of an instance


@dataclass(frozen=True)
class CaptureProgress:
    """How many of `total` views are done, which one was the last, where its rgb is, and seconds left, None where
    nobody knows.

    The last item of a capture adds nothing but `check`, and in `left_out` a sentence on each instance that could not
    be captured. A shard without views of its own has no `view` and no `path`.
    """

    done: int
    total: int
    view: ViewKey | None
    eta: float | None
    path: Path | None
    check: CheckResult | None = None
    left_out: tuple[str, ...] = ()


def capture(
    scene: bpy.types.Scene,
    instances: Sequence[Instance],
    settings: CaptureSettings,
    shard: Shard = WHOLE,
    anew: bool = False,
) -> Generator[CaptureProgress, None, None]:
    """Captures `instances` into one dataset, one view at each step.

    Views that an earlier capture of the same has left are not rendered again; with `anew` they are deleted instead. Of
    all views a shard captures its own. Closing the generator leaves the scene as it was and the views so far on disk.
    Raises UserError, then too, and CaptureChanged where the views on disk show something else.
    """
    for step in capture_steps(scene, instances, settings, shard, anew):
        if isinstance(step, CaptureProgress):
            yield step


def capture_steps(
    scene: bpy.types.Scene,
    instances: Sequence[Instance],
    settings: CaptureSettings,
    shard: Shard = WHOLE,
    anew: bool = False,
    added: Added = NONE,
) -> Generator[CaptureProgress | str, None, None]:
    """The same in short steps, for a window that has to stay free. Between two views each says what goes on.

    added: training views beyond those of the rig and those that were added to the dataset before.
    """
    _require_settings(settings, instances)
    if anew and shard.count > 1:
        raise UserError("Start anew without shards: each would delete what the others have captured.")
    with open_studio(scene, settings) as studio, ExitStack() as stack:
        try:
            planned = yield from plan_capture(scene, studio, instances, anew, added)
            entered = DatasetWriter(settings.root, planned.plan, shard, anew)
            opening = in_background(lambda: stack.enter_context(entered))
            writer = yield from telling("Opening the dataset.", opening)
            yield from _capture_missing(scene, studio, planned, writer)
            yield from telling("Finishing the dataset.", in_background(writer.settle))
        except ReferenceError as error:
            raise UserError("Capture again with what is there now: something was deleted meanwhile.") from error
        check = yield from _check(writer)
        mine = writer.mine()
        last = mine[-1] if mine else None
        path = writer.path(last, "rgb") if last else None
        yield CaptureProgress(len(mine), len(mine), last, 0.0, path, check, planned.left_out)


def _require_settings(settings: CaptureSettings, instances: Sequence[Instance]) -> None:
    if min(settings.counts.values()) < 0 or settings.train_views < 1:
        raise UserError("Set Training Views to at least 1, and the others to at least 0.")
    if settings.rig not in RIGS or settings.labels not in LABELS or settings.engine not in ENGINES:
        raise UserError(
            f"Set Rig to one of {', '.join(RIGS)}, Labels to one of {', '.join(LABELS)} and Engine to one of "
            f"{', '.join(ENGINES)}."
        )
    if not set(settings.passes) <= set(PASSES):
        raise UserError(f"Set Passes to some of {', '.join(PASSES)}.")
    if not 8 <= settings.size <= 8192:
        raise UserError("Set Size to a number of pixels from 8 to 8192.")
    if settings.samples < 1:
        raise UserError("Set Samples to at least 1.")
    for what, text in (("Name", settings.name), *(("Instance", instance.id) for instance in instances)):
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
            raise UserError(f"Use only letters, digits, '-' and '_', at most 64, in {what}: '{text}'.")
    if not instances or len({instance.id.casefold() for instance in instances}) < len(instances):
        raise UserError("Choose at least one instance to capture, and give each an id of its own.")


def _capture_missing(
    scene: bpy.types.Scene, studio: Studio, planned: Planned, writer: DatasetWriter
) -> Iterator[CaptureProgress | str]:
    missing, total = writer.missing(), len(writer.mine())
    before, start = total - len(missing), time.monotonic()
    if before:
        yield f"Going on: {before} of {total} views are there."
    steps = 0
    for name, views in groupby(missing, lambda view: view.instance):
        instance, plan = planned.instances[name], planned.plan.instance(name)
        if studio.instance is not instance:
            yield from telling(f"Setting up '{instance.source}'.", studio.show(instance))
            yield from _require_unchanged(scene, studio, planned, plan)
        studio.use_lens(planned.plan.camera)
        studio.label(make_labels(studio.sources, studio.settings.labels, planned.plan.classes))
        present = {member.as_pointer() for member in studio.members} & _pointers(scene)
        for view in views:
            if not present <= _pointers(scene):
                raise ReferenceError("an object has left the scene")
            what = f"View {before + steps + 1} of {total}"
            picture = yield from telling(what, studio.render(planned.plan.pose(view)))
            path = yield from telling(what, in_background(partial(writer.write_view, view, picture)))
            steps += 1
            eta = (time.monotonic() - start) / steps * (len(missing) - steps)
            yield CaptureProgress(before + steps, total, view, eta, path)
        yield from telling(f"Looking at '{instance.source}' again.", studio.measure())
        yield from _require_unchanged(scene, studio, planned, plan)


def _require_unchanged(scene: bpy.types.Scene, studio: Studio, planned: Planned, plan: InstancePlan) -> Iterator[str]:
    """Raises CaptureChanged where the instance in the studio is no longer what was planned."""
    rig = plan_rig(scene, studio.settings, studio.centre, studio.scale)
    what = f"Looking at '{plan.source}'."
    now = yield from telling(what, look_at_instance(studio, rig, Look()))
    common = yield from telling(what, look_at_all(studio, planned.instances))
    if now != plan.fingerprint or common != planned.plan.fingerprint:
        raise CaptureChanged(f"Start anew: '{plan.source}' or its light changed while it was captured.")


def _check(writer: DatasetWriter) -> Generator[str, None, CheckResult | None]:
    """Holds training views as they are on disk against each other, once all are there and have depth."""
    if "depth" not in writer.plan.passes or not writer.is_complete():
        return None
    instances = writer.plan.instances
    chosen = instances[:: -(-len(instances) // CHECKED_INSTANCES)]
    observed = []
    for instance in chosen:
        positions = instance.poses["train"][:, :3, 3]
        for pair in neighbours(positions, max(CHECKED_VIEWS // len(chosen), 2)):
            yield "Checking the poses."
            first, second = (_observe(writer, ViewKey(instance.id, "train", i)) for i in pair)
            observed.append((first, second))
    return (yield from telling("Checking the poses.", in_background(lambda: check_poses(observed))))


def _observe(writer: DatasetWriter, view: ViewKey) -> Observed:
    return Observed(writer.read_camera(view), load_pixels(writer.path(view, "depth"))[..., 0])


def _pointers(scene: bpy.types.Scene) -> set[int]:
    return {member.as_pointer() for member in scene.objects}
