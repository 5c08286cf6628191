"""Scenes between instances: their codes mixed, two or several, each with a weight of its own."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from srn_engine.errors import UserError
from srn_engine.model.interfaces import Scene
from srn_engine.train.run import Run

ROUNDS = 30  # in which the mean on the sphere is found; each leaves a small part of the error before
TINY = 1e-6


@torch.no_grad()
def mixed_scene(run: Run, weights: Mapping[str, float]) -> Scene:
    """The scene between instances of `run`, each pulling with its weight; their sum does not matter.

    One instance alone is itself. UserError where an instance is unknown, a weight is none or no weight is above zero.
    """
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights.values()) or not any(weights.values()):
        raise UserError("Give each instance that is mixed a weight of zero or more, and at least one more than zero.")
    pulling = {run.info.index(name): weight for name, weight in weights.items() if weight > 0}
    if len(pulling) == 1:
        return run.scene.scene(*pulling)
    codes = torch.stack([run.scene.code(number) for number in pulling])
    return run.scene.condition(mixed_code(codes, torch.tensor(list(pulling.values()), dtype=torch.float64))[None])[0]


def mixed_code(codes: Tensor, weights: Tensor) -> Tensor:
    """The mean (Z,) of `codes` (n, Z) under `weights` (n,), positive, of any sum: along the arc where there are two.

    Directions are averaged on the sphere (Buss and Fillmore 2001) and lengths on a line. Half-way along a straight line
    a code would be shorter than any that was learned, and what it stands for fainter. Where there is no shortest arc,
    between opposite directions, the line is all there is.
    """
    weights = weights.double() / weights.double().sum()
    lengths = codes.norm(dim=1).cpu().double()
    length = float(weights @ lengths)
    # All that matters lies in the plane of the codes: shares of their directions stand for a direction.
    cosines = (codes @ codes.T).cpu().double() / (lengths[:, None] * lengths).clamp(min=TINY)
    shares = weights * lengths
    for _ in range(ROUNDS):
        size = (shares @ cosines @ shares).clamp(min=0).sqrt()
        if size <= TINY * length:
            return (weights.to(codes) @ codes).to(codes)
        shares = shares / size
        cosine = (cosines @ shares).clamp(-1, 1)
        angle = torch.arccos(cosine)
        stretched = weights * torch.where(angle > TINY, angle / torch.sin(angle).clamp(min=TINY), 1.0)
        way = stretched - (stretched @ cosine) * shares  # from the mean so far, along the sphere, towards the codes
        far = (way @ cosines @ way).clamp(min=0).sqrt()
        if far < TINY:
            break
        shares = torch.cos(far) * shares + torch.sin(far) / far * way
    mixed: Tensor = (length * shares / lengths.clamp(min=TINY)).to(codes) @ codes
    return mixed
