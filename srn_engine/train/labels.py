"""Labels from a few labelled images: a linear head on features that stay as they are (Kohli et al. 2020, section 3).

All else is frozen, so the head is a convex problem with one best answer, found in about a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Dataset
from srn_engine.errors import UserError
from srn_engine.model.interfaces import SemanticHead
from srn_engine.progress import Progress, Report
from srn_engine.train.run import CHUNK, Run

RAYS = 1 << 13  # drawn from each image at most
COVERED = 0.5  # opacity from which a ray is said to meet the instance
WEIGHT_DECAY = 1e-4
ITERATIONS = 100


@dataclass(frozen=True)
class LabelledView:
    """A train view that the head is fitted to."""

    instance: str
    number: int


def choose_views(run: Run, data: Dataset, images: int, instances: int, seed: int) -> list[LabelledView]:
    """Draws `images` labelled train views of at most `instances` of the run's instances, as many of each.

    UserError where the dataset has none; fewer where it has not so many.
    """
    if images < 1 or instances < 1:
        raise UserError("Labels are fitted to one image of one instance at least.")
    labelled = _labelled_views(run, data)
    if not labelled:
        raise UserError(f"{data.root} has no labelled train views of an instance of {run.folder}; label some.")
    random = np.random.default_rng(seed)
    names = list(labelled)
    drawn = [names[place] for place in random.permutation(len(names))[: min(instances, images)]]
    orders = {name: random.permutation(labelled[name]) for name in drawn}
    most = max(len(order) for order in orders.values())
    in_turns = [LabelledView(name, int(orders[name][turn])) for turn in range(most) for name in drawn
                if turn < len(orders[name])]  # fmt: skip
    return in_turns[:images]


def fit_labels(run: Run, data: Dataset, views: Sequence[LabelledView], report: Report) -> float:
    """Fits a new semantic head to labelled train views, all else frozen, and puts it into `run`, unsaved.

    The run takes on the dataset's classes. Returns the part of the views' rays that the head labels right, 0 to 1;
    UserError where the views show nothing labelled.
    """
    if len(data.classes) < 2:
        raise UserError(f"{data.root} names no classes but the background; label some.")
    head = run.scene.new_semantic_head(len(data.classes))
    run.take_classes(data.classes)
    parts = []
    for number, view in enumerate(views):
        report(Progress(number / len(views), f"Labelled image {number + 1} of {len(views)}"))
        parts.append(_rays_of(run, data, head, view))
    inputs, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    if not len(labels):
        raise UserError("Where the labelled images show the instance the run does not; train it for longer.")
    _fit(head.linear, inputs, labels)
    return float((head.linear(inputs).argmax(dim=1) == labels).float().mean())


def _labelled_views(run: Run, data: Dataset) -> dict[str, list[int]]:
    """The numbers of the labelled train views of each instance that the run knows."""
    known = {instance.id for instance in run.info.instances}
    found = {}
    for instance in data.having("train"):
        if instance.id in known:
            views = data.views("train", instance.id)
            found[instance.id] = [number for number in range(len(views)) if views.has("semantic", number)]
    return {name: numbers for name, numbers in found.items() if numbers}


@torch.no_grad()
def _rays_of(run: Run, data: Dataset, head: SemanticHead, view: LabelledView) -> tuple[Tensor, Tensor]:
    """What the head's linear layer reads of a view's labelled rays (R, L), and the place of their class (R,) among its
    outputs. Rays that the run finds empty teach only a head that knows the background."""
    views = data.views("train", view.instance)
    truth = torch.from_numpy(views.semantic(view.number).astype(np.int64)).reshape(-1)
    pixels = torch.arange(len(truth)) if head.background else truth.nonzero()[:, 0]
    if len(pixels) > RAYS:
        pixels = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))[:RAYS]]
    scene, device = run.scene_of(view.instance), run.scene.device
    rays = _camera(run, views.cameras[view.number]).rays(device)[pixels.to(device)]
    inputs, labels = [], []
    for start in range(0, len(rays), CHUNK):
        part = slice(start, start + CHUNK)
        rendered = scene.render(rays[part])
        kept = torch.ones_like(rendered.opacity, dtype=torch.bool) if head.background else rendered.opacity > COVERED
        classes = (truth[pixels[part]].to(device) - (0 if head.background else 1))[kept]
        for feature in head.variants(rendered.marched.label_feature[kept], rendered.opacity[kept]):
            inputs.append(head.inputs(feature, rendered.opacity[kept]))
            labels.append(classes)
    return torch.cat(inputs), torch.cat(labels)


def _camera(run: Run, camera: Camera) -> Camera:
    return camera.shifted(0.5 - run.scene.pixel_centre)


def _fit(linear: torch.nn.Linear, inputs: Tensor, labels: Tensor) -> None:
    """Multinomial logistic regression with weight decay on standardised inputs (R, L) and classes (R,), by L-BFGS.

    A class counts with the root of how often it occurs: as it occurs, small classes would be given up for large ones;
    all alike, large ones for small ones.
    """
    mean, spread = inputs.mean(dim=0), inputs.std(dim=0, correction=0).clamp(min=1e-6)
    standard = (inputs - mean) / spread
    weights = torch.bincount(labels, minlength=linear.out_features).clamp(min=1)[labels].float() ** -0.5
    weights /= weights.sum()
    weight = torch.zeros_like(linear.weight, requires_grad=True)
    bias = torch.zeros_like(linear.bias, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        errors = F.cross_entropy(F.linear(standard, weight, bias), labels, reduction="none")
        value: Tensor = (weights * errors).sum() + WEIGHT_DECAY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        linear.weight.copy_(weight / spread)
        linear.bias.copy_(bias - (weight / spread) @ mean)
