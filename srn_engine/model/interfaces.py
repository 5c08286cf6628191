"""What the parts of a Scene Representation Network promise one another.

    code ──condition──▶ Scene       NeuralScene           (Sitzmann et al. 2019, section 3.3)
    points ──Φ──▶ features          SceneRepresentation   (section 3.1)
    rays ──march──▶ ray's end       RayMarcher            (section 3.2)
    feature ──▶ colour              PixelGenerator        (section 3.2)
    feature ──▶ class               SemanticHead          (Kohli et al. 2020, section 3)

The 2019 marcher steps to a single surface point; the `fast` marcher gathers features all along the ray. Both hand on
one feature for each ray, and colour and class are decoded once for each ray.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from srn_engine.cameras import Camera


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
    0 where there is none; label_feature (R, L): what the semantic head reads, weighted by opacity; gradients through
    it never move the geometry.
    """

    feature: Tensor
    opacity: Tensor
    t: Tensor
    label_feature: Tensor


@dataclass(frozen=True)
class Rendered:
    """R pixels: colour (R, 3) sRGB-encoded and multiplied by opacity; opacity (R,); what the marcher found."""

    colour: Tensor
    opacity: Tensor
    marched: Marched

    def over(self, background: float | Tensor) -> Tensor:
        """Colours (R, 3) over a background colour."""
        return self.colour + (1 - self.opacity[:, None]) * background


class SceneRepresentation(Protocol):
    """Φ, a function from points (n, 3) in dataset units to features (n, F)."""

    def __call__(self, points: Tensor) -> Tensor: ...


Phi = TypeVar("Phi", bound=SceneRepresentation, contravariant=True)


class RayMarcher(Protocol[Phi]):
    """Follows rays through a Φ of the kind that it knows how to march through."""

    def __call__(self, phi: Phi, rays: Rays, generator: torch.Generator | None = None) -> Marched:
        """Marches; with a `generator`, as in training, what the marcher draws at random is drawn from it."""
        ...


class PixelGenerator(Protocol):
    """Decodes a ray's feature to colour, sRGB-encoded and multiplied by opacity, (R, 3)."""

    def __call__(self, feature: Tensor, opacity: Tensor, directions: Tensor) -> Tensor: ...


class SemanticHead(Protocol):
    """Decodes a ray's feature to classes, linearly.

    background: whether class 0 is one of its logits; where it is not, opacity tells the background.
    """

    background: bool
    linear: nn.Linear

    def variants(self, feature: Tensor, opacity: Tensor) -> list[Tensor]:
        """The features (R, F) under which labelled rays are to be taught: their own, and those that the same surface
        would have in an instance that came about in another way."""
        ...

    def inputs(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """What the linear layer reads, (R, L)."""
        ...

    def __call__(self, feature: Tensor, opacity: Tensor) -> Tensor:
        """Logits (R, classes), or (R, classes - 1) without the background."""
        ...


class Scene(ABC):
    """One instance, ready to be rendered: Φ under its code, with the networks that all instances share."""

    @abstractmethod
    def render(self, rays: Rays, generator: torch.Generator | None = None) -> Rendered:
        """Renders R rays; `generator` as for the ray marcher."""

    @abstractmethod
    def normals(self, rays: Rays, marched: Marched) -> Tensor:
        """Outward unit normals (R, 3) of the surface that the rays met, world axes; zero where they met none."""

    @abstractmethod
    def labels(self, marched: Marched) -> Tensor:
        """Class ids (R,) uint8, 0 is background; all 0 without a semantic head."""


@dataclass(frozen=True)
class PosedPictures:
    """Views of one instance: for each its camera, colours (H, W, 3) over white and alphas (H, W), all from 0 to 1."""

    cameras: Sequence["Camera"]
    colours: Sequence[Tensor]
    alphas: Sequence[Tensor]


class NeuralScene(nn.Module, ABC):
    """All instances of a run: the networks they share, and a latent code for each.

    semantic_head: None until labels were learned.
    """

    semantic_head: SemanticHead | None

    @property
    def pixel_centre(self) -> float:
        """Where in a pixel its ray passes. The 2019 code passed through corners: what it trained is rendered so."""
        return 0.5

    @abstractmethod
    def new_semantic_head(self, classes: int) -> SemanticHead:
        """Takes on a head for so many classes, the background included, in place of the one before; returns it."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.parameters()).device

    def tensors(self) -> Mapping[str, Tensor]:
        """What a checkpoint holds; codes that are not in memory are read when they are asked for."""
        return self.state_dict()

    @abstractmethod
    def code_parameters(self) -> Sequence[nn.Parameter]:
        """The latent codes as they are learned; empty where the run has none."""

    @abstractmethod
    def adopting(self, pictures: Sequence[PosedPictures]) -> "NeuralScene":
        """The same networks with new instances, each under a first guess of its code from some posed pictures."""

    @abstractmethod
    def code(self, instance: int) -> Tensor:
        """The latent code (Z,) of an instance, free to learn (auto-decoder); Z is 0 where one instance needs none."""

    @abstractmethod
    def condition(self, codes: Tensor, instances: Sequence[int] | None = None) -> Sequence[Scene]:
        """A scene for each of the codes (B, Z).

        `instances` says whose codes they are, for what a scene knows about an instance beside its code (where it
        certainly is empty); None for codes that belong to none, as between two others.
        """

    def scene(self, instance: int) -> Scene:
        """The scene of one instance under its own code."""
        return self.condition(self.code(instance)[None], [instance])[0]
