"""How the preset `paper` learns: the 2019 system's losses on rays of a few instances a step."""

import numpy as np
import torch
from torch import Tensor

from srn_engine.data.pools import AHEAD, Pools
from srn_engine.data.rays import Batch
from srn_engine.model.interfaces import Scene
from srn_engine.model.paper.loss import code_prior, depth_penalty, label_loss, picture_loss
from srn_engine.model.paper.preset import PaperPreset
from srn_engine.model.paper.scene import PaperScene, groups
from srn_engine.train.learner import Learner

_FEWEST, _MOST = 2.0, 4.0  # units of the marcher between cameras and scene with which it learns


def begin(pools: Pools, classes: int, preset: PaperPreset) -> tuple[PaperScene, PaperPreset]:
    """A new scene, and the preset in units that suit the distance of its cameras."""
    poses = np.stack([camera.pose for camera in pools.pool(0).cameras])
    distance = float(np.linalg.norm(poses[:, :3, 3], axis=1).mean())
    if not _FEWEST <= distance * preset.units <= _MOST:
        preset = preset.scaled(distance)
    return PaperScene(preset, len(pools), classes), preset


class PaperLearner(Learner):
    """Learns a PaperScene, `preset.instances` instances a step."""

    scene: PaperScene

    def __init__(self, scene: PaperScene, pools: Pools, preset: PaperPreset, seed: int) -> None:
        super().__init__(scene, preset.rate_decay, seed)
        self.pools, self.preset, self.seed = pools, preset, seed
        self.optimisers = [torch.optim.Adam(groups(scene, preset), fused=True)]

    def close(self) -> None:
        self.pools.close()

    def objective(self, fraction: float) -> Tensor:
        numbers = self._instances(self.steps)
        self.pools.read_ahead(self._instances(self.steps + 1)[:AHEAD])
        codes = torch.stack([self.scene.code(number) for number in numbers])
        losses = [code_prior(codes)]
        for number, scene in zip(numbers, self.scene.condition(codes, numbers), strict=True):
            batch = self.pools.pool(number).draw(self.preset.rays, self.batches)
            losses.append(view_loss(self.scene, scene, batch, self.batches) / len(numbers))
        return torch.stack(losses).sum()

    def _instances(self, step: int) -> list[int]:
        """Whose turn it is: drawn without repetition, as the seed and the step decide."""
        order = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return torch.randperm(len(self.pools), generator=order)[: self.preset.instances].tolist()


def view_loss(
    networks: PaperScene, scene: Scene, batch: Batch, generator: torch.Generator, labels_alone: bool = False
) -> Tensor:
    """What one instance's rays cost: picture, depth behind the camera and, where there is a head, labels; or all but
    the picture."""
    rendered = scene.render(batch.rays, generator)
    marched, preset = rendered.marched, networks.preset
    loss = depth_penalty(marched.t * batch.rays.z_per_t * preset.units)
    if not labels_alone:
        loss = loss + picture_loss(rendered.colour, batch.colour)
    if networks.semantic_head is not None:
        logits = networks.semantic_head(marched.label_feature, marched.opacity)
        loss = loss + preset.label_weight * label_loss(logits, batch.label)
    return loss
