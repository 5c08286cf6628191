"""Many instances under latent codes: trained, resumed, fitted, mixed; for both presets."""

import shutil
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.model.fast.codes import Layout
from srn_engine.model.interfaces import Rays
from srn_engine.model.presets import PRESETS, FastManyPreset
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.tests import foreign
from srn_engine.train import options, trainer
from srn_engine.train.evaluate import evaluate
from srn_engine.train.fit import FitOptions, fit
from srn_engine.train.learners import begun
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run
from srn_engine.train.trainer import _Validation, train

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("tiny_presets")


def test_layouts_are_made_anew_where_the_scene_has_moved(trained_balls: Path):
    scene = Run.load(trained_balls, CPU).scene
    scene.layout(0)
    assert scene._layouts and not scene.to("cpu")._layouts


def test_a_training_is_watched_with_instances_that_it_learns(tmp_path: Path):
    folders = {"cars_train": "ab", "cars_train_val": "ab", "cars_val": "cd"}
    views = _Validation.read(open_dataset(foreign.write_instances(tmp_path, folders)), silent).views
    assert {instance for instance, _, _ in views} == {"a", "b"}


def test_what_is_learned_is_told_in_turn(balls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    told: list[str] = []
    train(balls, tmp_path / "run", TrainOptions(steps=10), CPU, lambda progress: told.append(progress.message))
    steps = [message.partition("; ")[2] for message in told if message.startswith("Step")]
    assert set(steps) == {"learning its instances", "learning to guess new instances"} and sorted(steps) == steps


@pytest.mark.parametrize(("seconds", "share"), [(60.0, 0.5), (300.0, 0.4), (1200.0, 0.12), (None, 0.12)])
def test_the_less_time_the_more_of_it_is_for_the_known_instances(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, share: float
):
    monkeypatch.setattr(options, "PRESETS", PRESETS)
    assert cast(FastManyPreset, TrainOptions(seconds=seconds).resolve(3)).guess_after == pytest.approx(share)
    chosen = TrainOptions(seconds=seconds, changes={"guess_after": 0.3})
    assert cast(FastManyPreset, chosen.resolve(3)).guess_after == 0.3, "what was chosen comes first"


def test_guesses_leave_what_was_learned_as_it_is(balls: Path, tmp_path: Path):
    learner, _ = begun(open_dataset(balls), TrainOptions(), CPU, silent, tmp_path)
    for _ in range(3):
        learner.step(0.2)
    learned = {name: value.clone() for name, value in learner.scene.tensors().items()}
    for _ in range(3):
        learner.step(0.9)
    changed = {name.split(".")[0] for name, value in learner.scene.tensors().items() if not value.equal(learned[name])}
    learner.close()
    assert changed == {"encoder", "guess_generator"}
    began = {name: value for name, value in learned.items() if name.startswith("guess_generator")}
    assert began and all(value.equal(learned[name.removeprefix("guess_")]) for name, value in began.items())


def test_unseen_views_of_every_instance(balls: Path, trained_balls: Path):
    metrics = evaluate(trained_balls, balls, "test", None, CPU, silent)["metrics"]
    assert set(metrics["instances"]) == {"small", "medium", "large"}
    assert all(one["psnr"] > 22 for one in metrics["instances"].values()), metrics["instances"]
    assert metrics["mean"]["miou"] > 0.8


def test_a_new_instance_from_one_view(new_ball: Path, trained_balls: Path, tmp_path: Path):
    """The encoder's guess beats a white picture, and the fit beats the guess on the view that it was given."""
    psnr = {}
    for name, steps in (("guessed", 0), ("fitted", 30)):
        result = fit(trained_balls, new_ball, tmp_path / name, FitOptions(views=[1], steps=steps), CPU, silent)
        assert [one["id"] for one in result["instances"]] == ["new"] and result["seconds"] > 0
        views = evaluate(tmp_path / name, new_ball, "train", None, CPU, silent)["metrics"]["views"]
        psnr[name] = [view["psnr"] for view in views]
    assert psnr["fitted"][1] > psnr["guessed"][1]
    white = [10.9, 10.9]
    assert min(psnr["fitted"]) > min(white), psnr


def test_a_code_from_label_maps_alone(new_ball: Path, trained_balls: Path, tmp_path: Path):
    """Whatever colours the pictures have: they are painted over, and the code comes out the same."""
    painted = Path(shutil.copytree(new_ball, tmp_path / "painted"))
    for path in (painted / "ball_train").rglob("rgba/*.png"):
        alpha = np.asarray(Image.open(path))[..., 3]
        Image.fromarray(np.dstack([np.full((*alpha.shape, 3), 7, np.uint8), alpha])).save(path)
    codes = []
    for number, data in enumerate((new_ball, painted)):
        fit(trained_balls, data, tmp_path / f"fit{number}", FitOptions(views=3, steps=20, labels=True), CPU, silent)
        codes.append(Run.load(tmp_path / f"fit{number}", CPU).scene.code(0))
    assert torch.equal(*codes)
    assert evaluate(tmp_path / "fit0", new_ball, "train", None, CPU, silent)["metrics"]["mean"]["miou"] > 0.5


@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_a_resumed_training_ends_as_one_that_never_stopped(balls: Path, tmp_path: Path, preset: str):
    def stop_at_8(progress: Progress) -> None:
        if progress.metrics.get("step", 0) >= 8:
            raise Cancelled

    wanted = TrainOptions(preset, steps=24)
    train(balls, tmp_path / "whole", wanted, CPU, silent)
    with pytest.raises(Cancelled):
        train(balls, tmp_path / "cut", wanted, CPU, stop_at_8)
    assert Run.load(tmp_path / "cut", CPU).trained.steps < 24
    train(balls, tmp_path / "cut", TrainOptions(), CPU, silent, resume=True)
    whole, cut = (Run.load(tmp_path / name, CPU).scene.state_dict() for name in ("whole", "cut"))
    for name, value in whole.items():
        assert torch.equal(value, cut[name]), name


def test_the_paper_preset_fits_a_new_code_with_its_networks_frozen(balls: Path, new_ball: Path, tmp_path: Path):
    train(balls, tmp_path / "run", TrainOptions("paper", steps=60), CPU, silent)
    before = Run.load(tmp_path / "run", CPU).scene
    fit(tmp_path / "run", new_ball, tmp_path / "mean", FitOptions(views=2, steps=0), CPU, silent)
    fit(tmp_path / "run", new_ball, tmp_path / "fitted", FitOptions(views=2, steps=20), CPU, silent)
    after = Run.load(tmp_path / "fitted", CPU).scene
    for name, value in before.conditioning.state_dict().items():
        assert torch.equal(value, after.conditioning.state_dict()[name]), name
    mean, fitted = (
        evaluate(tmp_path / name, new_ball, "train", None, CPU, silent)["metrics"]["mean"]["psnr"]
        for name in ("mean", "fitted")
    )
    assert fitted > mean


def test_codes_can_be_mixed(trained_balls: Path):
    """Half of the way between two balls there is one of a size in between, empty where neither has a code."""
    run = Run.load(trained_balls, CPU)
    small, large = run.scene.code(0), run.scene.code(2)
    rays = straight_through(33)
    with torch.no_grad():
        widths = [
            float(run.scene.condition(code[None])[0].render(rays).opacity.sum())
            for code in (small, torch.lerp(small, large, 0.5), large)
        ]
        own = float(run.scene.scene(0).render(rays).opacity.sum())
    assert widths[0] == pytest.approx(own, rel=0.15)
    assert widths[0] < widths[1] * 1.05 and widths[1] < widths[2] * 1.05, widths


def straight_through(count: int) -> Rays:
    """Rays along y through a line across the middle."""
    origins = torch.zeros(count, 3)
    origins[:, 0], origins[:, 1] = torch.linspace(-1, 1, count), -3
    directions = torch.tensor([0.0, 1.0, 0.0]).expand(count, 3)
    return Rays(origins, directions, torch.ones(count))


def test_a_run_of_one_instance_has_no_codes_to_fit(new_ball: Path, tmp_path: Path):
    train(new_ball, tmp_path / "one", TrainOptions(steps=2), CPU, silent)
    with pytest.raises(UserError, match="one instance"):
        fit(tmp_path / "one", new_ball, tmp_path / "out", FitOptions(), CPU, silent)


def never(progress: Progress) -> None:
    raise AssertionError("It was begun.")


@pytest.mark.parametrize("views", [9, 10**12, [0, 0], [4], []])
def test_views_to_fit_to_must_be_there(new_ball: Path, trained_balls: Path, tmp_path: Path, views):
    with pytest.raises(UserError, match="4 views"):
        fit(trained_balls, new_ball, tmp_path / "out", FitOptions(views=views), CPU, never)
    assert not (tmp_path / "out").exists()


def test_a_layout_has_a_row_for_every_corner_of_its_cells():
    cells = torch.zeros(8, 8, 8, dtype=torch.bool)
    cells[2, 3, 4] = cells[5, 5, 0] = True
    layout = Layout.of(cells)
    assert len(layout.places) == len(layout.places.unique())
    rows = layout.links[layout.links >= 0]
    assert rows.sort().values.tolist() == list(range(8 * len(layout.places)))
    for cell in cells.nonzero():
        i, j, k = cell.tolist()
        assert (layout.links[i : i + 2, j : j + 2, k : k + 2] >= 0).all()
    here, there = layout.neighbours
    place = {int(row): tuple(at.tolist()) for at in (layout.links >= 0).nonzero() for row in [layout.links[tuple(at)]]}
    apart = [
        sum(abs(a - b) for a, b in zip(place[int(x)], place[int(y)], strict=True))
        for x, y in zip(here, there, strict=True)
    ]
    assert set(apart) == {1}
