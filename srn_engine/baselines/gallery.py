"""The views of one instance as plain arrays, which is all that a baseline works on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from srn_engine.data.dataset import Views, over_white
from srn_engine.errors import UserError

Pictures = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Gallery:
    """V views of one instance, all of one size.

    colour: (V, H, W, 3) from 0 to 1, over white. poses: (V, 4, 4), camera to world, OpenCV axes, dataset units.
    labels: (V, H, W) class ids, 0 is background; None where some view has none.
    """

    colour: Pictures
    poses: npt.NDArray[np.float64]
    labels: Labels | None

    def __len__(self) -> int:
        return len(self.colour)

    def only(self, numbers: Sequence[int]) -> "Gallery":
        """The views of those numbers alone."""
        chosen = list(numbers)
        return Gallery(self.colour[chosen], self.poses[chosen], None if self.labels is None else self.labels[chosen])

    def without(self, numbers: Sequence[int]) -> "Gallery":
        """All other views."""
        return self.only([n for n in range(len(self)) if n not in numbers])


def joined(first: Gallery, second: Gallery) -> Gallery:
    """The views of two galleries of one instance, those of the first first."""
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    return Gallery(np.concatenate([first.colour, second.colour]), np.concatenate([first.poses, second.poses]), labels)


def read_gallery(views: Views) -> Gallery:
    """Reads all views of an instance; UserError where there are none or their sizes differ."""
    if not len(views):
        raise UserError(f"{views.instance.id} has no {views.split} views; choose another split.")
    sizes = {(camera.intrinsics.width, camera.intrinsics.height) for camera in views.cameras}
    if len(sizes) > 1:
        raise UserError(f"The views of {views.instance.id} differ in size; a baseline needs them all alike.")
    labelled = all(views.has("semantic", n) for n in range(len(views)))
    return Gallery(
        np.stack([over_white(views.rgba(n)) for n in range(len(views))]),
        np.stack([camera.pose for camera in views.cameras]),
        np.stack([views.semantic(n) for n in range(len(views))]) if labelled else None,
    )
