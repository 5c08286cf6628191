"""Which views to capture next: where an ensemble that was trained on the views there are disagrees.

Each member leaves out another share of the views, so that members differ where the views leave them a choice, and what
they make of the views left out says how far off such a disagreement is.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.dataset import Views, over_white
from srn_engine.data.rays import RayPool
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.model.fast.scene import FastScene
from srn_engine.model.presets import FastPreset
from srn_engine.progress import Progress, Report
from srn_engine.train import fast
from srn_engine.train.run import picture_over_white, render

Array = npt.NDArray[np.float64]
Pictures = npt.NDArray[np.float32]

QUICK = FastPreset(stages=((0.0, 32), (0.25, 64)), rays=2048, prune_every=25)
MEMBERS = 3
SIZE = 40  # pixels of the longer side of a quick look
LOOKING = 0.25  # of the time, for looking through the candidates; the rest is for training
FEWEST = 4  # views, without which nothing can be left out
MOST_CANDIDATES = 500


def propose_views(
    dataset: Path,
    instance: str | None,
    cameras: Sequence[Camera],
    count: int,
    seconds: float,
    device: torch.device,
    report: Report,
) -> dict[str, Any]:
    """Chooses `count` of the candidates `cameras` to capture next of an instance, in about so many seconds.

    views: their numbers, best first, none twice. scores: what each of the candidates promises, the more the better.
    psnr: an estimate, dB, of what a short training on the views there are reaches in unseen ones. UserError where there
    are too few views, or no candidates.
    """
    if not 0 < len(cameras) <= MOST_CANDIDATES or not 0 < count <= len(cameras):
        raise UserError(f"Choose 1 or more out of at most {MOST_CANDIDATES} candidates, not {count} of {len(cameras)}.")
    data = open_dataset(dataset)
    if instance is None and len(data.instances) != 1:
        raise UserError(f"{dataset} holds {len(data.instances)} instances; name one of them.")
    views = data.views("train", instance or data.instances[0].id)
    if len(views) < FEWEST:
        raise UserError(f"{dataset} has {len(views)} train views; capture {FEWEST} or more before asking for others.")
    each = seconds * (1 - LOOKING) / MEMBERS
    members = [_member(views, fold, each, device, report) for fold in range(MEMBERS)]
    report(Progress(1 - LOOKING, "Looking through the candidates"))
    scores = np.array([_spread(members, _small(camera)) for camera in cameras])
    there = [camera.pose[:3, 3] for camera in views.cameras]
    chosen = choose(scores, np.stack([camera.pose[:3, 3] for camera in cameras]), np.stack(there), count)
    return {"views": chosen, "scores": scores.tolist(), "psnr": _foreseen(members, views)}


@dataclass(frozen=True)
class _Member:
    """A quickly trained scene, and the numbers of the views that it has never seen."""

    scene: FastScene
    left_out: tuple[int, ...]

    def look(self, camera: Camera) -> tuple[Pictures, Pictures, Pictures]:
        """Colour over white (H, W, 3), opacity and depth (H, W)."""
        seen = render(self.scene.scene(0), camera, ("colour", "depth"), self.scene)
        return picture_over_white(seen["colour"]), seen["colour"][..., 3], seen["depth"]


def _member(views: Views, fold: int, seconds: float, device: torch.device, report: Report) -> _Member:
    left_out = tuple(range(fold, len(views), MEMBERS))
    kept = [number for number in range(len(views)) if number not in left_out]
    rays = RayPool(views.only(kept), device, report=report)
    torch.manual_seed(fold)
    learner = fast.FastLearner(fast.begin(rays, 1, QUICK, report).to(device), rays, QUICK, fold)
    learner.warm_up()
    start = time.perf_counter()
    while (fraction := (time.perf_counter() - start) / seconds) < 1.0:
        learner.step(fraction)
        report(Progress((1 - LOOKING) * (fold + fraction) / MEMBERS, f"Quick look {fold + 1} of {MEMBERS}"))
    return _Member(learner.scene.eval(), left_out)


def _spread(members: Sequence[_Member], camera: Camera) -> float:
    """How far members disagree in a view: the mean over pixels of the variance of colour and opacity."""
    colours, opacities, _ = zip(*(member.look(camera) for member in members), strict=True)
    return sum(float(np.stack(seen).var(axis=0, ddof=1).mean()) for seen in (colours, opacities))


def _foreseen(members: Sequence[_Member], views: Views) -> float:
    """The PSNR of all members in views that they have never seen, from the mean of the squared errors."""
    errors = []
    for member in members:
        for number in member.left_out:
            colour, _, _ = member.look(views.cameras[number])
            errors.append(float(((colour - over_white(views.rgba(number))) ** 2).mean()))
    return float(-10 * np.log10(max(float(np.mean(errors)), 1e-12)))


def choose(scores: Array, places: Array, there: Array, count: int) -> list[int]:
    """The numbers of `count` candidates, best first: those with the highest scores that are far from one another.

    scores (n,), not negative; places (n, 3) of the candidates and there (m, 3) of the cameras that exist, around the
    origin. A candidate next to one that was chosen has learned nothing new, and counts the less the closer it is.
    """
    directions, known = _unit(places), _unit(there)
    reach = 2 * np.sqrt(4 / (len(there) + count))  # radians: twice the radius of a view's even share of the sphere
    worth = scores * np.min(_apart(directions, known) / reach, axis=1).clip(max=1)
    chosen: list[int] = []
    for _ in range(count):
        best = int(np.argmax(worth))
        chosen.append(best)
        worth = worth * (_apart(directions, directions[best : best + 1])[:, 0] / reach).clip(max=1)
        worth[chosen] = -1.0
    return chosen


def _apart(some: Array, others: Array) -> Array:
    """The angles (n, m), radians, between unit vectors."""
    angles: Array = np.arccos((some @ others.T).clip(-1, 1))
    return angles


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
    return unit


def _small(camera: Camera) -> Camera:
    """The same view in fewer pixels."""
    size = camera.intrinsics
    width, height = (max(1, round(side * SIZE / max(size.width, size.height))) for side in (size.width, size.height))
    x, y = width / size.width, height / size.height
    small = Intrinsics(size.fl_x * x, size.fl_y * y, size.cx * x, size.cy * y, width, height)
    return replace(camera, intrinsics=small)
