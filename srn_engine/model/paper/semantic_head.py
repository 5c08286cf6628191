"""The semantic head of the 2020 system: one linear layer (Kohli et al. 2020, section 3)."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from srn_engine.model.interfaces import SemanticHead


class BackgroundSemanticHead(nn.Module):
    """Decodes a ray's feature to all classes; the background is one of them, since every ray ends somewhere."""

    background = True

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, classes)

    def variants(self, feature: Tensor, opacity: Tensor) -> list[Tensor]:
        return [feature]

    def inputs(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """The feature as it is, (R, F)."""
        return feature

    def forward(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """Logits (R, classes) from feature (R, F)."""
        logits: Tensor = self.linear(feature)
        return logits


if TYPE_CHECKING:  # keeps the interface's promise
    _head: SemanticHead = BackgroundSemanticHead(1, 2)
