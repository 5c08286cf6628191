"""The 2019 system: scenes that hold a surface, reached by an LSTM's steps, under codes of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srn_engine.errors import UserError
from srn_engine.model.interfaces import Marched, NeuralScene, PosedPictures, Rays, Rendered, Scene
from srn_engine.model.paper.conditioning import Conditioning, Film, LowRank, OwnWeights
from srn_engine.model.paper.hypernetwork import Hypernetwork
from srn_engine.model.paper.march import LstmMarcher
from srn_engine.model.paper.phi import Phi
from srn_engine.model.paper.pixel_generator import MlpPixelGenerator
from srn_engine.model.paper.preset import PaperPreset
from srn_engine.model.paper.semantic_head import BackgroundSemanticHead
from srn_engine.model.precision import bfloat16_is_fast

_CODE_DEVIATION = 0.01
_NUDGE = 5e-3  # radians between rays whose ends give a normal: about a pixel of a small picture
_CONDITIONINGS: Mapping[str, type[Conditioning]] = {
    "none": OwnWeights,
    "hypernetwork": Hypernetwork,
    "film": Film,
    "low_rank": LowRank,
}


class PaperScene(NeuralScene):
    """Instances with the networks that they share.

    codes (instances, preset.code) begin as N(0, 0.01²); without conditioning there is one instance and they are
    (1, 0). `classes` counts the background.
    """

    semantic_head: BackgroundSemanticHead | None

    def __init__(self, preset: PaperPreset, instances: int, classes: int) -> None:
        super().__init__()
        alone = preset.conditioning == "none"
        if alone and instances != 1:
            raise ValueError("without conditioning there can be only one instance")
        self.preset = preset
        self.codes = nn.Parameter(_CODE_DEVIATION * torch.randn(instances, 0 if alone else preset.code))
        self.conditioning = _CONDITIONINGS[preset.conditioning](preset)
        self.marcher = LstmMarcher(preset.hidden, preset.state, preset.march_steps, preset.start, preset.start_spread)
        self.pixel_generator = MlpPixelGenerator(preset.hidden, preset.pixel_layers)
        self.semantic_head = BackgroundSemanticHead(preset.hidden, classes) if classes > 1 else None

    @property
    def pixel_centre(self) -> float:
        return self.preset.pixel_centre

    @classmethod
    def restored(cls, preset: PaperPreset, state: Mapping[str, Tensor], classes: int) -> "PaperScene":
        """The scene that `state` was saved from; KeyError, ValueError or RuntimeError where it does not fit."""
        scene = cls(preset, len(state["codes"]), classes)
        scene.load_state_dict(state)
        return scene

    def new_semantic_head(self, classes: int) -> BackgroundSemanticHead:
        self.semantic_head = BackgroundSemanticHead(self.preset.hidden, classes).to(self.device)
        return self.semantic_head

    def code_parameters(self) -> Sequence[nn.Parameter]:
        return [self.codes] if self.codes.numel() else []

    def adopting(self, pictures: Sequence[PosedPictures]) -> "PaperScene":
        """New instances begin with the mean code: these networks have no way to guess a better one."""
        if not self.codes.numel():
            raise UserError("This run has no codes to fit; train one on several instances first.")
        scene = PaperScene(self.preset, len(pictures), 1).to(self.device)
        for name in ("conditioning", "marcher", "pixel_generator", "semantic_head"):
            setattr(scene, name, getattr(self, name))
        with torch.no_grad():
            scene.codes.copy_(self.codes.mean(dim=0).expand_as(scene.codes))
        return scene

    def code(self, instance: int) -> Tensor:
        return self.codes[instance]

    def condition(self, codes: Tensor, instances: Sequence[int] | None = None) -> Sequence["PointScene"]:
        siren = self.preset.activation == "siren"
        return [PointScene(Phi(layers, self.preset.octaves, siren), self) for layers in self.conditioning(codes)]


class PointScene(Scene):
    """One instance, whose every ray ends at a single point."""

    def __init__(self, phi: Phi, networks: PaperScene) -> None:
        self.phi = phi
        self.networks = networks

    def render(self, rays: Rays, generator: torch.Generator | None = None) -> Rendered:
        """Renders R rays, opaque everywhere; marched.t is negative where the marcher ended behind the camera. With a
        `generator`, as in training, the wide layers are computed in half precision where the preset has it so."""
        device = rays.origins.device
        half = generator is not None and self.networks.preset.bf16 and bfloat16_is_fast(device)
        marched = self._march(self.phi.halved() if half else self.phi, rays, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            colour = self.networks.pixel_generator(marched.feature, marched.opacity, rays.directions)
        return Rendered(colour.float(), marched.opacity, marched)

    def normals(self, rays: Rays, marched: Marched) -> Tensor:
        """From where two more rays end, nudged to the right and down: one ray knows nothing of the surface's slope.
        They face the camera; the background, which is opaque too, has some as well."""
        across = _across(rays.directions)
        down = torch.linalg.cross(rays.directions, across)
        here = _ends(rays, marched)
        edges = []
        for side in (across, down):
            nudged = Rays(rays.origins, F.normalize(rays.directions + _NUDGE * side, dim=1), rays.z_per_t)
            edges.append(_ends(nudged, self._march(self.phi, nudged)) - here)
        # across × down is the ray's direction: the cross product looks away from the camera.
        outward = F.normalize(-torch.linalg.cross(edges[0], edges[1]), dim=1)
        return torch.where(marched.t[:, None] > 0, outward, 0.0)

    def labels(self, marched: Marched) -> Tensor:
        head = self.networks.semantic_head
        if head is None:
            return torch.zeros_like(marched.opacity, dtype=torch.uint8)
        logits: Tensor = head(marched.label_feature, marched.opacity)
        return logits.argmax(dim=1).to(torch.uint8)

    def _march(self, phi: Phi, rays: Rays, generator: torch.Generator | None = None) -> Marched:
        units, origin = self.networks.preset.units, rays.origins.new_tensor(self.networks.preset.origin)
        marched: Marched = self.networks.marcher(phi, replace(rays, origins=units * rays.origins + origin), generator)
        return replace(marched, t=marched.t / units)


def groups(scene: PaperScene, preset: PaperPreset) -> list[dict[str, Any]]:
    """Adam's parameter groups: networks, what reads the codes, codes and semantic head, each at its rate."""
    reading = list(scene.conditioning.readers.parameters())
    head = [] if scene.semantic_head is None else list(scene.semantic_head.parameters())
    apart = {id(parameter) for parameter in (*reading, *head, scene.codes)}
    rates = [
        ([parameter for parameter in scene.parameters() if id(parameter) not in apart], preset.network_rate),
        (reading, preset.hypernetwork_rate),
        ([scene.codes] if scene.codes.numel() else [], preset.code_rate),
        (head, preset.label_rate),
    ]
    return [{"params": params, "lr": rate, "initial_lr": rate} for params, rate in rates if params]


def _across(directions: Tensor) -> Tensor:
    """(R, 3) unit vectors at right angles to unit `directions`."""
    smallest = F.one_hot(directions.abs().argmin(dim=1), 3).to(directions)
    return F.normalize(torch.linalg.cross(directions, smallest), dim=1)


def _ends(rays: Rays, marched: Marched) -> Tensor:
    return rays.origins + marched.t[:, None] * rays.directions
