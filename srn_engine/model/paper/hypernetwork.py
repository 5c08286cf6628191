"""The hypernetwork of the 2019 system: from a code to all weights of Φ (Sitzmann et al. 2019, section 3.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srn_engine.model.paper.blocks import last_linear
from srn_engine.model.paper.conditioning import Conditioning, code_readers, initial_linear, siren_limit
from srn_engine.model.paper.phi import Layer
from srn_engine.model.paper.preset import PaperPreset


class Hypernetwork(Conditioning):
    """One network for each layer of Φ, which makes its weight (out, in), row by row, and then its bias (out,).

    Φ's LayerNorm has no scale and shift of its own. With layers 256 wide these are 51.5 million weights.
    """

    def __init__(self, preset: PaperPreset) -> None:
        super().__init__()
        linears = [initial_linear(preset, layer) for layer in range(preset.phi_layers)]
        self.shapes = [(linear.out_features, linear.in_features) for linear in linears]
        readers = code_readers(preset, [outputs * inputs + outputs for outputs, inputs in self.shapes])
        self.readers = nn.ModuleList(readers)
        self.gains = [1.0] * preset.phi_layers
        if preset.activation == "siren":
            # No norm makes up for weights that are too large: every code begins near a SIREN, and moves in proportion.
            self.gains = [siren_limit(inputs, layer) for layer, (_, inputs) in enumerate(self.shapes)]
            for gain, linear, reader in zip(self.gains, linears, readers, strict=True):
                _begin_around(linear, last_linear(reader), gain)

    def forward(self, codes: Tensor) -> Sequence[Sequence[Layer]]:
        by_layer = []
        for gain, (outputs, inputs), reader in zip(self.gains, self.shapes, self.readers, strict=True):
            numbers = reader(codes) * gain if gain != 1 else reader(codes)
            weights, biases = numbers.split([outputs * inputs, outputs], dim=1)
            by_layer.append([Layer(*parts) for parts in zip(weights.view(-1, outputs, inputs), biases, strict=True)])
        return list(zip(*by_layer, strict=True))


@torch.no_grad()
def _begin_around(linear: nn.Linear, last: nn.Linear, gain: float) -> None:
    """Lets every code make about the weights of `linear`, after `gain`."""
    last.bias.copy_(torch.cat([linear.weight.flatten(), linear.bias]) / gain)
