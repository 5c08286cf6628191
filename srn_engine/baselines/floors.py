"""Pictures and labels that need no learning: what falls below them has learned nothing.

A dataset of one class is captured with the same rig for every instance, so that view n has the same pose in all of
them. The floors that speak of "the view" rest on that; `require_same_poses` holds them to it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from srn_engine.baselines.gallery import Gallery, Labels, Pictures
from srn_engine.errors import UserError


def require_same_poses(galleries: Sequence[Gallery]) -> None:
    """UserError where view n has another pose in one instance than in the others."""
    first = galleries[0].poses
    if any(one.poses.shape != first.shape or np.abs(one.poses - first).max() > 1e-6 for one in galleries):
        raise UserError("The instances were not seen from the same poses; capture them with one rig and one seed.")


def white(like: Pictures) -> Pictures:
    """Pure white pictures of the same shape (V, H, W, 3)."""
    return np.ones_like(like)


def mean_of_view(galleries: Sequence[Gallery]) -> Pictures:
    """The mean of all instances' pictures of each view, (V, H, W, 3)."""
    require_same_poses(galleries)
    mean: Pictures = np.stack([gallery.colour for gallery in galleries]).mean(axis=0, dtype=np.float64)
    return mean.astype(np.float32)


def nearest_instance(galleries: Sequence[Gallery], seen: Gallery) -> int:
    """Which instance's pictures differ least, in mean square, from those of another one in the views that were seen.

    galleries: of the same views as `seen`, in the same order.
    """
    require_same_poses([seen, *galleries])
    return int(np.argmin([np.mean((gallery.colour - seen.colour) ** 2) for gallery in galleries]))


def most_frequent_label(galleries: Sequence[Gallery], classes: int) -> Labels:
    """The class that most instances have at each pixel of each view, (V, H, W); the lowest id where several do.

    Instances without labels do not vote. UserError where none has labels.
    """
    labels = [gallery.labels for gallery in galleries if gallery.labels is not None]
    if not labels:
        raise UserError("No instance has labels; capture some with the pass semantic.")
    require_same_poses(galleries)
    voters = np.stack(labels)
    votes = np.stack([(voters == label).sum(axis=0) for label in range(classes)])
    winners: Labels = votes.argmax(axis=0).astype(np.uint8)
    return winners


def all_one_class(silhouette: npt.NDArray[np.bool_], label: int) -> Labels:
    """One class wherever the instance is, (V, H, W)."""
    return np.where(silhouette, label, 0).astype(np.uint8)
