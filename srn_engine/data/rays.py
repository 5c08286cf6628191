"""Batches of rays drawn from all views at once."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.cameras import rays_of
from srn_engine.data.dataset import Views, over_white
from srn_engine.errors import UserError
from srn_engine.model.interfaces import Rays

_MARGIN = 3  # pixels around the silhouette that are trained on as well


@dataclass(frozen=True)
class Batch:
    """R rays and what was captured there: colour (R, 3) over white, alpha (R,), label (R,) int64, 0 is background."""

    rays: Rays
    colour: Tensor
    alpha: Tensor
    label: Tensor


class RayPool:
    """All pixels of a split that are worth training on: the silhouette of each view and a little around it.

    The rest is background, which the visual hull keeps empty without training.
    """

    def __init__(self, views: Views, device: torch.device) -> None:
        rgba = views.rgba()
        if not (rgba[..., 3] > 0).any():
            raise UserError(
                f"Every picture in {views.folder} is empty; check that the instance is visible to the camera."
            )
        self.poses = torch.as_tensor(np.stack([camera.pose for camera in views.cameras]), dtype=torch.float32).to(
            device
        )
        self.intrinsics = views.dataset.intrinsics
        self.directions = torch.from_numpy(self.intrinsics.directions()).to(device)
        self.alphas = torch.from_numpy(rgba[..., 3].astype(np.float32) / 255).to(device)
        colour = over_white(rgba).reshape(-1, 3)
        label = views.semantic() if views.has("semantic") else np.zeros(rgba.shape[:3], np.uint8)
        self._colour = torch.from_numpy((colour * 255).round().astype(np.uint8)).to(device)
        self._label = torch.from_numpy(label.reshape(-1)).to(device)
        near = F.max_pool2d(self.alphas[:, None], 2 * _MARGIN + 1, stride=1, padding=_MARGIN)
        self._pixels = torch.nonzero(near.reshape(-1) > 0)[:, 0]

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """A batch of `count` rays, each drawn from all views with equal chance."""
        drawn = torch.randint(len(self._pixels), (count,), generator=generator)
        pixels = self._pixels[drawn.to(self._pixels.device)]
        view, place = pixels // len(self.directions), pixels % len(self.directions)
        pose = self.poses[view]
        directions = torch.einsum("nij,nj->ni", pose[:, :3, :3], self.directions[place])
        return Batch(
            rays_of(pose[:, :3, 3], directions),
            self._colour[pixels].float() / 255,
            self.alphas.reshape(-1)[pixels],
            self._label[pixels].long(),
        )
