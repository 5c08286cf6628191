"""Φ of the 2019 system: an MLP from a point to a feature (Sitzmann et al. 2019, section 3.1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.model.interfaces import SceneRepresentation

EXTENT = 4.0  # of the world in the marcher's units, cameras included: waves are made for coordinates of -1 to 1
SIREN_FREQUENCY = 30.0  # ω₀ of Sitzmann et al. 2020, "Implicit Neural Representations with Periodic Activations"


class Layer(NamedTuple):
    """One layer of Φ: weight (out, in), bias (out,); scale and shift (out,), or None for one and zero."""

    weight: Tensor
    bias: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None


@dataclass(frozen=True)
class Phi:
    """The Φ of one instance, which takes points (n, 3) in the marcher's units to features (n, hidden).

    `octaves` of positional encoding come before the first layer. A layer is Linear, LayerNorm, scale and shift, ReLU;
    with `siren` it is Linear, scale and shift, sine. It is computed in the precision of its weight.
    """

    layers: Sequence[Layer]
    octaves: int = 0
    siren: bool = False

    def __call__(self, points: Tensor) -> Tensor:
        x = encoded(points, self.octaves)
        for layer in self.layers:
            x = F.linear(x.to(layer.weight.dtype), layer.weight, layer.bias)
            if layer is self.layers[-1]:
                x = x.to(points.dtype)
            x = _sine(x, layer) if self.siren else _normalised(x, layer)
        return x

    def halved(self) -> "Phi":
        """The same Φ in bfloat16, but for what reads points and the last norm: depth hangs on them. A sine's argument
        is never rounded so far: a SIREN stays as it is."""
        if self.siren:
            return self
        first, *wide = self.layers
        halves = [layer._replace(weight=layer.weight.bfloat16(), bias=layer.bias.bfloat16()) for layer in wide]
        return replace(self, layers=(first, *halves))


def encoded_size(octaves: int) -> int:
    """How many numbers `encoded` makes of a point."""
    return 3 + 6 * octaves


def encoded(points: Tensor, octaves: int) -> Tensor:
    """(n, 3 + 6 octaves) points, then the sines and the cosines of πx, 2πx, 4πx ... of x = points / EXTENT, as in
    Mildenhall et al. 2020, but each octave half as large as the one before.

    All are equally steep so: with large steep ones the marcher learns its views by heart and finds no surface.
    """
    if octaves == 0:
        return points
    factors = 2.0 ** torch.arange(octaves, device=points.device)
    angles = points[:, :, None] * (math.pi / EXTENT * factors)
    waves = torch.stack([angles.sin(), angles.cos()], dim=1) / factors
    return torch.cat([points, waves.flatten(1)], dim=1)


def _normalised(x: Tensor, layer: Layer) -> Tensor:
    scale, shift = (None if part is None else part.to(x.dtype) for part in (layer.scale, layer.shift))
    return F.relu(F.layer_norm(x, x.shape[1:], scale, shift), inplace=True)


def _sine(x: Tensor, layer: Layer) -> Tensor:
    x = SIREN_FREQUENCY * x
    if layer.scale is not None and layer.shift is not None:
        x = layer.shift + layer.scale * x
    return x.sin()


if TYPE_CHECKING:  # keeps the interface's promise
    _phi: SceneRepresentation = Phi(())
