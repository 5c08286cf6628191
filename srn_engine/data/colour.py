"""A view's colour picture on disk, and how it becomes straight RGBA over nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from srn_engine.data.images import Bytes, read_colour, read_mask
from srn_engine.data.lens import Lens


@dataclass(frozen=True)
class ColourFile:
    """The picture of one view.

    size: the (width, height) that it must have; mask: a picture that is black where the background is; white_is_empty:
    whether a picture without alpha stands on pure white, as the SRN family's do; lens: what it was taken through.
    """

    path: Path
    size: tuple[int, int]
    mask: Path | None = None
    white_is_empty: bool = False
    lens: Lens | None = None

    @property
    def as_it_is(self) -> bool:
        """Whether the file's own pixels are what `read` gives."""
        return self.mask is None and self.lens is None and not self.white_is_empty

    def read(self) -> Bytes:
        """(H, W, 4) sRGB-encoded with straight alpha, undistorted, uint8 or uint16; UserError where it is broken."""
        rgba = read_colour(self.path, self.size)
        opaque = np.iinfo(rgba.dtype).max
        if self.white_is_empty and (rgba[..., 3] == opaque).all():
            rgba = np.where(_white_around(rgba[..., :3])[..., None], np.zeros_like(rgba), rgba)
        if self.mask is not None:
            rgba = np.where(read_mask(self.mask, self.size)[..., None], rgba, np.zeros_like(rgba))
        return rgba if self.lens is None else self.lens.undistorted(rgba)


def _white_around(rgb: Bytes) -> npt.NDArray[np.bool_]:
    """(H, W): the pure white that reaches the frame. White inside the object may be the object's own."""
    regions = label((rgb == np.iinfo(rgb.dtype).max).all(axis=-1), connectivity=1)  # type: ignore[no-untyped-call]
    edge = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    around: npt.NDArray[np.bool_] = np.isin(regions, edge[edge > 0])
    return around
