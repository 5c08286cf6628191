"""LPIPS (Zhang et al. 2018): how different two pictures look, by a network that was taught on people's judgements.

It needs the package `lpips` and, in PyTorch's cache, the weights of the AlexNet that it looks with. Nothing of it is
downloaded from here: where a part is missing there is no LPIPS.
"""

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

Picture = npt.NDArray[np.floating]
Perceived = Callable[[Picture, Picture], float | None]

log = logging.getLogger(__name__)

SMALLEST = 32  # pixels of the shorter side: the network halves pictures five times


def perceptual(device: torch.device) -> Perceived | None:
    """LPIPS between two pictures (H, W, 3) from 0 to 1, None for some that are too small; None where it is not here."""
    if any(find_spec(name) is None for name in ("lpips", "torchvision")):
        return None
    try:
        import lpips  # type: ignore[import-not-found]
        from torchvision.models import AlexNet_Weights  # type: ignore[import-not-found]

        if not (Path(torch.hub.get_dir()) / "checkpoints" / Path(AlexNet_Weights.DEFAULT.url).name).is_file():
            return None  # any other would make torchvision download this one
        network = lpips.LPIPS(net="alex", verbose=False).to(device).eval()
    except Exception as error:  # noqa: BLE001  (not ours: a torchvision for another PyTorch, a broken file)
        log.warning("LPIPS is left out: its packages or weights cannot be used (%s).", error)
        return None

    @torch.no_grad()
    def perceived(neural: Picture, truth: Picture) -> float | None:
        if min(neural.shape[:2]) < SMALLEST:
            return None
        one, other = (torch.from_numpy(np.moveaxis(picture, -1, 0)[None]).float() for picture in (neural, truth))
        return float(network(one.to(device), other.to(device), normalize=True))

    return perceived
