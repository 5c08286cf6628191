"""From a latent code to a grid's values: what the `fast` scene of many instances has for a hypernetwork."""

import torch
from torch import Tensor, nn

from srn_engine.model.fast.codes import PER_BRICK, centres

COLOURS = 3
_COLOUR_STEP = 0.1  # colour for a code's number of one: codes learn in large steps


class BrickGenerator(nn.Module):
    """Turns the part of a code at one coarse place into the 2³ corners there.

    The first three numbers of a code are a colour and the fourth a density, of all corners alike; a small network adds
    what makes the corners differ. All places of all instances share it: it learns what small pieces of surface look
    like (as in the local implicit grids of Jiang et al. 2020). With a zero code it says that the place is empty.
    """

    where: Tensor

    def __init__(self, channels: int, hidden: int, side: int, density: float) -> None:
        super().__init__()
        last = nn.Linear(hidden, PER_BRICK * (1 + COLOURS))
        with torch.no_grad():
            last.weight.mul_(0.5)
            last.bias.zero_()
            last.bias.view(PER_BRICK, 1 + COLOURS)[:, 0] = density
        self.net = nn.Sequential(
            nn.Linear(channels + 3, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
        )  # fmt: skip
        self.register_buffer("where", centres(side, torch.device("cpu")), persistent=False)

    def forward(self, values: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Density (K · 8,) and features (K · 8, 3) at the corners of `places` (K,), from their `values` (K, C)."""
        corners = self.net(torch.cat([values, self.where[places]], dim=1)).view(-1, PER_BRICK, 1 + COLOURS)
        density = corners[..., 0] + values[:, COLOURS, None]
        features = corners[..., 1:] + _COLOUR_STEP * values[:, None, :COLOURS]
        return density.reshape(-1), features.reshape(-1, COLOURS)

    @staticmethod
    def of_colour(colour: Tensor) -> Tensor:
        """The first numbers of the code of what has this colour, from 0 to 1, (n, 3)."""
        return (colour - 0.5) / _COLOUR_STEP
