"""Presets: named choices of a scene's parts and of how they are trained. Every default of the engine stands here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Preset:
    """A choice of parts and of training.

    channels: length of a feature. hidden: width of the pixel generator. step: distance of samples along a ray, in
    cells. density_scale: density of a softplus of one, per dataset unit. stages: at which part of the training the
    grid gets how many corners a side. rays: in each batch. *_rate: Adam's learning rates at the start; they fall
    exponentially to `rate_decay` times that. alpha_weight, label_weight: what these losses count beside the colour's.
    """

    channels: int = 16
    hidden: int = 64
    step: float = 0.75
    density_scale: float = 160.0
    initial_density: float = -3.5
    stages: tuple[tuple[float, int], ...] = ((0.0, 64), (0.15, 128))
    empty_density: float = -4.0
    prune_every: int = 50
    rays: int = 4096
    density_rate: float = 0.2
    feature_rate: float = 0.05
    network_rate: float = 2e-3
    label_rate: float = 2e-2
    rate_decay: float = 0.05
    alpha_weight: float = 0.1
    label_weight: float = 0.02
    seconds: float = 60.0


PRESETS: Mapping[str, Preset] = MappingProxyType({"fast": Preset()})
