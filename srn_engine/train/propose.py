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
from srn_engine.limits import MOST_CANDIDATES
from srn_engine.model.fast.scene import FastScene
from srn_engine.model.presets import FastPreset
from srn_engine.progress import Progress, Report, part_of
from srn_engine.train import fast
from srn_engine.train.run import picture_over_white, render

Array = npt.NDArray[np.float64]
Pictures = npt.NDArray[np.float32]

QUICK = FastPreset(stages=((0.0, 32), (0.25, 64)), rays=1024, prune_every=25)
MEMBERS = 3
SIZE = 40  # pixels of the longer side of a quick look
LOOKING = 0.25  # of the time, for looking through the candidates; the rest is for training
FEWEST = 4  # views, without which nothing can be left out
TINY = 1e-12


@dataclass(frozen=True)
class Budget:
    """What each training may take: `steps`, or `seconds` without them."""

    seconds: float = 0.0
    steps: int = 0


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
    return proposed(views, cameras, count, Budget(seconds * (1 - LOOKING) / MEMBERS), device, report)


def proposed(
    views: Views, cameras: Sequence[Camera], count: int, each: Budget, device: torch.device, report: Report
) -> dict[str, Any]:
    """What `propose_views` returns, for captured `views`; `each` member of the ensemble has so much time."""
    members = [_member(views, fold, each, device, report) for fold in range(MEMBERS)]
    looked = part_of(report, 1 - LOOKING, 1.0)
    scores = np.empty(len(cameras))
    for number, camera in enumerate(cameras):
        looked(Progress(number / (len(cameras) + len(views)), f"Candidate {number + 1} of {len(cameras)}"))
        scores[number] = _spread(members, _small(camera))
    distances = _apart(_directions(cameras), _directions(views.cameras))
    chosen = choose(scores, distances, _apart(_directions(cameras), _directions(cameras)), count)
    rest = part_of(looked, len(cameras) / (len(cameras) + len(views)), 1.0)
    foreseen = _foreseen(members, views, float(np.square(distances.min(axis=1)).mean()), rest)
    return {"views": chosen, "scores": scores.tolist(), "psnr": foreseen}


@dataclass(frozen=True)
class _Member:
    """A quickly trained scene, and the numbers of the views that it has never seen."""

    scene: FastScene
    left_out: tuple[int, ...]

    def look(self, camera: Camera) -> Pictures:
        """Colour over white (H, W, 3)."""
        return picture_over_white(render(self.scene.scene(0), camera, ("colour",), self.scene)["colour"])


def _member(views: Views, fold: int, budget: Budget, device: torch.device, report: Report) -> _Member:
    left_out = tuple(range(fold, len(views), MEMBERS))
    kept = [number for number in range(len(views)) if number not in left_out]

    def tell(progress: Progress) -> None:
        fraction = (1 - LOOKING) * (fold + progress.fraction) / MEMBERS
        report(Progress(fraction, f"Quick look {fold + 1} of {MEMBERS}"))

    return _Member(learned(views.only(kept), QUICK, budget, fold, device, tell), left_out)


def learned(
    views: Views, preset: FastPreset, budget: Budget, seed: int, device: torch.device, report: Report
) -> FastScene:
    """A scene of one instance after a training that keeps nothing."""
    rays = RayPool(views, device, report=report)
    torch.manual_seed(seed)
    learner = fast.FastLearner(fast.begin(rays, 1, preset, report).to(device), rays, preset, seed)
    learner.warm_up()
    start = time.perf_counter()
    fraction = 0.0
    while fraction < 1.0:
        learner.step(fraction)
        used = learner.steps / budget.steps if budget.steps else (time.perf_counter() - start) / budget.seconds
        fraction = min(1.0, used)
        report(Progress(fraction, f"Step {learner.steps}"))
    learner.scene.eval()
    return learner.scene


def _spread(members: Sequence[_Member], camera: Camera) -> float:
    """How far members disagree in a view: the mean over pixels of the variance of their colours.

    Their opacities tell less: where they differ, colours over white do as well, and borders differ in every view.
    """
    return float(np.stack([member.look(camera) for member in members]).var(axis=0, ddof=1).mean())


def _foreseen(members: Sequence[_Member], views: Views, square: float, report: Report) -> float:
    """The PSNR to be expected in views whose squared distances, radians, from the closest of all views are `square` on
    average.

    A member's error in a view that it has never seen is known, and how far that is from those that it has seen; errors
    are taken to grow with the square of the distance.
    """
    directions = _directions(views.cameras)
    errors: list[float] = []
    for member in members:
        seen = [number for number in range(len(views)) if number not in member.left_out]
        for number in member.left_out:
            report(Progress(len(errors) / len(views), f"View {len(errors) + 1} of {len(views)}"))
            error = float(((member.look(views.cameras[number]) - over_white(views.rgba(number))) ** 2).mean())
            far = float(_apart(directions[[number]], directions[seen]).min())
            errors.append(error * square / max(far**2, square, TINY))
    return float(-10 * np.log10(max(float(np.mean(errors)), 1e-12)))


def choose(scores: Array, distances: Array, apart: Array, count: int) -> list[int]:
    """The numbers of `count` candidates, best first: with each the error that is left everywhere becomes least.

    scores (n,), not negative; distances (n, m), radians, of the candidates from the views that exist, and apart (n, n)
    from one another. The error at a candidate is taken to grow with the square of its distance from the closest view,
    and with its score, of which half is believed: what members disagree about most may be hard from anywhere.
    """
    weights = 1 + scores / max(float(scores.mean()), TINY)
    closest = distances.min(axis=1)
    chosen: list[int] = []
    for _ in range(count):
        left = weights @ np.square(np.minimum(closest[:, None], apart))
        left[chosen] = np.inf
        chosen.append(int(np.argmin(left)))
        closest = np.minimum(closest, apart[chosen[-1]])
    return chosen


def _directions(cameras: Sequence[Camera]) -> Array:
    """Where cameras stand, seen from the middle, (n, 3) of length one."""
    places = np.stack([camera.pose[:3, 3] for camera in cameras])
    directions: Array = places / np.linalg.norm(places, axis=1, keepdims=True).clip(min=1e-12)
    return directions


def _apart(some: Array, others: Array) -> Array:
    """The angles (n, m), radians, between unit vectors."""
    angles: Array = np.arccos((some @ others.T).clip(-1, 1))
    return angles


def _small(camera: Camera) -> Camera:
    """The same view in fewer pixels."""
    size = camera.intrinsics
    width, height = (max(1, round(side * SIZE / max(size.width, size.height))) for side in (size.width, size.height))
    x, y = width / size.width, height / size.height
    small = Intrinsics(size.fl_x * x, size.fl_y * y, size.cx * x, size.cy * y, width, height)
    return replace(camera, intrinsics=small)
