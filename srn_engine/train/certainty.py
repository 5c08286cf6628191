"""How sure a fit is: what it makes of views that it was not given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from srn_engine.data.dataset import Views, over_white
from srn_engine.model.interfaces import NeuralScene, Scene
from srn_engine.train.metrics import psnr
from srn_engine.train.run import picture_over_white, render

LEFT_OUT = 3  # views of each instance that are left out in turn, of those that it was given
NOTHING, ALL = 14.0, 26.0  # dB in views that were not given: about a white picture, and a fit to be content with

Fit = Callable[[Sequence[Views]], NeuralScene]  # fits an instance to each of some Views, the networks as they were


@dataclass(frozen=True)
class Certainty:
    """seen_psnr: dB in the views that a fit was given. agreement_psnr: dB in views that it was not, None where nothing
    tells."""

    seen_psnr: float
    agreement_psnr: float | None

    @property
    def sure(self) -> float:
        """0 to 1."""
        known = self.seen_psnr if self.agreement_psnr is None else min(self.seen_psnr, self.agreement_psnr)
        return float(np.clip((known - NOTHING) / (ALL - NOTHING), 0, 1))

    def to_json(self) -> dict[str, float | None]:
        """As the protocol's `fit` tells it."""
        return {"seen_psnr": self.seen_psnr, "agreement_psnr": self.agreement_psnr, "sure": self.sure}


def seen_psnr(networks: NeuralScene, number: int, views: Views) -> float:
    """The mean PSNR, dB, of an instance of `networks` in its views."""
    scene = networks.scene(number)
    return float(np.mean([_psnr(networks, scene, views, n) for n in range(len(views))]))


def agreement(views: Sequence[Views], fit: Fit) -> list[float | None]:
    """For each instance how well views, dB, are foreseen by a fit to the others; None for one with a single view."""
    several = [number for number, of_one in enumerate(views) if len(of_one) > 1]
    found: list[list[float]] = [[] for _ in views]
    for turn in range(LEFT_OUT):
        out = {number: _left_out(len(views[number]), turn) for number in several}
        left = {number: n for number, n in out.items() if n is not None}
        if not left:
            break
        given = [views[number].only([m for m in range(len(views[number])) if m != n]) for number, n in left.items()]
        networks = fit(given)
        for place, (number, n) in enumerate(left.items()):
            found[number].append(_psnr(networks, networks.scene(place), views[number], n))
    return [float(np.mean(scores)) if scores else None for scores in found]


def _left_out(count: int, turn: int) -> int | None:
    """Which of `count` views is left out at that turn: evenly spread ones, each once."""
    chosen = np.unique(np.linspace(0, count - 1, min(count, LEFT_OUT)).round().astype(int))
    return int(chosen[turn]) if turn < len(chosen) else None


def _psnr(networks: NeuralScene, scene: Scene, views: Views, number: int) -> float:
    seen = render(scene, views.cameras[number], ("colour",), networks)["colour"]
    return psnr(picture_over_white(seen), over_white(views.rgba(number)))
