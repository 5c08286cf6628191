"""Scenes known exactly: shapes given by their distance, seen without a camera's or a training's errors."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srn_engine.model.fast.heads import LinearSemanticHead
from srn_engine.model.interfaces import Marched, NeuralScene, PosedPictures, Rays, Rendered, Scene

Distance = Callable[[Tensor], Tensor]
STEPS, CLOSE, FAR = 96, 2e-3, 1.8


def ball(radius: float | Tensor) -> Distance:
    return lambda points: points.norm(dim=-1) - radius


def box(*half: float) -> Distance:
    """A box with these half edges."""

    def distance(points: Tensor) -> Tensor:
        outside = points.abs() - torch.tensor(half)
        return outside.clamp(min=0).norm(dim=-1) + outside.amax(dim=-1).clamp(max=0)

    return distance


class Shape(Scene):
    """Coloured by place, (p + 1) / 2; class 1 where x > 0, else 2. With an opaque background it ends at white walls."""

    def __init__(self, distance: Distance, opaque: bool = False) -> None:
        self.distance, self.opaque = distance, opaque

    def render(self, rays: Rays, generator: torch.Generator | None = None) -> Rendered:
        middle = -(rays.origins * rays.directions).sum(dim=-1)
        t = (middle - FAR).clamp(min=0)
        for _ in range(STEPS):
            t = t + self.distance(rays.origins + t[:, None] * rays.directions).clamp(max=0.5)
        hit = (t < middle + FAR) & (self.distance(rays.origins + t[:, None] * rays.directions) < CLOSE)
        t = torch.where(hit, t, middle if self.opaque else 0.0)
        points = rays.origins + t[:, None] * rays.directions
        opacity = torch.ones_like(t) if self.opaque else hit.float()
        colour = torch.where(hit[:, None], points * 0.5 + 0.5, float(self.opaque))
        return Rendered(colour, opacity, Marched(points, opacity, t, points))

    def normals(self, rays: Rays, marched: Marched) -> Tensor:
        edge = 1e-3 * torch.eye(3)
        slope = [self.distance(marched.feature + e) - self.distance(marched.feature - e) for e in edge]
        return F.normalize(torch.stack(slope, dim=-1), dim=-1) * (marched.t > 0)[:, None]

    def labels(self, marched: Marched) -> Tensor:
        side = torch.where(marched.feature[:, 0] > 0, 1, 2)
        return torch.where(self.distance(marched.feature) < CLOSE, side, 0).to(torch.uint8)


class Balls(NeuralScene):
    """A run's networks where a code is a ball's radius."""

    semantic_head: LinearSemanticHead | None

    def __init__(self, *radii: float, classes: int = 3) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.tensor(radii)[:, None])
        self.semantic_head = LinearSemanticHead(3, classes) if classes > 1 else None

    def new_semantic_head(self, classes: int) -> LinearSemanticHead:
        self.semantic_head = LinearSemanticHead(3, classes)
        return self.semantic_head

    def code_parameters(self) -> list[nn.Parameter]:
        return [self.codes]

    def adopting(self, pictures: Sequence[PosedPictures]) -> "Balls":
        return Balls(*[float(self.codes.mean())] * len(pictures))

    def code(self, instance: int) -> Tensor:
        return self.codes[instance]

    def condition(self, codes: Tensor, instances: Sequence[int] | None = None) -> Sequence[Scene]:
        return [Shape(ball(code[0])) for code in codes]
