"""How the preset `fast` learns many instances: first codes and their generator, then an encoder that guesses codes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srn_engine.data.pools import AHEAD, Pools
from srn_engine.data.rays import UNLABELLED, Batch, RayPool
from srn_engine.errors import UserError
from srn_engine.model.fast.code_file import MEAN, SQUARE, VALUE, CodeFile, Tensors
from srn_engine.model.fast.codes import Layout
from srn_engine.model.fast.many import BrickScene, FastManyScene, hull, packed
from srn_engine.model.interfaces import PosedPictures, Rays, Scene
from srn_engine.model.presets import FastManyPreset
from srn_engine.progress import Progress, Report
from srn_engine.train.fast import ADAM, label_loss, picture_loss
from srn_engine.train.learner import Learner
from srn_engine.train.muon import Muon

_PAIRS = 20_000  # neighbouring corners that are compared in a step
_NOWHERE = 256  # places without a code that are looked at in a step
_EMPTY = -8.0  # what their density values shall be
_STRETCH, _SHEAR, _FADE = 0.15, 0.15, 0.3  # how much instances are changed to teach the encoder more than there are
_LONGEST = 0.1  # a longer gradient of the encoder is shortened to this
_TARGETS = 2  # views that a guess is compared with
_OUTER = 0.2  # Adam's rate for the encoder's first and last layers and biases, against Muon's for the rest


def begin(pools: Pools, classes: int, preset: FastManyPreset, report: Report, folder: Path) -> FastManyScene:
    """A scene whose instances begin as their visual hulls, their codes in a file in `folder`; UserError where one's
    hull is empty."""
    hulls = []
    for number, instance in enumerate(pools.instances):
        report(Progress(0.0, f"Carving instance {number + 1} of {len(pools)}"))
        pools.read_ahead(range(number + 1, min(number + 1 + AHEAD, len(pools))))
        pool = pools.pool(number)
        cells = hull(pool.cameras, pool.alphas(), preset.corners)
        if not cells.any():
            raise UserError(f"No point of {instance.id} is inside every view's silhouette; check its poses.")
        hulls.append(packed(cells))
    return FastManyScene(preset, torch.stack(hulls), classes, folder)


class FastManyLearner(Learner):
    """Learns a FastManyScene whose codes are in a file, an instance a step."""

    scene: FastManyScene
    _visited: tuple[int, nn.Parameter] | None

    def __init__(self, scene: FastManyScene, pools: Pools, preset: FastManyPreset, seed: int) -> None:
        super().__init__(scene, preset.rate_decay, seed)
        assert isinstance(scene.values, CodeFile)
        self.pools, self.preset, self.seed = pools, preset, seed
        self._codes, self._visited = scene.values, None
        rates = [(list(scene.generator.parameters()), preset.network_rate)]
        if scene.semantic_head is not None:
            rates.append((list(scene.semantic_head.parameters()), preset.label_rate))
        groups = [{"params": params, "lr": rate, "initial_lr": rate} for params, rate in rates]
        self._networks = torch.optim.Adam(groups, fused=True, **ADAM)  # type: ignore[arg-type]
        inner, outer = scene.encoder.inner_weights(), scene.encoder.parameters()
        self._inner = Muon(inner, preset.guess_rate)
        rest = [weight for weight in outer if all(weight is not one for one in inner)]
        ends = {"params": rest, "lr": _OUTER * preset.guess_rate}
        generator = {"params": scene.guess_generator.parameters(), "lr": preset.network_rate * preset.rate_decay}
        self._outer = torch.optim.Adam([ends, generator], betas=ADAM["betas"], fused=True)  # type: ignore[arg-type]
        self.optimisers = [self._networks, self._inner, self._outer]

    def warm_up(self) -> None:
        scene = self.scene.grown(self.scene.values[0], self.scene.layout(0))
        batch = self.pools.pool(0).draw(16, torch.Generator().manual_seed(0))
        scene.render(batch.rays, torch.Generator().manual_seed(0)).opacity.sum().backward()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.pools.close()
        self._codes.close()

    def between(self, fraction: float) -> None:
        """The code that was visited takes its step of Adam, and is put back; guesses will begin with its generator."""
        if self._visited is None:
            return
        number, value = self._visited
        visits, mean, square = (
            self._codes.visits[number],
            *(self._codes.read(number, part) for part in (MEAN, SQUARE)),
        )
        adam = torch.optim.Adam([value], self._code_rate, fused=True, **ADAM)  # type: ignore[arg-type]
        adam.state[value] = {"step": visits, "exp_avg": mean, "exp_avg_sq": square}
        adam.step()
        for part, numbers in ((VALUE, value), (MEAN, mean), (SQUARE, square)):
            self._codes.write(number, part, numbers)
        self._visited = None
        self.scene.guess_generator.load_state_dict(self.scene.generator.state_dict())

    def state(self) -> Mapping[str, Tensor]:
        moments = self._codes.parts("mean.", MEAN) | self._codes.parts("square.", SQUARE)
        return Tensors({**super().state(), "visits": self._codes.visits, **moments})

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        super().restore(state, steps)
        self._codes.visits.copy_(state["visits"])
        for name, part in (("mean", MEAN), ("square", SQUARE)):
            for number in range(len(self._codes)):
                self._codes.write(number, part, state[f"{name}.{number}"])

    def objective(self, fraction: float) -> Tensor:
        number = self._instance(self.steps)
        self.pools.read_ahead([self._instance(self.steps + ahead) for ahead in range(1, AHEAD)])
        pool = self.pools.pool(number)
        return self._code_loss(number, pool) if fraction < self.preset.guess_after else self._guess_loss(pool)

    def learning(self, fraction: float) -> str:
        return "learning its instances" if fraction < self.preset.guess_after else "learning to guess new instances"

    def limit_gradients(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.scene.encoder.parameters(), _LONGEST)

    def set_rates(self, fraction: float) -> None:
        """Each part of the training has a schedule of its own: codes fall exponentially, guesses along a cosine."""
        after = self.preset.guess_after
        fallen = self.rate_decay ** min(1.0, fraction / after if after else 1.0)
        for group in self._networks.param_groups:
            group["lr"] = group["initial_lr"] * fallen
        self._code_rate = self.preset.code_rate * fallen
        done = max(0.0, fraction - after) / max(1 - after, 1e-6)
        # It begins slowly: an encoder that first says that nothing is anywhere has nothing to learn from.
        rate = self.preset.guess_rate * min(1.0, 100 * done) * (0.5 + 0.5 * math.cos(math.pi * done) + 0.005)
        self._inner.param_groups[0]["lr"], self._outer.param_groups[0]["lr"] = rate, _OUTER * rate

    def _instance(self, step: int) -> int:
        """Whose turn it is: every instance once in each round, in an order that the seed decides."""
        turn, place = divmod(step, len(self.pools))
        order = torch.Generator().manual_seed(self.seed * 1_000_003 + turn)
        return int(torch.randperm(len(self.pools), generator=order)[place])

    def _code_loss(self, number: int, pool: RayPool) -> Tensor:
        preset, layout = self.preset, self.scene.layout(number)
        batch = pool.draw(preset.rays, self.batches)
        self._visited = number, nn.Parameter(self._codes[number])
        scene = self.scene.grown(self._visited[1], layout)
        loss = view_loss(self.scene, scene, batch, self.batches)
        loss = loss + preset.smooth_weight * self._roughness(scene, layout)
        return loss + preset.empty_weight * self._filled_nowhere(loss.device)

    def _roughness(self, scene: BrickScene, layout: Layout) -> Tensor:
        """How much neighbouring corners differ: 2³ of them share a code and would show as a pattern."""
        pairs = layout.neighbours
        drawn = torch.randint(pairs.shape[1], (_PAIRS,), generator=self.batches)
        here, there = pairs[:, drawn.to(pairs.device)]

        def apart(values: Tensor) -> Tensor:
            # Not values[here]: its gradients are added up by several threads in any order, and runs would differ.
            return values.index_select(0, here) - values.index_select(0, there)

        density = apart(scene.phi.density).square().clamp(max=25).mean()
        return 0.01 * density + apart(scene.phi.features).square().mean()

    def _filled_nowhere(self, device: torch.device) -> Tensor:
        """How far places without a code are from empty: where codes are mixed, one of them may have none."""
        places = torch.randint(self.preset.side**3, (_NOWHERE,), generator=self.batches).to(device)
        density, _ = self.scene.generator(torch.zeros(_NOWHERE, self.preset.channels, device=device), places)
        filled: Tensor = (density - _EMPTY).clamp(min=0).square().mean()
        return filled

    def _guess_loss(self, pool: RayPool) -> Tensor:
        """How far off a guess from a few views is in others, of an instance that is stretched and recoloured."""
        count = int(torch.randint(1, min(self.preset.guess_views, len(pool.cameras)) + 1, (1,), generator=self.batches))
        chosen = torch.randperm(len(pool.cameras), generator=self.batches)
        world, fade = _stretch(self.batches), _recolouring(self.batches).to(self.scene.device)
        given, target = (_pictures(pool, part, world, fade) for part in (chosen[:count], chosen[-_TARGETS:]))
        layout = Layout.of(hull(given.cameras, given.alphas, self.preset.corners))
        scene = self.scene.grown(self.scene.encoder(given)[layout.places], layout, self.scene.guess_generator)
        batch = _drawn(target, self.preset.guess_rays, self.batches)
        loss = picture_loss(scene.render(batch.rays, self.batches), batch, self.preset.alpha_weight)
        return loss + self.preset.guess_smooth_weight * self._roughness(scene, layout)


def view_loss(
    networks: FastManyScene, scene: Scene, batch: Batch, generator: torch.Generator, labels_alone: bool = False
) -> Tensor:
    """What one instance's rays cost: picture and, where there is a head, labels, of which only the head learns; or
    labels and silhouette alone, of which the code does."""
    preset, rendered = networks.preset, scene.render(batch.rays, generator)
    if labels_alone:
        silhouette = F.mse_loss(rendered.opacity, (batch.label > 0).float())
        return silhouette + preset.label_weight * label_loss(networks.semantic_head, rendered, batch)
    known = replace(rendered.marched, label_feature=rendered.marched.label_feature.detach())
    labels = label_loss(networks.semantic_head, replace(rendered, marched=known), batch)
    return picture_loss(rendered, batch, preset.alpha_weight) + preset.label_weight * labels


def pictures_of(pool: RayPool, views: Sequence[int]) -> PosedPictures:
    """The chosen views of a pool."""
    colours, alphas = zip(*(pool.picture(n) for n in views), strict=True)
    return PosedPictures([pool.cameras[n] for n in views], colours, alphas)


def _pictures(pool: RayPool, views: Tensor, world: npt.NDArray[np.float64], fade: Tensor) -> PosedPictures:
    seen = pictures_of(pool, views.tolist())
    colours = [(1 - (1 - colour) @ fade.T).clamp(0, 1) for colour in seen.colours]
    return PosedPictures([camera.stretched(world) for camera in seen.cameras], colours, seen.alphas)


def _drawn(seen: PosedPictures, count: int, generator: torch.Generator) -> Batch:
    """A batch of `count` rays through pixels of all the views, whatever they show."""
    device = seen.alphas[0].device
    rays = [camera.rays(device) for camera in seen.cameras]
    together = Rays(
        *(torch.cat([getattr(part, name) for part in rays]) for name in ("origins", "directions", "z_per_t"))
    )
    colour = torch.cat([picture.reshape(-1, 3) for picture in seen.colours])
    alpha = torch.cat([silhouette.reshape(-1) for silhouette in seen.alphas])
    drawn = torch.randint(len(alpha), (count,), generator=generator).to(device)
    return Batch(together[drawn], colour[drawn], alpha[drawn], torch.full_like(drawn, UNLABELLED))


def _stretch(generator: torch.Generator) -> npt.NDArray[np.float64]:
    """A random stretching and shearing of the world that leaves x = 0 a plane of symmetry, mirrored now and then."""
    world = torch.eye(4)
    scale = 1 + _STRETCH * (2 * torch.rand(3, generator=generator) - 1)
    scale[0] *= 1 if torch.rand(1, generator=generator) < 0.5 else -1
    world[:3, :3] = torch.diag(scale)
    world[1, 2], world[2, 1] = _SHEAR * (2 * torch.rand(2, generator=generator) - 1)
    world[:3, :3] *= min(1.0, 1.0 / float(torch.linalg.matrix_norm(world[:3, :3], 2)))
    return world.double().numpy()


def _recolouring(generator: torch.Generator) -> Tensor:
    """A random mixing (3, 3) of what red, green and blue lack to white: white stays white."""
    exchanged = torch.eye(3)[torch.randperm(3, generator=generator)]
    mixed = (1 - _FADE) * exchanged + _FADE * torch.rand(3, 3, generator=generator)
    strength = 0.5 + 0.7 * torch.rand(3, 1, generator=generator)
    return mixed / mixed.sum(dim=1, keepdim=True) * strength
