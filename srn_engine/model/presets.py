"""Presets: named choices of a scene's parts and of how they are trained. Every default of the engine stands here, those
of the 2019 system in `model/paper/preset.py`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from srn_engine.model.paper import preset as paper
from srn_engine.model.paper.preset import PaperPreset


@dataclass(frozen=True)
class FastPreset:
    """`fast` for one instance: a sparse grid of its own.

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


CODE_SECONDS = 120.0  # after which codes have learned most, on two cores


@dataclass(frozen=True)
class FastManyPreset:
    """`fast` for many instances: grids generated from latent codes.

    channels, side: a code is a grid of so many numbers at side³ places, and generates 2 · side corners a side.
    hidden: width of the generator. encoder_widths: channels of the encoder from fine to coarse. guess_after: the
    part of the training in which codes and generator learn, or more where it is short (`within`); in the rest the
    encoder learns to guess codes from at most `guess_views` views. guess_rays: in each batch of guesses.
    smooth_weight, guess_smooth_weight, empty_weight: what neighbouring corners that differ count, and density where
    there is no code. fit_steps, fit_rate: how a new instance's code is fitted beyond the guess; with less than
    `fit_from_views` views it is not, for to fit one view alone made others worse. The rest is as in FastPreset.
    """

    channels: int = 16
    side: int = 32
    hidden: int = 64
    encoder_widths: tuple[int, ...] = (48, 96, 160)
    step: float = 0.75
    density_scale: float = 160.0
    initial_density: float = -3.0
    rays: int = 4096
    code_rate: float = 0.3
    network_rate: float = 1e-3
    label_rate: float = 2e-2
    rate_decay: float = 0.05
    alpha_weight: float = 0.1
    label_weight: float = 0.02
    smooth_weight: float = 0.05
    empty_weight: float = 1e-3
    guess_after: float = 0.12
    guess_views: int = 3
    guess_rays: int = 2048
    guess_rate: float = 1e-2
    guess_smooth_weight: float = 0.3
    fit_from_views: int = 2
    fit_steps: int = 30
    fit_rate: float = 0.01
    seconds: float = 1200.0

    @property
    def corners(self) -> int:
        """Corners of the grid along each axis."""
        return 2 * self.side

    def within(self, seconds: float) -> "FastManyPreset":
        """The same for a training of so many seconds, in which the known instances come before new ones."""
        return replace(self, guess_after=max(self.guess_after, min(0.5, CODE_SECONDS / seconds)))


Preset = FastPreset | FastManyPreset | PaperPreset
_KINDS: Mapping[str, type[Preset]] = MappingProxyType(
    {"fast": FastPreset, "fast-many": FastManyPreset, "paper": PaperPreset}
)


@dataclass(frozen=True)
class Choice:
    """What a preset's name means for a dataset of one instance and for one of many."""

    one: Preset
    many: Preset


PRESETS: Mapping[str, Choice] = MappingProxyType(
    {"fast": Choice(FastPreset(), FastManyPreset()), "paper": Choice(paper.ONE, paper.MANY)}
)


def preset_to_json(preset: Preset) -> dict[str, Any]:
    """The numbers of a preset, so that a run keeps its own when the defaults change."""
    kind = next(name for name, known in _KINDS.items() if type(preset) is known)
    return {"kind": kind} | asdict(preset)


def preset_from_json(data: Mapping[str, Any]) -> Preset:
    """The preset that `preset_to_json` wrote; KeyError or TypeError where it is none."""
    numbers = {name: tuples(value) for name, value in data.items() if name != "kind"}
    return _KINDS[data["kind"]](**numbers)


def tuples(value: Any) -> Any:
    """JSON's lists as tuples, inner ones as well."""
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value
