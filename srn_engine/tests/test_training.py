"""Training, from a dataset to a run and to novel views: the numbers it reaches, and what can go wrong."""

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.limits import PASSES
from srn_engine.model.fast import march
from srn_engine.model.presets import Choice, FastPreset
from srn_engine.progress import Cancelled, Progress, silent
from srn_engine.tests.scenes import ball_view, write_ball
from srn_engine.train import options
from srn_engine.train.evaluate import evaluate
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run
from srn_engine.train.trainer import train

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
TINY = FastPreset(stages=((0.0, 24), (0.3, 48)), prune_every=20, rays=1024)


@pytest.fixture(scope="module", autouse=True)
def tiny_preset():
    """The preset `fast`, but of a size that trains in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "PRESETS", {"fast": Choice(TINY, TINY)})
        yield


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=30)


@pytest.fixture(scope="module")
def trained(ball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "ball"
    result = train(ball, run, TrainOptions(steps=400), CPU, silent)
    assert result["steps"] == 400 and result["psnr"] > 25
    return run


def test_novel_views_are_close_to_the_truth(ball: Path, trained: Path, tmp_path: Path):
    result = evaluate(trained, ball, "test", tmp_path, CPU, silent)
    mean = result["metrics"]["mean"]
    assert mean["psnr"] > 31
    assert mean["ssim"] > 0.96
    assert mean["depth_abs_rel"] < 0.07
    assert mean["miou"] > 0.85
    assert len(result["metrics"]["views"]) == 3
    assert (tmp_path / "report.html").is_file() and (tmp_path / "compare.png").is_file()


def test_every_pass_of_a_render_means_what_the_protocol_says(ball: Path, trained: Path):
    camera = open_dataset(ball).views("test", "ball").cameras[0]
    truth = ball_view(camera)
    seen = Run.load(trained, CPU).render("ball", camera, PASSES)
    assert {name: (array.shape, array.dtype.name) for name, array in seen.items()} == {
        "colour": ((32, 32, 4), "float32"),
        "depth": ((32, 32), "float32"),
        "normal": ((32, 32, 3), "float32"),
        "semantic": ((32, 32), "uint8"),
    }
    inside = (truth["rgba"][..., 3] == 255) & (seen["depth"] > 0)
    assert inside.sum() > 200
    facing = (truth["normal"] * seen["normal"]).sum(-1)[inside]
    assert np.median(facing) > 0.95, "normals point out of the ball"
    np.testing.assert_allclose(np.linalg.norm(seen["normal"][inside], axis=-1), 1, atol=1e-3)
    cell = 2 / (TINY.stages[-1][1] - 1)
    assert abs(np.median((seen["depth"] - truth["depth"])[inside])) < 2 * cell
    corner = np.s_[:3, :3]
    assert seen["colour"][corner][..., 3].max() < 0.01
    assert seen["depth"][corner].max() == 0 and seen["semantic"][corner].max() == 0


def test_run_json_follows_its_schema(trained: Path):
    schema = json.loads((ROOT / "docs" / "run.schema.json").read_text(encoding="utf-8"))
    described = json.loads((trained / "run.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(described)
    assert described["instances"] == [{"id": "ball", "source": "arithmetic", "centre": [0.0, 0.0, 0.0], "scale": 1.0}]
    assert [one["name"] for one in described["classes"]] == ["background", "red half", "blue half"]


def test_equal_seeds_train_equal_scenes(ball: Path, tmp_path: Path):
    states = []
    for name in ("a", "b"):
        train(ball, tmp_path / name, TrainOptions(steps=60), CPU, silent)
        states.append(Run.load(tmp_path / name, CPU).scene.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_a_resumed_training_ends_as_one_that_never_stopped(ball: Path, tmp_path: Path):
    """Through a refinement and a pruning after the interruption, and with the interrupted run read from its files."""

    def stop_at_30(progress: Progress) -> None:
        if progress.metrics.get("step", 0) >= 30:
            raise Cancelled

    options_ = TrainOptions(steps=90)
    train(ball, tmp_path / "whole", options_, CPU, silent)
    with pytest.raises(Cancelled):
        train(ball, tmp_path / "cut", options_, CPU, stop_at_30)
    assert Run.load(tmp_path / "cut", CPU).trained.steps < 90
    assert train(ball, tmp_path / "cut", TrainOptions(), CPU, silent, resume=True)["steps"] == 90
    whole, cut = (Run.load(tmp_path / name, CPU).scene.state_dict() for name in ("whole", "cut"))
    for name, value in whole.items():
        assert torch.equal(value, cut[name]), name
    assert [path.name for path in (tmp_path / "cut").glob("training-*")] == ["training-90.safetensors"]


def test_the_way_of_other_devices_trains_as_well(ball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The marcher that CUDA and MPS use, here on the processor: as good as the compiled one after as many steps."""
    compiled = train(ball, tmp_path / "compiled", TrainOptions(steps=40), CPU, silent)
    monkeypatch.setattr(march._MarchOnProcessor, "apply", march.march_torch)
    plain = train(ball, tmp_path / "plain", TrainOptions(steps=40), CPU, silent)
    assert plain["psnr"] > 24
    assert plain["psnr"] == pytest.approx(compiled["psnr"], abs=0.3)


def test_a_cancelled_training_keeps_what_it_learned(ball: Path, tmp_path: Path):
    def stop_soon(progress: Progress) -> None:
        if progress.metrics.get("step", 0) >= 1:
            raise Cancelled

    with pytest.raises(Cancelled) as stopped:
        train(ball, tmp_path / "run", TrainOptions(seconds=600), CPU, stop_soon)
    assert stopped.value.result["steps"] >= 1
    Run.load(tmp_path / "run", CPU)


def test_the_budget_in_seconds_is_kept(ball: Path, tmp_path: Path):
    result = train(ball, tmp_path / "run", TrainOptions(seconds=2), CPU, silent)
    assert 2 <= result["seconds"] < 4


def test_a_dataset_without_labels_trains(ball: Path, tmp_path: Path):
    root = Path(shutil.copytree(ball, tmp_path / "bare"))
    text = (root / "dataset.json").read_text(encoding="utf-8")
    (root / "dataset.json").write_text(text.replace(', "semantic"]', "]"), encoding="utf-8")
    train(root, tmp_path / "run", TrainOptions(steps=20), CPU, silent)
    result = evaluate(tmp_path / "run", root, "test", None, CPU, silent)
    assert result["metrics"]["mean"]["miou"] is None


def keep_views(root: Path, split: str, count: int) -> None:
    for path in (root / f"ball_{split}").rglob("0*.*"):
        if int(path.stem) >= count:
            path.unlink()


def empty_pictures(root: Path) -> None:
    from PIL import Image

    for path in (root / "ball_train").rglob("rgba/*.png"):
        Image.new("RGBA", (32, 32)).save(path)


def foreign_poses(root: Path) -> None:
    """Every other picture is seen from where nothing was: the silhouettes have nothing in common."""
    from PIL import Image

    for path in (root / "ball_train").rglob("rgba/*.png"):
        image = Image.new("RGBA", (32, 32))
        left = int(path.stem) % 2 * 28
        image.paste((255, 0, 0, 255), (left, left, left + 4, left + 4))
        image.save(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: keep_views(root, "train", 1), "1 train views"),
        (empty_pictures, "is empty"),
        (lambda root: (root / "ball_val/ball/rgba/000000.png").write_bytes(b""), "no readable picture"),
        (foreign_poses, "silhouette"),
    ],
)
def test_bad_data_gets_a_sentence_and_leaves_no_run(ball: Path, tmp_path: Path, spoil, words: str):
    root = Path(shutil.copytree(ball, tmp_path / "bad"))
    spoil(root)
    with pytest.raises(UserError, match=words):
        train(root, tmp_path / "run", TrainOptions(steps=5), CPU, silent)
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_gets_a_sentence(ball: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        train(ball, tmp_path / "file" / "run", TrainOptions(steps=5), CPU, silent)


def test_a_disk_that_takes_no_more_keeps_the_earlier_checkpoint(trained: Path, tmp_path: Path):
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    run = Run.load(folder, CPU)
    before = (folder / "checkpoint.safetensors").read_bytes()
    resource = pytest.importorskip("resource", reason="Windows knows no limit on the size of files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(UserError, match="free some space"):
            run.save(run.scene)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (folder / "checkpoint.safetensors").read_bytes() == before
    assert not (folder / "checkpoint.part").exists()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (TrainOptions(preset="best"), "no preset"),
        (TrainOptions(steps=0), "more than zero"),
        (TrainOptions(seconds=float("nan")), "more than zero"),
    ],
)
def test_impossible_options_get_a_sentence(ball: Path, tmp_path: Path, wanted: TrainOptions, words: str):
    with pytest.raises(UserError, match=words):
        train(ball, tmp_path / "run", wanted, CPU, silent)


def test_training_again_puts_the_earlier_run_aside(trained: Path, ball: Path, tmp_path: Path):
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    before = (folder / "checkpoint.safetensors").read_bytes()
    train(ball, folder, TrainOptions(steps=3), CPU, silent)
    assert (folder / "checkpoint.safetensors").read_bytes() != before
    assert (folder / "previous" / "checkpoint.safetensors").read_bytes() == before
    Run.load(folder / "previous", CPU)
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_loaded_run_does_not_hold_its_file(trained: Path):
    """Windows would refuse to replace a file that is mapped."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc to look into")
    run = Run.load(trained, CPU)
    assert str(run.folder / "checkpoint.safetensors") not in maps.read_text()


def lead_nowhere(run: Path) -> None:
    state = load_file(run / "checkpoint.safetensors")
    state["phi.links"][state["phi.links"] >= 0] += 10**6
    save_file(state, run / "checkpoint.safetensors", {"steps": "400", "seconds": "1.0"})


def truncate(run: Path) -> None:
    path = run / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def pickle_instead(run: Path) -> None:
    torch.save({"phi.cells": torch.zeros(2)}, run / "checkpoint.safetensors")


def of_version_1(run: Path) -> None:
    text = (run / "run.json").read_text(encoding="utf-8")
    (run / "run.json").write_text(text.replace('"version": 2', '"version": 1'), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, "cannot be read"),
        (pickle_instead, "cannot be read"),
        (lead_nowhere, "lead nowhere"),
        (lambda run: (run / "checkpoint.safetensors").unlink(), "no checkpoint"),
        (lambda run: (run / "run.json").write_text("[]"), "cannot be read"),
        (of_version_1, "of version 1 and this engine reads 2; train it again"),
        (lambda run: (run / "run.json").unlink(), "holds no run"),
    ],
)
def test_a_broken_run_gets_a_sentence(trained: Path, tmp_path: Path, spoil, words: str):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    spoil(run)
    with pytest.raises(UserError, match=words):
        Run.load(run, CPU)
