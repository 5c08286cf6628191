"""Batches of rays drawn from all views of an instance at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from srn_engine.cameras import rays_of
from srn_engine.data.checks import camera_problem, picture_problem
from srn_engine.data.dataset import Views, over_white
from srn_engine.errors import UserError
from srn_engine.model.interfaces import Rays
from srn_engine.progress import Progress, Report, silent

MARGIN = 3  # pixels around the silhouette that are trained on as well
UNLABELLED = -1


@dataclass(frozen=True)
class Batch:
    """R rays and what was captured there.

    colour (R, 3) over white and alpha (R,), from 0 to 1; label (R,) int64: the class id, 0 is background, and -1
    (UNLABELLED) where nobody said what is there.
    """

    rays: Rays
    colour: Tensor
    alpha: Tensor
    label: Tensor


class RayPool:
    """All pixels of an instance's views that are worth training on: the silhouette of each and a little around it.

    The rest is background, which the visual hull keeps empty without training. `everywhere` takes all pixels, for what
    has no hull and learns the background too; a view may then be empty. Views may differ in size and in focal length.
    Pixels stay 8 (or 16) bit on `device`; rays are computed when they are drawn. Where `report` raises Cancelled, the
    reading ends.
    """

    def __init__(self, views: Views, device: torch.device, everywhere: bool = False, report: Report = silent) -> None:
        if not len(views):
            raise UserError(f"{views.instance.id} in {views.dataset.root} has no {views.split} views; capture some.")
        self.cameras = views.cameras
        pixels = _alike([_read(views, n, everywhere, report) for n in range(len(views))])
        if not any(one.alpha.any() for one in pixels):
            raise UserError(f"Every picture of {views.instance.id} in {views.dataset.root} is empty; capture it again.")

        def column(arrays: Sequence[npt.NDArray[np.integer]]) -> Tensor:
            return torch.from_numpy(np.concatenate(arrays)).to(device)

        sizes = [camera.intrinsics for camera in views.cameras]
        self._pose = torch.tensor(np.stack([camera.pose for camera in views.cameras]), dtype=torch.float32).to(device)
        self._focal = torch.tensor([(size.fl_x, size.fl_y) for size in sizes], dtype=torch.float32).to(device)
        self._centre = torch.tensor([(size.cx, size.cy) for size in sizes], dtype=torch.float32).to(device)
        self._width = torch.tensor([size.width for size in sizes], device=device)
        self._begin = torch.tensor(np.cumsum([0, *(len(one.alpha) for one in pixels)]), device=device)
        self._place = None if everywhere else column([one.place for one in pixels])
        self._colour, self._alpha = column([one.colour for one in pixels]), column([one.alpha for one in pixels])
        self._white = float(np.iinfo(pixels[0].alpha.dtype).max)
        labelled = [one.label is not None for one in pixels]
        self._labelled = torch.tensor(labelled, device=device)
        blank = [np.zeros(len(one.alpha), np.uint8) if one.label is None else one.label for one in pixels]
        self._label = column(blank) if any(labelled) else None

    def __len__(self) -> int:
        return len(self._alpha)

    @property
    def nbytes(self) -> int:
        """What the pool takes up in memory."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor))

    def alphas(self) -> Iterator[Tensor]:
        """Each view's silhouette, (H, W) float32 from 0 to 1, put together one by one: all at once would be large."""
        return (self._silhouette(n) for n in range(len(self.cameras)))

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """A batch of `count` rays, each drawn from all views' pixels with equal chance."""
        drawn = torch.randint(len(self), (count,), generator=generator).to(self._alpha.device)
        view = torch.bucketize(drawn, self._begin[1:], right=True)
        place = (drawn - self._begin[view]) if self._place is None else self._place[drawn].long()
        width = self._width[view]
        pixel = torch.stack([place % width, place // width], dim=1) + 0.5
        on_plane = F.pad((pixel - self._centre[view]) / self._focal[view], (0, 1), value=1.0)
        pose = self._pose[view]
        directions = torch.einsum("nij,nj->ni", pose[:, :3, :3], on_plane)
        return Batch(
            rays_of(pose[:, :3, 3], directions),
            self._colour[drawn].float() / self._white,
            self._alpha[drawn].float() / self._white,
            self._labels(drawn, view),
        )

    def _labels(self, drawn: Tensor, view: Tensor) -> Tensor:
        if self._label is None:
            return torch.full_like(drawn, UNLABELLED)
        return torch.where(self._labelled[view], self._label[drawn].long(), UNLABELLED)

    def picture(self, n: int) -> tuple[Tensor, Tensor]:
        """One view: colour over white (H, W, 3) and alpha (H, W), float32 from 0 to 1."""
        return self._whole(n, self._colour, 1.0), self._silhouette(n)

    def _silhouette(self, n: int) -> Tensor:
        return self._whole(n, self._alpha, 0.0)

    def _whole(self, n: int, values: Tensor, elsewhere: float) -> Tensor:
        """(H, W, ...) of the view's pixels; what the pool leaves out is `elsewhere`."""
        size = self.cameras[n].intrinsics
        own = slice(int(self._begin[n]), int(self._begin[n + 1]))
        pixels = values[own].float() / self._white
        if self._place is not None:
            whole = pixels.new_full((size.height * size.width, *pixels.shape[1:]), elsewhere)
            whole[self._place[own].long()] = pixels
            pixels = whole
        return pixels.view(size.height, size.width, *pixels.shape[1:])


@dataclass(frozen=True)
class _Pixels:
    """What one view brings to a pool: P pixels, at `place` (P,) in the picture counted row by row."""

    place: npt.NDArray[np.int32]
    colour: npt.NDArray[np.unsignedinteger]
    alpha: npt.NDArray[np.unsignedinteger]
    label: npt.NDArray[np.uint8] | None


def _read(views: Views, n: int, everywhere: bool, report: Report) -> _Pixels:
    report(Progress(0.0, f"Reading view {n + 1} of {len(views)}"))
    rgba = views.rgba(n)
    problem = camera_problem(views, n) or picture_problem(views, n, rgba)
    if problem is not None and (rgba[..., 3].any() or not everywhere):
        raise UserError(problem)
    alpha = rgba[..., 3].reshape(-1)
    chosen = np.arange(len(alpha), dtype=np.int32)
    if not everywhere:
        seen = torch.from_numpy((rgba[..., 3] > 0).astype(np.float32))
        rows = F.max_pool2d(seen[None, None], (1, 2 * MARGIN + 1), stride=1, padding=(0, MARGIN))
        near = F.max_pool2d(rows, (2 * MARGIN + 1, 1), stride=1, padding=(MARGIN, 0))[0, 0]
        chosen = np.flatnonzero(near.numpy().reshape(-1)).astype(np.int32)
    colour = over_white(rgba.reshape(-1, 4)[chosen]) * np.iinfo(rgba.dtype).max
    label = views.semantic(n).reshape(-1)[chosen] if views.has("semantic", n) else None
    return _Pixels(chosen, colour.round().astype(rgba.dtype), alpha[chosen], label)


def _alike(pixels: list[_Pixels]) -> list[_Pixels]:
    """All in 16 bit where one is."""
    if len({one.alpha.dtype for one in pixels}) == 1:
        return pixels
    return [
        replace(one, colour=one.colour * np.uint16(257), alpha=one.alpha * np.uint16(257))
        if one.alpha.dtype == np.uint8
        else one
        for one in pixels
    ]
