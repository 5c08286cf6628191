"""A neural scene: the four parts together, from rays to colour, depth and class."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srn_engine.model.grid import FeatureGrid
from srn_engine.model.heads import LinearSemanticHead, ViewPixelGenerator
from srn_engine.model.interfaces import Marched, RayMarcher, Rays
from srn_engine.model.march import VolumeMarcher
from srn_engine.model.presets import Preset


@dataclass(frozen=True)
class Rendered:
    """R pixels: colour (R, 3) sRGB-encoded and multiplied by opacity; opacity (R,); what the marcher found."""

    colour: Tensor
    opacity: Tensor
    marched: Marched

    def over(self, background: float | Tensor) -> Tensor:
        """Colours (R, 3) over a background colour."""
        return self.colour + (1 - self.opacity[:, None]) * background


class NeuralScene(nn.Module):
    """Φ, ray marcher, pixel generator and semantic head of one instance with `classes` classes, background included."""

    def __init__(self, preset: Preset, grid: FeatureGrid, classes: int) -> None:
        super().__init__()
        self.preset = preset
        self.phi = grid
        self.marcher: RayMarcher[FeatureGrid] = VolumeMarcher(preset.step, preset.density_scale)
        self.pixel_generator = ViewPixelGenerator(preset.channels, preset.hidden)
        self.semantic_head = LinearSemanticHead(preset.channels, classes) if classes > 1 else None

    def forward(self, rays: Rays, generator: torch.Generator | None = None) -> Rendered:
        """Renders rays; `generator` as for the ray marcher."""
        marched = self.marcher(self.phi, rays, generator)
        colour = self.pixel_generator(marched.feature, marched.opacity, rays.directions)
        return Rendered(colour, marched.opacity, marched)

    def labels(self, marched: Marched) -> Tensor:
        """Class ids (R,) uint8; 0, the background, where the ray is less than half covered."""
        if self.semantic_head is None:
            return torch.zeros_like(marched.opacity, dtype=torch.uint8)
        best = self.semantic_head(marched.label_feature, marched.opacity).argmax(dim=1) + 1
        return torch.where(marched.opacity > 0.5, best, 0).to(torch.uint8)
