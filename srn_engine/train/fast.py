"""How the preset `fast` learns one instance: rays from all views, a grid that is refined and pruned on the way."""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.data.rays import Batch, RayPool
from srn_engine.errors import UserError
from srn_engine.model.fast.grid import FeatureGrid
from srn_engine.model.fast.hull import carve
from srn_engine.model.fast.scene import FastScene
from srn_engine.model.interfaces import Rendered, SemanticHead
from srn_engine.model.presets import FastPreset
from srn_engine.progress import Progress, Report, silent
from srn_engine.train.learner import Learner

ADAM = {"betas": (0.9, 0.99), "eps": 1e-15}
_REACHED = "reached"


def begin(rays: RayPool, classes: int, preset: FastPreset, report: Report = silent) -> FastScene:
    """A scene that begins as the visual hull of all views; UserError where that is empty."""
    cells = carve(rays.cameras, _told(rays, report), preset.stages[0][1])
    if not cells.any():
        raise UserError("No point is inside every view's silhouette; check that poses and pictures belong together.")
    return FastScene(preset, FeatureGrid(cells, preset.channels, preset.initial_density), classes)


def _told(rays: RayPool, report: Report) -> Iterator[Tensor]:
    """The silhouettes, each reported before it carves."""
    for number, alpha in enumerate(rays.alphas()):
        report(Progress(0.0, f"Carving with view {number + 1} of {len(rays.cameras)}"))
        yield alpha


class FastLearner(Learner):
    """Learns a FastScene from the rays of its views."""

    scene: FastScene

    def __init__(self, scene: FastScene, rays: RayPool, preset: FastPreset, seed: int) -> None:
        super().__init__(scene, preset.rate_decay, seed)
        self.rays, self.preset = rays, preset
        self.optimisers = [self._new_optimiser()]

    def warm_up(self) -> None:
        batch = self.rays.draw(16, torch.Generator().manual_seed(0))
        self._loss(batch, torch.Generator().manual_seed(0)).backward()  # type: ignore[no-untyped-call]

    def objective(self, fraction: float) -> Tensor:
        return self._loss(self.rays.draw(self.preset.rays, self.batches), self.batches)

    def _loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        rendered = self.scene.scene(0).render(batch.rays, generator)
        return picture_loss(rendered, batch, self.preset.alpha_weight) + self.preset.label_weight * label_loss(
            self.scene.semantic_head, rendered, batch
        )

    def between(self, fraction: float) -> None:
        """Drops cells that hold nothing, and moves on to the next resolution when it is due."""
        if self.steps % self.preset.prune_every:
            return
        resolution = [corners for start, corners in self.preset.stages if fraction >= start][-1]
        if resolution > self.scene.phi.resolution:
            self.scene.phi = self.scene.phi.refined(resolution)
            self.optimisers = [self._new_optimiser()]
        else:
            self.scene.phi.prune(self.preset.empty_density)

    def state(self) -> dict[str, Tensor]:
        return dict(super().state()) | {_REACHED: self.scene.phi.reached}

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        super().restore(state, steps)
        self.scene.phi.reached.copy_(state[_REACHED])

    def _new_optimiser(self) -> torch.optim.Optimizer:
        scene, preset = self.scene, self.preset
        rates = [
            ([scene.phi.density], preset.density_rate),
            ([scene.phi.features], preset.feature_rate),
            (list(scene.pixel_generator.parameters()), preset.network_rate),
        ]
        if scene.semantic_head is not None:
            rates.append((list(scene.semantic_head.parameters()), preset.label_rate))
        groups = [{"params": params, "lr": rate, "initial_lr": rate} for params, rate in rates]
        return torch.optim.Adam(groups, fused=True, **ADAM)  # type: ignore[arg-type]


def picture_loss(rendered: Rendered, batch: Batch, alpha_weight: float) -> Tensor:
    """The mean square error of colour over white, and of opacity."""
    opacity = F.mse_loss(rendered.opacity, batch.alpha)
    return F.mse_loss(rendered.over(1.0), batch.colour) + alpha_weight * opacity


def label_loss(head: SemanticHead | None, rendered: Rendered, batch: Batch) -> Tensor:
    """The cross-entropy of labelled rays that meet the instance; zero where there are none."""
    labelled = (batch.label > 0) & (rendered.opacity.detach() > 0.3)
    if head is None or not labelled.any():
        return torch.zeros((), device=rendered.opacity.device)
    opacity, classes = rendered.opacity[labelled], batch.label[labelled] - 1
    features = head.variants(rendered.marched.label_feature[labelled], opacity)
    return torch.stack([F.cross_entropy(head(feature, opacity), classes) for feature in features]).mean()
