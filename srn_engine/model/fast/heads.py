"""What decodes a ray's feature: the pixel generator and the semantic head of the `fast` preset."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from srn_engine.model.interfaces import PixelGenerator, SemanticHead


class ViewPixelGenerator(nn.Module):
    """Colour = the feature's first three channels + what a small network adds for this feature and direction.

    The first part is summed along the ray with the feature, so soft edges blend as they should and learning starts at
    once; the second brings gloss, shine and what the grid is too coarse for.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(channels + 8, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)

    def forward(self, feature: Tensor, opacity: Tensor, directions: Tensor) -> Tensor:
        """Colours (R, 3), sRGB-encoded and multiplied by opacity, from feature (R, F) and directions (R, 3)."""
        cover = opacity[:, None]
        base = feature[:, :3] + 0.5 * cover
        added: Tensor = self.net(torch.cat([feature / (cover + 1e-2), _harmonics(directions)], dim=-1))
        return base + cover * added


class DiffusePixelGenerator(nn.Module):
    """Colour = the feature's first three channels: what many instances share says nothing about the direction."""

    def forward(self, feature: Tensor, opacity: Tensor, directions: Tensor) -> Tensor:
        """Colours (R, 3), sRGB-encoded and multiplied by opacity, from feature (R, F)."""
        return feature[:, :3] + 0.5 * opacity[:, None]


class LinearSemanticHead(nn.Module):
    """One linear layer from feature to all classes but the background (Kohli et al. 2020, section 3)."""

    background = False

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes - 1)

    def variants(self, feature: Tensor, opacity: Tensor) -> list[Tensor]:
        return [feature]

    def inputs(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """The feature of what covers the ray, (R, F), however little of it that is."""
        return feature / (opacity.detach()[:, None] + 1e-2)

    def forward(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """Logits (R, classes - 1) of all classes but the background."""
        logits: Tensor = self.linear(self.inputs(feature, opacity))
        return logits


class SharedSemanticHead(LinearSemanticHead):
    """The head of many instances: one linear layer for those that were learned and one for those that were guessed.

    Of a learned instance it reads colour, code and place. The encoder's codes say the same in other numbers, so of a
    guessed instance it reads the place alone: with the colour beside it labels were worse. A feature is (colour, code,
    place, whether it was guessed), all weighted by opacity.
    """

    def __init__(self, colours: int, channels: int, places: int, classes: int) -> None:
        super().__init__(colours + channels + 2 * places, classes)
        self.parts = (colours, channels, places, 1)

    def inputs(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """What the linear layers read, (R, L): of each ray the one for guessed instances reads zeros, or the other."""
        colour, code, place, guessed = super().inputs(feature, opacity).split(self.parts, dim=1)  # type: ignore[no-untyped-call]
        guessed = (guessed > 0).to(colour.dtype)
        return torch.cat([place * guessed, torch.cat([colour, code, place], dim=1) * (1 - guessed)], dim=1)

    def variants(self, feature: Tensor, opacity: Tensor) -> list[Tensor]:
        return [feature, torch.cat([feature[:, :-1], opacity.detach()[:, None]], dim=1)]


def _harmonics(directions: Tensor) -> Tensor:
    """The first two bands of spherical harmonics without the constant and the factors, (R, 8)."""
    x, y, z = directions.unbind(-1)
    return torch.stack([x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], dim=-1)


if TYPE_CHECKING:  # both keep the interfaces' promises
    _generator: PixelGenerator = ViewPixelGenerator(1, 1)
    _head: SemanticHead = LinearSemanticHead(1, 2)
