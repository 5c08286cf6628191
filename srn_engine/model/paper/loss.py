"""What the 2019 system minimises: the sum of these, each with its weight (Sitzmann et al. 2019, section 3.4)."""

import torch.nn.functional as F
from torch import Tensor

_PICTURE, _DEPTH = 200.0, 10.0


def picture_loss(colour: Tensor, captured: Tensor) -> Tensor:
    """200 times the mean square error of colours (R, 3), 0 to 1 over white, compared in -1 to 1."""
    return _PICTURE * F.mse_loss(2 * colour - 1, 2 * captured - 1)


def depth_penalty(depth: Tensor) -> Tensor:
    """10 times the mean square of what is negative of `depth` (R,), along z in the marcher's units."""
    return _DEPTH * depth.clamp(max=0).square().mean()


def code_prior(codes: Tensor) -> Tensor:
    """The mean square of the codes (B, Z) of a step's instances; zero where they have none."""
    return codes.square().sum() / max(codes.numel(), 1)


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of logits (R, classes) and class ids (R,), of which 0 is the background and -1 unlabelled;
    zero where nothing is labelled."""
    labelled = (labels >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / labelled
