"""What the four parts of a Scene Representation Network promise one another.

    points ──Φ──▶ features          SceneRepresentation   (Sitzmann et al. 2019, section 3.1)
    rays ──march──▶ ray's end       RayMarcher            (section 3.2)
    feature ──▶ colour              PixelGenerator        (section 3.2)
    feature ──▶ class               SemanticHead          (Kohli et al. 2020, section 3)

The 2019 marcher steps to a single surface point; the `fast` marcher gathers features all along the ray. Both hand on
one feature for each ray, and colour and class are decoded once for each ray.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rays:
    """R rays in dataset units.

    origins (R, 3); directions (R, 3) of length one; z_per_t (R,): how far along the camera's z axis a step of one
    along the ray goes.
    """

    origins: Tensor
    directions: Tensor
    z_per_t: Tensor

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, which: slice | Tensor) -> "Rays":
        return Rays(self.origins[which], self.directions[which], self.z_per_t[which])


@dataclass(frozen=True)
class Marched:
    """What a ray marcher found at the end of R rays.

    feature (R, F): weighted by opacity; opacity (R,) from 0 to 1; t (R,): distance along the ray to the surface,
    0 where there is none; label_feature (R, F): the numbers of `feature`, but gradients through it reach the features
    alone and never move the geometry.
    """

    feature: Tensor
    opacity: Tensor
    t: Tensor
    label_feature: Tensor


class SceneRepresentation(Protocol):
    """Φ, a function from points (n, 3) in dataset units to features (n, F)."""

    def __call__(self, points: Tensor) -> Tensor: ...

    def normals(self, points: Tensor) -> Tensor:
        """Outward unit normals (n, 3) of the surface near `points` (n, 3), world axes."""
        ...


Phi = TypeVar("Phi", bound=SceneRepresentation, contravariant=True)


class RayMarcher(Protocol[Phi]):
    """Follows rays through a Φ of the kind that it knows how to march through."""

    def __call__(self, phi: Phi, rays: Rays, generator: torch.Generator | None = None) -> Marched:
        """Marches; with a `generator`, as in training, sample positions are jittered."""
        ...


class PixelGenerator(Protocol):
    """Decodes a ray's feature to colour, sRGB-encoded and multiplied by opacity, (R, 3)."""

    def __call__(self, feature: Tensor, opacity: Tensor, directions: Tensor) -> Tensor: ...


class SemanticHead(Protocol):
    """Decodes a ray's feature to one logit for each class but the background, (R, classes - 1)."""

    def __call__(self, feature: Tensor, opacity: Tensor) -> Tensor: ...
