"""Where the layers of Φ come from: its own weights, or networks that read an instance's code.

The hypernetwork of the 2019 system stands in `hypernetwork.py`; here are the interface and the lighter ways.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srn_engine.model.paper.blocks import kaiming, last_linear, mlp
from srn_engine.model.paper.phi import EXTENT, SIREN_FREQUENCY, Layer, encoded_size
from srn_engine.model.paper.preset import PaperPreset

HIDDEN_LAYERS = 2  # of each network that reads the code
_GAIN = 0.1  # what such a network's last weights begin with, beside Kaiming's


class Conditioning(nn.Module, ABC):
    """Makes the layers of Φ from codes.

    readers: the networks that read the code, one for each layer of Φ; all other parameters are Φ's own.
    """

    readers: nn.ModuleList

    @abstractmethod
    def forward(self, codes: Tensor) -> Sequence[Sequence[Layer]]:
        """For each of the codes (B, Z) the layers of its Φ; every network is run once for all codes."""


class OwnWeights(Conditioning):
    """No code: the Φ of one scene has weights of its own, and an affine LayerNorm."""

    def __init__(self, preset: PaperPreset) -> None:
        super().__init__()
        self.readers = nn.ModuleList()
        self.weights, self.biases = own_weights(preset)
        norms = 0 if preset.activation == "siren" else preset.phi_layers
        self.scales = nn.ParameterList(torch.ones(preset.hidden) for _ in range(norms))
        self.shifts = nn.ParameterList(torch.zeros(preset.hidden) for _ in range(norms))

    def forward(self, codes: Tensor) -> Sequence[Sequence[Layer]]:
        affine = [self.scales, self.shifts] if len(self.scales) else []
        layers = [Layer(*parts) for parts in zip(self.weights, self.biases, *affine, strict=True)]
        return [layers for _ in codes]


class Film(Conditioning):
    """All instances share the weights; the code scales and shifts every layer (Perez et al. 2018)."""

    def __init__(self, preset: PaperPreset) -> None:
        super().__init__()
        self.weights, self.biases = own_weights(preset)
        self.readers = nn.ModuleList(code_readers(preset, [2 * preset.hidden] * preset.phi_layers))

    def forward(self, codes: Tensor) -> Sequence[Sequence[Layer]]:
        by_layer = []
        for weight, bias, reader in zip(self.weights, self.biases, self.readers, strict=True):
            scales, shifts = reader(codes).chunk(2, dim=1)
            by_layer.append([Layer(weight, bias, *parts) for parts in zip(1 + scales, shifts, strict=True)])
        return list(zip(*by_layer, strict=True))


class LowRank(Conditioning):
    """All instances share weights W and biases b; the code makes W ⊙ (1 + A B) of them, A (out, rank), B (rank, in),
    and b ⊙ (1 + s).

    Multiplied, not added, the code reaches as far in small weights as in large ones (Skorokhodov et al. 2021).
    """

    def __init__(self, preset: PaperPreset) -> None:
        super().__init__()
        self.rank = preset.rank
        self.weights, self.biases = own_weights(preset)
        self.readers = nn.ModuleList(code_readers(preset, [sum(self._sides(weight)) for weight in self.weights]))

    def forward(self, codes: Tensor) -> Sequence[Sequence[Layer]]:
        by_layer = []
        for weight, bias, reader in zip(self.weights, self.biases, self.readers, strict=True):
            outer, inner, factors = reader(codes).split(self._sides(weight), dim=1)
            change = outer.view(len(codes), -1, self.rank) @ inner.view(len(codes), self.rank, -1)
            by_layer.append([Layer(*parts) for parts in zip(weight * (1 + change), bias * (1 + factors), strict=True)])
        return list(zip(*by_layer, strict=True))

    def _sides(self, weight: Tensor) -> list[int]:
        outputs, inputs = weight.shape
        return [outputs * self.rank, self.rank * inputs, outputs]


def code_readers(preset: PaperPreset, outputs: Sequence[int]) -> list[nn.Sequential]:
    """Networks from a code to so many numbers each, which begin small."""
    made = [mlp(preset.code, preset.code, HIDDEN_LAYERS, count) for count in outputs]
    with torch.no_grad():
        for reader in made:
            last_linear(reader).weight.mul_(_GAIN)
    return made


def own_weights(preset: PaperPreset) -> tuple[nn.ParameterList, nn.ParameterList]:
    """Weights (out, in) and biases (out,) of Φ's layers, initialised for its activation."""
    linears = [initial_linear(preset, layer) for layer in range(preset.phi_layers)]
    return nn.ParameterList([own.weight for own in linears]), nn.ParameterList([own.bias for own in linears])


def initial_linear(preset: PaperPreset, layer: int) -> nn.Linear:
    """Layer number `layer` of Φ as it begins."""
    linear = nn.Linear(preset.hidden if layer else encoded_size(preset.octaves), preset.hidden)
    if preset.activation == "relu":
        return kaiming(linear)
    limit = siren_limit(linear.in_features, layer)
    nn.init.uniform_(linear.weight, -limit, limit)
    return linear


def siren_limit(inputs: int, layer: int) -> float:
    """The largest weight of a SIREN's layer as it begins: so that the argument of every sine has a deviation of about
    one (Sitzmann et al. 2020, section 3.2)."""
    return math.sqrt(6 / inputs) / SIREN_FREQUENCY if layer else 1 / (inputs * EXTENT)
