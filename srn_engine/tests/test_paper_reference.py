"""The 2019 system against numbers recorded from the authors' code, and their checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from srn_engine.cameras import rays_of
from srn_engine.errors import UserError
from srn_engine.model.paper import loss
from srn_engine.model.paper.old_checkpoint import load_old, their_name
from srn_engine.model.paper.preset import PaperPreset
from srn_engine.model.paper.scene import PaperScene
from srn_engine.tests.test_paper import ball

RECORDED = Path(__file__).parents[3] / "shared" / "reference"
KINDS = {"single": 1, "hyper": 3}


@pytest.fixture(params=KINDS)
def recorded(request: pytest.FixtureRequest) -> tuple[PaperScene, dict[str, Any]]:
    """A scene with the recorded weights, and everything recorded."""
    path = RECORDED / f"srn_reference_{request.param}.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with np.load(path, allow_pickle=False) as file:
        return load_old(path), {name: file[name] for name in file.files}


def rendered(scene: PaperScene, record: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Colours (2, 256, 3), depths along z (2, 256), and the codes of both views."""
    codes = scene.codes[record["instance_idx"].tolist()]
    colours, depths = [], []
    for number, view in enumerate(scene.condition(codes)):
        pose, lens, uv = (torch.from_numpy(record[name][number]) for name in ("pose", "intrinsics", "uv"))
        on_plane = torch.cat([(uv - lens[:2, 2]) / lens.diagonal()[:2], torch.ones(len(uv), 1)], dim=1)
        rays = rays_of(pose[:3, 3].expand(len(uv), 3), on_plane @ pose[:3, :3].T)
        found = view.render(rays)
        colours.append(found.colour)
        depths.append(found.marched.t * rays.z_per_t)
    return torch.stack(colours), torch.stack(depths), codes


def test_outputs_losses_and_gradients_are_the_recorded_ones(recorded):
    scene, record = recorded
    colour, depth, codes = rendered(scene, record)
    for ours, theirs in ((2 * colour - 1, record["rgb"]), (depth, record["depth"][..., 0])):
        assert np.abs(ours.detach().numpy() - theirs).max() < 1e-4 * np.abs(theirs).max()
    parts = {
        "image": loss.picture_loss(colour, torch.from_numpy(record["target_rgb"]) / 2 + 0.5),
        "depth": loss.depth_penalty(depth),
        "latent": loss.code_prior(codes),
    }
    total = sum(parts.values())
    for name, value in (parts | {"total": total}).items():
        assert value.item() == pytest.approx(float(record[f"loss_{name}"]), rel=1e-4), name
    total.backward()
    parameters = {their_name(name, scene.preset): value for name, value in scene.named_parameters()}
    norms = {name.partition("/")[2]: float(norm) for name, norm in record.items() if name.startswith("grad_norm/")}
    assert len(norms) > 40
    for name, norm in norms.items():
        assert parameters[name].grad.norm().item() == pytest.approx(norm, rel=1e-3), name


def test_recorded_checkpoints_keep_their_sizes_and_pixel_centre(recorded):
    scene, record = recorded
    assert scene.pixel_centre == 0.0 and PaperScene(replace(PaperPreset(), hidden=8), 1, 1).pixel_centre == 0.5
    assert len(scene.codes) == len(record.get("weights/latent_codes.weight", "1"))
    assert (scene.preset.hidden, scene.preset.phi_layers, scene.preset.pixel_layers) == (256, 4, 5)


def old_state(conditioning: str = "none") -> tuple[PaperScene, dict[str, Tensor]]:
    """A small scene, and its tensors as the authors' code would save them."""
    preset = PaperPreset(conditioning=conditioning, code=5, hidden=12, phi_layers=3, pixel_layers=2, state=4)
    torch.manual_seed(0)
    scene = PaperScene(preset, 1 if conditioning == "none" else 3, 1)
    return scene, {their_name(name, preset): value for name, value in scene.state_dict().items() if value.numel()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("conditioning", ["none", "hypernetwork"])
def test_their_checkpoint_files_load_and_render(tmp_path, conditioning, zipped):
    scene, state = old_state(conditioning)
    path = tmp_path / "epoch_0001_iter_000010.pth"
    optimiser = torch.optim.Adam(scene.parameters()).state_dict()
    torch.save({"model": state, "optimizer": optimiser}, path, _use_new_zipfile_serialization=zipped)
    loaded = load_old(path)
    rays, _ = ball(size=8)
    assert loaded.preset == replace(
        scene.preset, pixel_centre=0.0, code=5 if conditioning == "hypernetwork" else PaperPreset.code
    )
    assert torch.equal(loaded.scene(0).render(rays).colour, scene.scene(0).render(rays).colour)
    assert not loaded.training


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        load_old(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


class Harmful:
    """What a checkpoint must not be able to do."""

    def __reduce__(self):
        return (Path.touch, (Path("harmful"),))


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, state = old_state()
    torch.save({"model": state, "extra": Harmful()}, tmp_path / "a.pth")
    assert "state_dict()" in refusal(tmp_path / "a.pth")
    np.savez(tmp_path / "a.npz", **{"weights/codes": np.array([Harmful()], dtype=object)})
    assert "state_dict()" in refusal(tmp_path / "a.npz")
    assert not (tmp_path / "harmful").exists()


def test_what_is_no_checkpoint_is_refused(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "missing.pth")
    (tmp_path / "noise.pth").write_bytes(b"no checkpoint at all")
    assert "broken" in refusal(tmp_path / "noise.pth")
    _, state = old_state()
    torch.save(state, tmp_path / "whole.pth")
    (tmp_path / "half.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:5000])
    assert "half.pth" in refusal(tmp_path / "half.pth")
    torch.save([1, 2, 3], tmp_path / "list.pth")
    assert "no list of named tensors" in refusal(tmp_path / "list.pth")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda state: state.pop("phi.net.1.net.0.bias"), "there is no phi.net.1.net.0.bias"),
        (lambda state: state.pop("ray_marcher.lstm.weight_hh"), "no ray marcher with an LSTM"),
        (
            lambda state: state.update({"pixel_generator.net.0.model.3.weight": torch.zeros(2)}),
            "there is pixel_generator.net.0.model.3.weight",
        ),
        (
            lambda state: state.update({"phi.net.1.net.0.weight": torch.zeros(12, 13)}),
            "size of phi.net.1.net.0.weight",
        ),
        (lambda state: state.update({"ray_marcher.lstm.weight_hh": torch.zeros(3)}), "no ray marcher with an LSTM"),
        (lambda state: state.clear(), "no ray marcher with an LSTM"),
    ],
)
def test_other_models_are_refused(tmp_path, change, complaint):
    _, state = old_state()
    change(state)
    torch.save({"model": state}, tmp_path / "other.pth")
    assert complaint in refusal(tmp_path / "other.pth")
