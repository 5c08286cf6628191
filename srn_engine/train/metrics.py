"""How good a novel view is, against the captured one."""

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

Picture = npt.NDArray[np.floating]


def psnr(neural: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB of pictures from 0 to 1, all pixels, background included."""
    return float(-10 * np.log10(max(float(np.mean((neural - truth) ** 2)), 1e-12)))


def ssim(neural: Picture, truth: Picture) -> float:
    """Structural similarity of (H, W, 3) pictures from 0 to 1, mean over pixels (Wang et al. 2004, 7 x 7 window)."""
    return float(structural_similarity(neural, truth, channel_axis=2, data_range=1.0))  # type: ignore[no-untyped-call]


def depth_abs_rel(neural: Picture, truth: Picture) -> float | None:
    """Mean |neural - truth| / truth over all pixels (H, W) where the truth hits; None where it hits nothing.

    Where the neural view hits nothing, its depth counts as 0: a hole in the surface is an error of one.
    """
    hit = truth > 0
    return float(np.mean(np.abs(neural - truth)[hit] / truth[hit])) if hit.any() else None


def mean_iou(
    neural: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], classes: int, background: bool = True
) -> float | None:
    """Mean intersection over union of (H, W) class ids, over the classes that either picture holds; None without any.

    background: whether class 0 counts as a class, as in Kohli et al. 2020.
    """
    shares = []
    for label in range(0 if background else 1, classes):
        a, b = neural == label, truth == label
        union = np.count_nonzero(a | b)
        if union:
            shares.append(np.count_nonzero(a & b) / union)
    return float(np.mean(shares)) if shares else None


def silhouette_iou(neural: Picture, truth: Picture) -> float | None:
    """Intersection over union of the pixels that (H, W) opacities from 0 to 1 cover by more than half; None without
    any."""
    a, b = neural > 0.5, truth > 0.5
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else None
