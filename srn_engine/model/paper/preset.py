"""What the 2019 system and its options are made of and how they are trained: every number of preset `paper`."""

from dataclasses import dataclass, replace
from typing import Literal

_GOOD_DISTANCE = 2.5


@dataclass(frozen=True)
class PaperPreset:
    """The 2019 system (Sitzmann et al. 2019, section 4 and supplement), as published where nothing else is said.

    Parts. conditioning: where Φ's weights come from: "none" are its own, for one scene; "hypernetwork" makes all of
    them from the code; "film" scales and shifts each layer by the code; "low_rank" changes each layer's weights by the
    code, at most by the rank `rank`. activation: "relu" after LayerNorm, or "siren". octaves: of the positional
    encoding, 0 is raw xyz. code, hidden: length of a code; width of every layer and length of a feature. phi_layers,
    pixel_layers: hidden layers of Φ and of the pixel generator. state: of the LSTM.

    Marching. march_steps: how many. start, start_spread: depth along z where every ray begins, mean and deviation, in
    the marcher's units. units: how many of them a dataset unit has (`scaled`). origin: where the dataset's origin lies,
    in the marcher's units; not 0 where a checkpoint of the authors' code knew the scene elsewhere. pixel_centre: where
    in a pixel its ray was in training; 0 in checkpoints of the authors' code.

    Training. instances, rays: how many instances in a step, and rays of each. *_rate: Adam's learning rates; label_rate
    that of the semantic head. rate_decay: what they fall to, 1 is constant. label_weight: what the cross-entropy counts
    beside the picture's loss, where both are learned together. bf16: whether the wide layers train in half precision.
    fit_from_views, fit_steps, fit_rate: how a new instance's code is fitted, and to how many views at least. seconds:
    how long, where nobody says.
    """

    conditioning: Literal["none", "hypernetwork", "film", "low_rank"] = "none"
    rank: int = 10
    activation: Literal["relu", "siren"] = "relu"
    octaves: int = 0
    code: int = 256
    hidden: int = 256
    phi_layers: int = 4
    pixel_layers: int = 5
    state: int = 16

    march_steps: int = 10
    start: float = 0.05
    start_spread: float = 5e-4
    units: float = 1.0
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pixel_centre: float = 0.5

    instances: int = 1
    rays: int = 4096
    network_rate: float = 5e-5
    hypernetwork_rate: float = 5e-5
    code_rate: float = 5e-5
    label_rate: float = 4e-4
    rate_decay: float = 1.0
    label_weight: float = 8.0
    bf16: bool = False
    fit_from_views: int = 1
    fit_steps: int = 300
    fit_rate: float = 1e-2
    seconds: float = 300.0

    def scaled(self, distance: float) -> "PaperPreset":
        """The preset for cameras that stand `distance` dataset units from the scene on average.

        The marcher knows no scale: cameras 1.5 of its units away it often stays with a flat picture, 6 away it learns
        slowly; 2 to 4 are well.
        """
        return replace(self, units=_GOOD_DISTANCE / distance)


# The published rates are slow; these were the best of those tried.
ONE = PaperPreset(network_rate=4e-4, bf16=True)
MANY = PaperPreset(
    conditioning="hypernetwork",
    instances=8,
    rays=512,
    network_rate=4e-4,
    code_rate=2e-3,
    bf16=True,
    seconds=1200.0,
)
