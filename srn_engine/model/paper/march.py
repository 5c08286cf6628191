"""The ray marcher of the 2019 system: an LSTM that learns how far to step (Sitzmann et al. 2019, section 3.2)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from srn_engine.model.interfaces import Marched, RayMarcher, Rays, SceneRepresentation

_GRADIENT_LIMIT = 10.0  # on each number of the LSTM's hidden state


class LstmMarcher(nn.Module):
    """Steps along the ray as far as an LSTM says that reads the feature where it stands; steps have no bound.

    Units are the marcher's own. The ray ends at a single point, in front of the camera or, unlike the interface has
    it, behind: t may be negative. Opacity is one everywhere. label_feature is the feature itself with its gradients:
    the networks are frozen while the semantic head is trained, and a code that is fitted to labels needs them.
    """

    def __init__(self, features: int, state: int, steps: int, start: float, spread: float) -> None:
        """`start` and `spread`: mean and deviation of the depth along z where rays begin."""
        super().__init__()
        self.steps, self.start, self.spread = steps, start, spread
        self.cell = nn.LSTMCell(features, state)
        self.stride = nn.Linear(state, 1)
        _initialise(self.cell)

    def forward(self, phi: SceneRepresentation, rays: Rays, generator: torch.Generator | None = None) -> Marched:
        """Marches; with a `generator` rays begin at a random depth around the start, without it at the start."""
        t = self._depths(len(rays), generator).to(rays.origins) / rays.z_per_t
        points = rays.origins + t[:, None] * rays.directions
        state: tuple[Tensor, Tensor] | None = None
        for _ in range(self.steps):
            state = self.cell(phi(points), state)
            hidden = state[0]
            if hidden.requires_grad:
                hidden.register_hook(_limited)
            stride = self.stride(hidden)
            t = t + stride.squeeze(1)
            points = torch.addcmul(points, stride, rays.directions)
        feature = phi(points)
        return Marched(feature, torch.ones_like(t), t, feature)

    def _depths(self, count: int, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            return torch.full((count,), self.start)
        return self.start + self.spread * torch.randn(count, generator=generator, device=generator.device)


def _limited(gradient: Tensor) -> Tensor:
    return gradient.clamp(-_GRADIENT_LIMIT, _GRADIENT_LIMIT)


@torch.no_grad()
def _initialise(cell: nn.LSTMCell) -> None:
    """As the authors mean it; what they released leaves all but the forget gate's bias at PyTorch's defaults, since it
    looks for an LSTM and not for an LSTMCell."""
    nn.init.kaiming_normal_(cell.weight_ih)
    nn.init.orthogonal_(cell.weight_hh)
    for bias in (cell.bias_ih, cell.bias_hh):
        bias.zero_()
        bias[cell.hidden_size : 2 * cell.hidden_size] = 1.0  # remember at first


if TYPE_CHECKING:  # keeps the interface's promise
    _marcher: RayMarcher[SceneRepresentation] = LstmMarcher(1, 1, 1, 0.0, 0.0)
