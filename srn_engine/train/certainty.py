"""How sure a fit is: what it makes of views that it was not given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srn_engine.cameras import Camera
from srn_engine.data.colour import ColourFile
from srn_engine.data.dataset import View, Views, over_white
from srn_engine.data.images import Bytes
from srn_engine.model.interfaces import NeuralScene, Scene
from srn_engine.progress import Report, part_of
from srn_engine.train.metrics import psnr
from srn_engine.train.run import picture_over_white, render

LEFT_OUT = 3  # views of each instance that are left out in turn, of those that it was given
NOTHING, ALL = 12.0, 28.0  # dB in views that were not given: about a white picture, and as good as a known instance

Fit = Callable[
    [Sequence[Views], Report], NeuralScene
]  # fits an instance to each of some Views, the networks as they were


@dataclass(frozen=True)
class Certainty:
    """seen_psnr: dB in the views that a fit was given. agreement_psnr: dB in views that it was not, None where nothing
    tells."""

    seen_psnr: float
    agreement_psnr: float | None

    @property
    def sure(self) -> float:
        """0 to 1: what is to be expected of unseen views, from NOTHING to ALL."""
        known = self.seen_psnr if self.agreement_psnr is None else min(self.seen_psnr, self.agreement_psnr)
        return float(np.clip((known - NOTHING) / (ALL - NOTHING), 0, 1))

    def to_json(self) -> dict[str, float | None]:
        """As the protocol's `fit` tells it."""
        return {"seen_psnr": self.seen_psnr, "agreement_psnr": self.agreement_psnr, "sure": self.sure}


def seen_psnr(networks: NeuralScene, number: int, views: Views) -> float:
    """The mean PSNR, dB, of an instance of `networks` in its views."""
    scene = networks.scene(number)
    return float(np.mean([_psnr(networks, scene, views, n) for n in range(len(views))]))


def agreement(views: Sequence[Views], fit: Fit, elsewhere: Sequence[Camera], report: Report) -> list[float | None]:
    """For each instance how well a captured view, dB, is foreseen by fits that were not given it.

    Of several views some are left out in turn. A single one is foreseen there and back: by a fit to what the fit to it
    shows from `elsewhere`. None where nothing is shown there.
    """
    rounds = [
        {number: one for number, one in _left_out(views, turn).items() if _shows_something(one[0])}
        for turn in range(LEFT_OUT)
    ]
    single = [number for number, of_one in enumerate(views) if len(of_one) == 1]
    if single and elsewhere:
        there = fit([views[number] for number in single], part_of(report, 0.0, 0.2))
        for camera in elsewhere:
            shown = {number: _shown(there, place, views[number], camera) for place, number in enumerate(single)}
            rounds.append({number: (one, 0) for number, one in shown.items() if one.rgba(0)[..., 3].any()})
    found: list[list[float]] = [[] for _ in views]
    rounds = [given for given in rounds if given]
    for turn, given in enumerate(rounds):
        share = 0.2 + 0.8 * turn / len(rounds), 0.2 + 0.8 * (turn + 1) / len(rounds)
        networks = fit([one for one, _ in given.values()], part_of(report, *share))
        for place, (number, (_, out)) in enumerate(given.items()):
            found[number].append(_psnr(networks, networks.scene(place), views[number], out))
    return [float(np.mean(scores)) if scores else None for scores in found]


def _left_out(views: Sequence[Views], turn: int) -> dict[int, tuple[Views, int]]:
    """For each instance with several views, by its number: the others and which one is left out at that turn."""
    given = {}
    for number, of_one in enumerate(views):
        count = len(of_one)
        chosen = np.unique(np.linspace(0, count - 1, min(count, LEFT_OUT)).round().astype(int)).tolist()
        if count > 1 and turn < len(chosen):
            given[number] = of_one.only([other for other in range(count) if other != chosen[turn]]), chosen[turn]
    return given


def _shows_something(views: Views) -> bool:
    return any(views.rgba(number)[..., 3].any() for number in range(len(views)))


@dataclass(frozen=True)
class _Shown(ColourFile):
    """A picture that is in no file."""

    pixels: Bytes | None = None

    def read(self) -> Bytes:
        assert self.pixels is not None
        return self.pixels


def _shown(networks: NeuralScene, number: int, views: Views, camera: Camera) -> Views:
    """What an instance of `networks` looks like from a camera, in place of its captured views."""
    colour = render(networks.scene(number), camera, ("colour",), networks)["colour"]
    size = (camera.intrinsics.width, camera.intrinsics.height)
    picture = _Shown(Path(), size, pixels=(colour * 255).round().astype(np.uint8))
    return replace(views, views=(View("shown", camera, picture),))


def _psnr(networks: NeuralScene, scene: Scene, views: Views, number: int) -> float:
    seen = render(scene, views.cameras[number], ("colour",), networks)["colour"]
    return psnr(picture_over_white(seen), over_white(views.rgba(number)))
