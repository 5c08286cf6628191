"""The 2019 system and its options: shapes, gradients, what conditioning promises, and that every variant learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.model.interfaces import Rays
from srn_engine.model.paper import loss
from srn_engine.model.paper.march import LstmMarcher
from srn_engine.model.paper.phi import encoded
from srn_engine.model.paper.preset import MANY, ONE, PaperPreset
from srn_engine.model.paper.scene import PaperScene, groups
from srn_engine.tests.scenes import ball_view, look_at_middle

SMALL = PaperPreset(hidden=64, code=16, march_steps=6, network_rate=2e-3, hypernetwork_rate=1e-3, code_rate=1e-2)
SIREN = replace(SMALL, activation="siren", network_rate=3e-4, hypernetwork_rate=3e-4)
VARIANTS = {
    "one": SMALL,
    "one siren": SIREN,
    "one encoded": replace(SMALL, octaves=3),
    "hypernetwork": replace(SMALL, conditioning="hypernetwork"),
    "hypernetwork siren": replace(SIREN, conditioning="hypernetwork"),
    "film": replace(SMALL, conditioning="film"),
    "film siren": replace(SIREN, conditioning="film"),
    "low rank encoded": replace(SMALL, conditioning="low_rank", octaves=2),
    "low rank siren": replace(SIREN, conditioning="low_rank"),
}


def ball(position: tuple[float, float, float] = (2.0, -1.5, 1.0), size: int = 16) -> tuple[Rays, dict[str, np.ndarray]]:
    camera = Camera(
        look_at_middle(np.array(position)), Intrinsics(1.2 * size, 1.2 * size, size / 2, size / 2, size, size)
    )
    return camera.rays(torch.device("cpu")), ball_view(camera)


def over_white(view: dict[str, np.ndarray]) -> Tensor:
    rgba = torch.from_numpy(view["rgba"].reshape(-1, 4)).float() / 255
    return rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]


def new_scene(preset: PaperPreset, classes: int = 1) -> PaperScene:
    torch.manual_seed(0)
    return PaperScene(preset, 1 if preset.conditioning == "none" else 3, classes)


def codes_of(scene: PaperScene) -> Tensor:
    """Codes far enough apart to make other scenes."""
    return torch.randn(len(scene.codes), scene.codes.shape[1], generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("preset", "instances", "count"), [(ONE, 1, 550_292), (MANY, 3, 51_869_076 + 3 * 256)])
def test_sizes_are_the_published_ones(preset: PaperPreset, instances: int, count: int):
    scene = PaperScene(preset, instances, 1)
    assert sum(parameter.numel() for parameter in scene.parameters()) == count


def test_published_rates_are_the_defaults():
    assert {PaperPreset.network_rate, PaperPreset.hypernetwork_rate, PaperPreset.code_rate} == {5e-5}
    assert not PaperPreset.bf16


def test_initialisation():
    torch.manual_seed(0)
    scene = PaperScene(replace(MANY, code=64, hidden=128), 200, 1)
    cell = scene.marcher.cell
    torch.testing.assert_close(cell.weight_hh.T @ cell.weight_hh, torch.eye(16), rtol=0, atol=1e-5)
    assert cell.weight_ih.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    for bias in (cell.bias_ih, cell.bias_hh):
        assert bias.reshape(4, 16).T.tolist() == [[0, 1, 0, 0]] * 16
    assert scene.codes.std().item() == pytest.approx(0.01, rel=0.05)
    last = scene.conditioning.readers[1][-1].weight
    assert last.std().item() == pytest.approx(0.1 * (2 / 64) ** 0.5, rel=0.05)


@pytest.mark.parametrize("name", VARIANTS)
def test_shapes_and_gradients(name: str):
    scene = new_scene(VARIANTS[name], classes=3)
    rays, _ = ball(size=8)
    codes = codes_of(scene).requires_grad_()
    views = scene.condition(codes)
    assert len(views) == len(scene.codes)
    total = torch.zeros(())
    for view in views:
        rendered = view.render(rays)
        assert rendered.colour.shape == (64, 3) and rendered.opacity.eq(1).all()
        assert rendered.marched.feature.shape == (64, 64) and rendered.marched.t.shape == (64,)
        assert view.labels(rendered.marched).dtype == torch.uint8
        logits = scene.semantic_head(rendered.marched.label_feature, rendered.opacity)
        assert logits.shape == (64, 3)
        total = total + rendered.colour.square().mean() + rendered.marched.t.mean() + logits.square().mean()
    total.backward()
    idle = [name for name, part in scene.named_parameters() if part.numel() and part.grad is None]
    assert idle == ["codes"] or (idle == [] and codes.numel() == 0)
    assert codes.numel() == 0 or (codes.grad.abs().sum(dim=1) > 0).all(), "every code learns"
    assert all(torch.isfinite(part.grad).all() for part in scene.parameters() if part.grad is not None)


@pytest.mark.parametrize("name", [name for name, preset in VARIANTS.items() if preset.conditioning != "none"])
def test_conditioning_on_a_batch_equals_one_by_one(name: str):
    scene = new_scene(VARIANTS[name])
    rays, _ = ball(size=8)
    codes = codes_of(scene)
    together = [view.render(rays).colour for view in scene.condition(codes)]
    for code, colour in zip(codes, together, strict=True):
        torch.testing.assert_close(scene.condition(code[None])[0].render(rays).colour, colour, rtol=1e-3, atol=1e-4)
    assert (together[0] - together[1]).abs().max() > 1e-3, "other codes, other scenes"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns_the_ball(name: str):
    scene = new_scene(VARIANTS[name])
    optimiser = torch.optim.Adam(groups(scene, scene.preset))
    views = [ball(position, size=12) for position in ((2.0, -1.5, 1.0), (-2.0, 1.0, 1.0), (0.5, 2.0, -1.5))]
    generator = torch.Generator().manual_seed(2)
    pictures = [over_white(view) for _, view in views]
    one_colour = loss.picture_loss(torch.cat(pictures).mean(0).expand(3 * 144, 3), torch.cat(pictures)).item()
    history: list[float] = []
    while len(history) < 300 and not (len(history) >= 6 and sum(history[-6:]) / 6 < 0.75 * one_colour):
        which = len(history) % 3
        rays, codes = views[which][0], scene.codes[:1]
        rendered = scene.condition(codes)[0].render(rays, generator)
        total = loss.picture_loss(rendered.colour, pictures[which]) + loss.code_prior(codes)
        total = total + loss.depth_penalty(rendered.marched.t * rays.z_per_t)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(total.item())
    assert len(history) < 300, history


def test_half_precision_trains_and_float32_renders():
    preset = replace(SMALL, bf16=True)
    scene = new_scene(preset)
    rays, view = ball()
    halved = scene.scene(0).phi.halved()
    points = torch.rand(50, 3)
    exact, rough = scene.scene(0).phi(points), halved(points)
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.05 * exact.abs().max()
    assert torch.equal(
        scene.scene(0).render(rays).marched.feature, new_scene(SMALL).scene(0).render(rays).marched.feature
    )
    rendered = scene.scene(0).render(rays, torch.Generator().manual_seed(0))
    assert rendered.colour.dtype == rendered.marched.t.dtype == torch.float32
    loss.picture_loss(rendered.colour, over_white(view)).backward()
    assert all(part.grad.dtype == torch.float32 for part in scene.parameters() if part.numel())


def test_units_scale_the_world_the_marcher_sees():
    rays, _ = ball()
    scene, larger = new_scene(SMALL), new_scene(SMALL.scaled(1.25))
    assert larger.preset.units == pytest.approx(2.0)
    far = scene.scene(0).render(replace(rays, origins=2 * rays.origins))
    near = larger.scene(0).render(rays)
    torch.testing.assert_close(near.colour, far.colour)
    torch.testing.assert_close(near.marched.t, far.marched.t / 2)


def test_the_start_is_spread_in_training_only():
    torch.manual_seed(0)
    marcher = LstmMarcher(3, 4, 0, 0.05, 0.01)
    rays, _ = ball()
    depth = marcher(lambda points: points, rays).t * rays.z_per_t
    torch.testing.assert_close(depth, torch.full_like(depth, 0.05))
    drawn = marcher(lambda points: points, rays, torch.Generator().manual_seed(0)).t * rays.z_per_t
    assert drawn.std().item() == pytest.approx(0.01, rel=0.2) and drawn.mean().item() == pytest.approx(0.05, abs=3e-3)


def test_gradients_of_the_hidden_state_are_limited():
    torch.manual_seed(0)
    marcher = LstmMarcher(3, 4, 1, 0.05, 0.0)
    rays, _ = ball()
    one = rays[:1]
    (1e6 * marcher(lambda points: points, one).t.sum()).backward()
    steep = marcher.cell.bias_hh.grad.clone()
    marcher.zero_grad()
    (1e9 * marcher(lambda points: points, one).t.sum()).backward()
    torch.testing.assert_close(steep, marcher.cell.bias_hh.grad)


def test_normals_of_a_known_surface():
    """A marcher that is told where the ball is: its normals point away from the ball's middle, to the camera."""
    rays, truth = ball(size=24)
    scene = new_scene(SMALL)

    class Ball(torch.nn.Module):
        def forward(self, phi, rays, generator=None):
            b = (rays.directions * rays.origins).sum(1)
            t = -b - (b**2 - rays.origins.square().sum(1) + 0.64).clamp(min=0).sqrt()
            return marched_at(t)

    def marched_at(t):
        return replace(rendered.marched, t=t)

    rendered = scene.scene(0).render(rays)
    scene.marcher = Ball()
    marched = scene.marcher(None, rays)
    normals = scene.scene(0).normals(rays, marched).detach().numpy()
    inside = truth["depth"].reshape(-1) > 0
    across = (normals * truth["normal"].reshape(-1, 3)).sum(1)[inside]
    assert np.quantile(across, 0.2) > 0.98 and across.mean() > 0.95  # the rim's nudged rays miss
    behind = scene.scene(0).normals(rays, marched_at(torch.full((len(rays),), -1.0)))
    assert behind.eq(0).all()


def test_losses():
    colour, captured = torch.tensor([[0.0, 0.5, 1.0]]), torch.tensor([[0.5, 0.5, 0.5]])
    assert loss.picture_loss(colour, captured).item() == pytest.approx(200 * 2 / 3)
    assert loss.depth_penalty(torch.tensor([-2.0, 3.0])).item() == pytest.approx(20.0)
    assert loss.code_prior(torch.tensor([[1.0, 2.0]])).item() == pytest.approx(2.5)
    assert loss.code_prior(torch.zeros(1, 0)).item() == 0
    logits = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    assert loss.label_loss(logits, torch.tensor([1, -1])).item() == pytest.approx(np.log(2))
    assert loss.label_loss(logits, torch.tensor([-1, -1])).item() == 0


def test_groups_hold_every_parameter_once():
    scene = new_scene(replace(SMALL, conditioning="film", label_rate=7.0), classes=3)
    made = groups(scene, scene.preset)
    assert [group["lr"] for group in made] == [2e-3, 1e-3, 1e-2, 7.0]
    held = [id(parameter) for group in made for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in scene.parameters())
    assert [group["lr"] for group in groups(new_scene(SMALL), SMALL)] == [2e-3], (
        "one scene has neither codes nor readers"
    )


def test_a_saved_scene_comes_back(tmp_path):
    scene = new_scene(VARIANTS["hypernetwork"], classes=3)
    save_file(scene.state_dict(), tmp_path / "scene.safetensors")
    back = PaperScene.restored(scene.preset, load_file(tmp_path / "scene.safetensors"), classes=3)
    rays, _ = ball(size=8)
    assert torch.equal(back.scene(2).render(rays).colour, scene.scene(2).render(rays).colour)
    with pytest.raises(RuntimeError):
        PaperScene.restored(VARIANTS["film"], scene.state_dict(), classes=3)


def test_positional_encoding():
    points = torch.tensor([[0.5, 0.0, -0.25]])
    coded = encoded(points, 2)
    assert coded.shape == (1, 15) and torch.equal(coded[:, :3], points)
    expected = [np.sin(np.pi / 4 * x * f) / f for x in (0.5, 0.0, -0.25) for f in (1, 2)]
    np.testing.assert_allclose(coded[0, 3:9].numpy(), expected, atol=1e-6)
