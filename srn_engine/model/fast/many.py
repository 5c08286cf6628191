"""The `fast` scene of many instances: a grid generated from each one's latent code."""

import copy
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from srn_engine.cameras import Camera
from srn_engine.model.fast.code_file import VALUE, CodeFile, Tensors
from srn_engine.model.fast.codes import PER_BRICK, Layout
from srn_engine.model.fast.encoder import ViewEncoder
from srn_engine.model.fast.generator import COLOURS, BrickGenerator
from srn_engine.model.fast.gradient_sums import GradientSums
from srn_engine.model.fast.grid import GeneratedGrid
from srn_engine.model.fast.heads import DiffusePixelGenerator, SharedSemanticHead
from srn_engine.model.fast.hull import carve
from srn_engine.model.fast.march import VolumeMarcher
from srn_engine.model.fast.scene import VolumeScene
from srn_engine.model.interfaces import NeuralScene, PosedPictures, Rays, Rendered, Scene
from srn_engine.model.presets import FastManyPreset

_POSITIONS = 10  # monomials of a point up to the second degree
_LAYOUTS = 64  # layouts that are kept; each takes a megabyte


class FastManyScene(NeuralScene):
    """Instances under codes that are coarse grids of numbers, `preset.side` places along each edge of [-1, 1]³.

    values: for each instance (K, C), the part of its code inside its hull; the rest is zero. hulls (instances, N³/8)
    uint8: the cells of each one's visual hull, a bit each. guessed: whether the codes began as the encoder's guesses.
    """

    hulls: Tensor
    values: nn.ParameterList | CodeFile
    semantic_head: SharedSemanticHead | None
    guessed: Tensor

    def __init__(self, preset: FastManyPreset, hulls: Tensor, classes: int, folder: Path | None = None) -> None:
        """`folder`: where to keep the codes, in a file, while they are learned; None for in memory."""
        super().__init__()
        self.preset = preset
        self.register_buffer("hulls", hulls)
        self.register_buffer("guessed", torch.tensor(False))
        self._layouts: OrderedDict[int, Layout] = OrderedDict()
        counts = [len(self.layout(number).places) for number in range(len(hulls))]
        if folder is None:
            self.values = nn.ParameterList(torch.zeros(count, preset.channels) for count in counts)
        else:
            self.values = CodeFile(folder, counts, preset.channels)
        self.generator = BrickGenerator(preset.channels, preset.hidden, preset.side, preset.initial_density)
        # The encoder's codes have a generator of their own, which learns on with it: the first must stay as it is for
        # the codes that were learned under it.
        self.guess_generator = copy.deepcopy(self.generator)
        self.encoder = ViewEncoder(preset.channels, preset.side, preset.encoder_widths)
        self.marcher = VolumeMarcher(preset.step, preset.density_scale)
        self.pixel_generator = DiffusePixelGenerator()
        self.semantic_head = self._head(classes) if classes > 1 else None
        self._sums = GradientSums()

    def _apply(self, *args: Any, **kwargs: Any) -> "FastManyScene":
        self._layouts.clear()  # they are on the device that the hulls are on
        moved: FastManyScene = super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        return moved

    @classmethod
    def restored(cls, preset: FastManyPreset, state: Mapping[str, Tensor], classes: int) -> "FastManyScene":
        """The scene that `state` was saved from; KeyError, ValueError or RuntimeError where it does not fit."""
        hulls = state["hulls"]
        if hulls.dim() != 2 or hulls.dtype != torch.uint8 or hulls.shape[1] * 8 != preset.corners**3:
            raise ValueError("its hulls are no grids of the preset's size")
        scene = cls(preset, hulls, classes)
        scene.load_state_dict(state)
        return scene

    def adopting(self, pictures: Sequence[PosedPictures]) -> "FastManyScene":
        """The same networks with new instances, each under the code that the encoder finds in its posed pictures."""
        hulls = torch.stack([packed(hull(seen.cameras, seen.alphas, self.preset.corners)) for seen in pictures])
        scene = FastManyScene(self.preset, hulls, 1)
        scene.guessed.fill_(True)
        for name in ("guess_generator", "encoder", "semantic_head"):
            setattr(scene, name, getattr(self, name))
        scene.generator = self.guess_generator
        scene = scene.to(self.device)
        for number, seen in enumerate(pictures):
            scene.guess(number, seen)
        return scene

    def keep_codes_in(self, folder: Path) -> None:
        """Moves the codes into a file in `folder`, to be learned one at a time."""
        held = [self.values[number] for number in range(len(self.hulls))]
        codes = CodeFile(folder, [len(values) for values in held], self.preset.channels).to(self.device)
        for number, values in enumerate(held):
            codes.write(number, VALUE, values)
        self.values = codes

    @torch.no_grad()
    def guess(self, instance: int, seen: PosedPictures) -> None:
        """Gives an instance the code that the encoder finds in its pictures."""
        self.values[instance].copy_(self.encoder(seen)[self.layout(instance).places])

    def tensors(self) -> Mapping[str, Tensor]:
        if isinstance(self.values, CodeFile):
            return Tensors(self.state_dict() | self.values.parts("values.", VALUE))
        return self.state_dict()

    def code_parameters(self) -> list[nn.Parameter]:
        return list(self.values.parameters())

    def code(self, instance: int) -> Tensor:
        values = self.values[instance]
        code = values.new_zeros(self.preset.side**3, self.preset.channels)
        placed: Tensor = code.index_put((self.layout(instance).places,), values)
        return placed.reshape(-1)

    def condition(self, codes: Tensor, instances: Sequence[int] | None = None) -> Sequence[Scene]:
        scenes = []
        for number, code in enumerate(codes):
            values = code.view(-1, self.preset.channels)
            if instances is None:
                layout = Layout.at((values != 0).any(dim=1).nonzero()[:, 0], self.preset.side)
            else:
                layout = self.layout(instances[number])
            scenes.append(self.grown(values[layout.places], layout))
        return scenes

    def grown(self, values: Tensor, layout: Layout, generator: BrickGenerator | None = None) -> "BrickScene":
        """The scene whose code has `values` (K, C) at the layout's places; `generator` in place of the scene's own."""
        density, features = (generator or self.generator)(values, layout.places)
        grid = GeneratedGrid(density, features, layout.links, layout.cells, self._sums)
        return BrickScene(grid, self, values)

    def layout(self, instance: int) -> Layout:
        """Where an instance may hold something: its hull."""
        if instance not in self._layouts:
            self._layouts[instance] = Layout.of(unpacked(self.hulls[instance], self.preset.corners))
        self._layouts.move_to_end(instance)
        if len(self._layouts) > _LAYOUTS:
            self._layouts.popitem(last=False)
        return self._layouts[instance]

    def new_semantic_head(self, classes: int) -> SharedSemanticHead:
        self.semantic_head = self._head(classes).to(self.device)
        return self.semantic_head

    def _head(self, classes: int) -> SharedSemanticHead:
        return SharedSemanticHead(COLOURS, self.preset.channels, _POSITIONS, classes)


class BrickScene(VolumeScene):
    """One instance as the grid that its code generates.

    Its semantic head is offered, beside the colour, the code at the surface and where the surface is: instances of a
    class stand alike, and a seat is where seats are.
    """

    def __init__(self, grid: GeneratedGrid, networks: FastManyScene, values: Tensor) -> None:
        super().__init__(grid, networks.marcher, networks.pixel_generator, networks.semantic_head)
        self.values, self.guessed = values, networks.guessed

    def render(self, rays: Rays, generator: torch.Generator | None = None) -> Rendered:
        rendered = super().render(rays, generator)
        marched = rendered.marched
        points = rays.origins + marched.t[:, None] * rays.directions
        guessed = self.guessed.expand(len(points), 1)
        more = torch.cat([self._code_at(points), _monomials(points), guessed], dim=1) * (marched.t > 0)[:, None]
        label_feature = torch.cat([marched.label_feature, more * marched.opacity.detach()[:, None]], dim=1)
        return replace(rendered, marched=replace(marched, label_feature=label_feature))

    def _code_at(self, points: Tensor) -> Tensor:
        """The code's values (n, C) at the coarse places of points (n, 3), zero where the instance has none."""
        corner = self.phi.to_grid(points).round().long().clamp(0, self.phi.resolution - 1)
        row = self.phi.links[corner[:, 0], corner[:, 1], corner[:, 2]].long()
        held = row >= 0
        values = self.values.new_zeros(len(points), self.values.shape[1])
        return values.index_put((held.nonzero()[:, 0],), self.values[row[held] // PER_BRICK])


def hull(cameras: Sequence[Camera], alphas: Iterable[Tensor], corners: int) -> Tensor:
    """(N, N, N) bool: the cells that no view sees through, in the unit sphere, where an instance lies by contract: few
    views leave much of the cube around it uncarved."""
    axis = torch.linspace(-1, 1, corners) + 1 / (corners - 1)
    squares = axis.square()
    cells = carve(cameras, alphas, corners)
    distance = (squares[:, None, None] + squares[:, None] + squares).sqrt().to(cells.device)
    return cells & (distance < 1 + 2 / (corners - 1))


def packed(cells: Tensor) -> Tensor:
    """(N, N, N) bool as (N³/8,) uint8, a bit each."""
    return torch.from_numpy(np.packbits(cells.cpu().numpy().reshape(-1)))


def unpacked(bits: Tensor, side: int) -> Tensor:
    """What `packed` packed."""
    cells = torch.from_numpy(np.unpackbits(bits.cpu().numpy())).bool().view(side, side, side)
    return cells.to(bits.device)


def _monomials(points: Tensor) -> Tensor:
    """1, x, y, z and their products (n, 10) of points (n, 3)."""
    x, y, z = points.unbind(dim=1)
    return torch.stack([torch.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, y * z, x * z], dim=1)
