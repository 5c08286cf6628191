"""A capture that asks a model, after a first few views, from where it wants the next."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .camera import Camera
from .growth import views_there
from .instance import Instance
from .rigs import plan_rig
from .rigs.placed import smallest_angle
from .session import CaptureProgress, capture_steps
from .settings import PLACED_RIGS, CaptureSettings

Array = NDArray[np.float64]

CANDIDATES = 200  # places on the rig that a model may choose from
APART = np.radians(1.0)  # of a candidate and a view to measure with: no view is in two splits


@dataclass(frozen=True)
class Wish:
    """When to stop, for each instance. batch: views that are asked for at once; most_views: to train on; quality: the
    PSNR in unseen views, dB, that is enough, 0 for whatever the views bring."""

    first_views: int = 8
    batch: int = 4
    most_views: int = 40
    quality: float = 0.0


@dataclass(frozen=True)
class Proposal:
    """What a model says: the numbers of the candidates to capture next, and the PSNR, dB, that it expects of unseen
    views with what it has."""

    views: Sequence[int]
    psnr: float


# Asks a model about an instance: (its id, the candidates' cameras, how many to choose) in steps that say what goes on.
Ask = Callable[[str, Sequence[Camera], int], Generator[str, None, Proposal]]


def adaptive_steps(
    scene: bpy.types.Scene,
    instances: Sequence[Instance],
    settings: CaptureSettings,
    wish: Wish,
    ask: Ask,
    anew: bool = False,
) -> Generator[CaptureProgress | str, None, dict[str, float]]:
    """Captures `instances` as `capture_steps` does, first evenly, then batch by batch where `ask` says.

    What is on disk after each batch is a whole dataset, and what was asked for before is gone on with. Returns, by
    instance, the PSNR that was expected of it last. Raises UserError and CaptureChanged.
    """
    if settings.rig not in PLACED_RIGS:
        raise UserError(f"Set Rig to one of {', '.join(PLACED_RIGS)}: on others there are no further places to choose.")
    if wish.most_views < wish.first_views or wish.batch < 1:
        raise UserError("Set Most Views to at least First Views, and Batch to at least 1.")
    settings = replace(settings, train_views=wish.first_views)
    each = wish.most_views + sum(settings.counts.values()) - settings.train_views
    expected: dict[str, float] = {}
    added: dict[str, Array] = {}
    while True:
        batch = capture_steps(scene, instances, settings, anew=anew, added=added)
        last = yield from _part_of(batch, each * len(instances))
        anew, added = False, {}
        for instance in instances:
            there = views_there(settings, instance.id)
            count = min(wish.batch, wish.most_views - there)
            if not there or count <= 0 or (wish.quality and expected.get(instance.id, 0) >= wish.quality):
                continue  # not able to be captured, or done
            candidates = _candidates(scene, settings)
            proposal = yield from ask(instance.id, candidates, count)
            expected[instance.id] = proposal.psnr
            if not wish.quality or proposal.psnr < wish.quality:
                added[instance.id] = np.stack([candidates[number].pose for number in proposal.views])
        if not added:
            if last is not None:
                yield last
            return expected


def _part_of(
    steps: Generator[CaptureProgress | str, None, None], total: int
) -> Generator[CaptureProgress | str, None, CaptureProgress | None]:
    """The steps of one batch, counted against all views that there may be; returns the last as it was."""
    last = None
    for step in steps:
        if isinstance(step, CaptureProgress):
            last = step
            yield replace(step, total=total, eta=None)
        else:
            yield step
    return last


def _candidates(scene: bpy.types.Scene, settings: CaptureSettings) -> list[Camera]:
    """Evenly spread places on the rig, in dataset units, none of them where a view to measure with stands."""
    own = plan_rig(scene, settings, np.zeros(3), 1.0)
    many = plan_rig(scene, replace(settings, train_views=CANDIDATES, val_views=0, test_views=0), np.zeros(3), 1.0)
    measured = np.concatenate([_directions(own.poses[split]) for split in ("val", "test")])
    return [
        replace(many.camera, pose=pose)
        for pose, direction in zip(many.poses["train"], _directions(many.poses["train"]), strict=True)
        if smallest_angle(direction[None], measured) > APART
    ]


def _directions(poses: Array) -> Array:
    """Where cameras stand, seen from the origin, (N, 3) of length one."""
    places = poses[:, :3, 3]
    directions: Array = places / np.linalg.norm(places, axis=1, keepdims=True)
    return directions
