"""The pixel generator of the 2019 system: an MLP from a feature to a colour (Sitzmann et al. 2019, section 3.2)."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from srn_engine.model.interfaces import PixelGenerator
from srn_engine.model.paper.blocks import mlp


class MlpPixelGenerator(nn.Module):
    """Decodes each ray's feature by itself; opacity and direction are not looked at."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.net = mlp(hidden, hidden, layers, 3)

    def forward(self, feature: Tensor, opacity: Tensor, directions: Tensor) -> Tensor:
        """Colours (R, 3) from feature (R, F); the network's own are -1 to 1, these 0 to 1, neither bounded."""
        colour: Tensor = 0.5 * self.net(feature) + 0.5
        return colour


if TYPE_CHECKING:  # keeps the interface's promise
    _generator: PixelGenerator = MlpPixelGenerator(1, 1)
