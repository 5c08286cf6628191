"""The `fast` scene of one instance: a sparse grid, marched as a volume, decoded once a ray."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from srn_engine.errors import UserError
from srn_engine.model.fast.grid import FeatureGrid, Grid, restored_grid
from srn_engine.model.fast.heads import LinearSemanticHead, ViewPixelGenerator
from srn_engine.model.fast.march import VolumeMarcher
from srn_engine.model.interfaces import (
    Marched,
    NeuralScene,
    PixelGenerator,
    PosedPictures,
    RayMarcher,
    Rays,
    Rendered,
    Scene,
)
from srn_engine.model.presets import FastPreset


class FastScene(NeuralScene):
    """Φ of one instance with `classes` classes, background included. Its grid stands in for a code."""

    semantic_head: LinearSemanticHead | None

    def __init__(self, preset: FastPreset, grid: FeatureGrid, classes: int) -> None:
        super().__init__()
        self.phi = grid
        self.marcher = VolumeMarcher(preset.step, preset.density_scale)
        self.pixel_generator = ViewPixelGenerator(preset.channels, preset.hidden)
        self.semantic_head = LinearSemanticHead(preset.channels, classes) if classes > 1 else None

    @classmethod
    def restored(cls, preset: FastPreset, state: Mapping[str, Tensor], classes: int) -> "FastScene":
        """The scene that `state` was saved from; KeyError, ValueError or RuntimeError where it does not fit."""
        scene = cls(preset, restored_grid(state, "phi."), classes)
        scene.load_state_dict(state)
        return scene

    def new_semantic_head(self, classes: int) -> LinearSemanticHead:
        self.semantic_head = LinearSemanticHead(self.phi.features.shape[1], classes).to(self.device)
        return self.semantic_head

    def code_parameters(self) -> Sequence[nn.Parameter]:
        return ()

    def adopting(self, pictures: Sequence[PosedPictures]) -> NeuralScene:
        raise UserError("This run holds one instance and has no codes to fit; train one on several instances first.")

    def code(self, instance: int) -> Tensor:
        return torch.zeros(0, device=self.device)

    def condition(self, codes: Tensor, instances: Sequence[int] | None = None) -> Sequence[Scene]:
        return [VolumeScene(self.phi, self.marcher, self.pixel_generator, self.semantic_head) for _ in codes]


class VolumeScene(Scene):
    """One instance as a grid with the parts that render it."""

    def __init__(
        self,
        grid: Grid,
        marcher: RayMarcher[Grid],
        pixel_generator: PixelGenerator,
        semantic_head: LinearSemanticHead | None,
    ) -> None:
        self.phi = grid
        self.marcher = marcher
        self.pixel_generator = pixel_generator
        self.semantic_head = semantic_head

    def render(self, rays: Rays, generator: torch.Generator | None = None) -> Rendered:
        marched = self.marcher(self.phi, rays, generator)
        colour = self.pixel_generator(marched.feature, marched.opacity, rays.directions)
        return Rendered(colour, marched.opacity, marched)

    def normals(self, rays: Rays, marched: Marched) -> Tensor:
        hit = marched.t > 0
        normals = torch.zeros_like(rays.directions)
        normals[hit] = self.phi.normals(rays.origins[hit] + marched.t[hit, None] * rays.directions[hit])
        return normals

    def labels(self, marched: Marched) -> Tensor:
        """Class ids (R,) uint8; 0, the background, where the ray is less than half covered."""
        if self.semantic_head is None:
            return torch.zeros_like(marched.opacity, dtype=torch.uint8)
        best = self.semantic_head(marched.label_feature, marched.opacity).argmax(dim=1) + 1
        return torch.where(marched.opacity > 0.5, best, 0).to(torch.uint8)
