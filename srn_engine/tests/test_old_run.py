"""Checkpoints of the authors' code as runs: rendered where they were trained, measured, fitted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.cli import main
from srn_engine.data.readers import open_dataset
from srn_engine.model.paper.old_checkpoint import load_old
from srn_engine.tests import foreign
from srn_engine.tests.scenes import write_ball
from srn_engine.tests.test_paper_reference import RECORDED, old_state
from srn_engine.train.run import Run

CPU = torch.device("cpu")
SIZE = Intrinsics(20.0, 20.0, 8.0, 8.0, 16, 16)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Three instances, as the authors' code saves them."""
    _, state = old_state("hypernetwork")
    torch.save({"model": state, "optimizer": {}}, tmp_path / "model_current.pth")
    return tmp_path / "model_current.pth"


def as_authors_render(checkpoint: Path, instance: int, pose: np.ndarray) -> np.ndarray:
    """(H, W, 3) in the units of the checkpoint, rays through the pixels' corners."""
    scene = load_old(checkpoint)
    with torch.no_grad():
        colour = scene.scene(instance).render(Camera(pose, SIZE).shifted(0.5).rays(CPU)).colour
    return colour.reshape(SIZE.height, SIZE.width, 3).clamp(0, 1).numpy()


def test_without_a_dataset_instances_are_numbered_and_lie_where_they_were(checkpoint: Path, tmp_path: Path):
    assert main(["convert", str(checkpoint), str(tmp_path / "run"), "--device", "cpu"]) == 0
    run = Run.load(tmp_path / "run", CPU)
    assert [instance.id for instance in run.info.instances] == ["000", "001", "002"]
    assert run.scene.pixel_centre == 0.0
    pose = foreign.look_at_middle(np.array([1.0, -2.0, 1.0]))
    seen = run.render("001", Camera(pose, SIZE), ("colour",))["colour"][..., :3]
    assert seen.std() > 1e-4
    np.testing.assert_allclose(seen, as_authors_render(checkpoint, 1, pose), atol=1e-5)


def test_with_its_dataset_it_is_seen_from_that_datasets_cameras(checkpoint: Path, tmp_path: Path):
    """The dataset's files have units of their own, which the authors' code took as they are."""
    root = foreign.write_instances(tmp_path, {f"balls_{split}": ("a", "b", "c") for split in ("train", "test")})
    run_folder = str(tmp_path / "run")
    assert main(["convert", str(checkpoint), run_folder, "--like", str(root), "--device", "cpu"]) == 0
    run, data = Run.load(tmp_path / "run", CPU), open_dataset(root)
    assert [instance.id for instance in run.info.instances] == ["a", "b", "c"]
    assert data.instances[1].scale > 1.5
    assert np.linalg.norm(data.instances[1].centre) > 1
    camera = data.views("test", "b").cameras[0]
    pose = camera.pose.copy()
    pose[:3, 3] = pose[:3, 3] * data.instances[1].scale + data.instances[1].centre
    seen = run.render("b", Camera(camera.pose, SIZE), ("colour", "depth"))
    np.testing.assert_allclose(seen["colour"][..., :3], as_authors_render(checkpoint, 1, pose), atol=1e-4)


def test_evaluate_render_and_fit_take_it(checkpoint: Path, tmp_path: Path):
    data = write_ball(tmp_path / "data", train=2, test=1, size=12, balls={"x": 0.5, "y": 0.6, "z": 0.7})
    new = write_ball(tmp_path / "new", train=2, test=1, size=12, balls={"new": 0.6})
    run, fitted = str(tmp_path / "run"), str(tmp_path / "fitted")
    on = ["--device", "cpu"]
    assert main(["convert", str(checkpoint), run, "--like", str(data), *on]) == 0
    assert main(["evaluate", run, str(data), *on]) == 0
    out = tmp_path / "views"
    assert main(["render", run, "--instance", "y", "--orbit", "1", "--size", "8", "--out", str(out), *on]) == 0
    assert (out / "colour" / "000000.png").is_file()
    assert main(["fit", run, str(new), "--steps", "2", "--out", fitted, *on]) == 0
    assert main(["label", fitted, str(new), "--images", "1", *on]) == 0
    opened = Run.load(tmp_path / "fitted", CPU)
    assert [instance.id for instance in opened.info.instances] == ["new"]
    assert opened.scene.pixel_centre == 0.0


def test_what_does_not_belong_together_gets_a_sentence(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = write_ball(tmp_path / "data", train=2, test=0, size=12, balls={"x": 0.5, "y": 0.6})
    run = str(tmp_path / "run")
    assert main(["convert", str(checkpoint), run, "--like", str(data), "--device", "cpu"]) == 1
    assert "holds 3 instances" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "none.pth"), run, "--device", "cpu"]) == 1
    assert "give the authors' checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    for arguments in ([str(checkpoint), run, "--to", "srn"], [str(data), run]):
        with pytest.raises(SystemExit) as ended:
            main(["convert", *arguments, "--device", "cpu"])
        assert ended.value.code == 2


def test_a_converted_run_cannot_be_resumed(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = write_ball(tmp_path / "data", train=2, test=0, size=12, balls={"x": 0.5, "y": 0.6, "z": 0.7})
    run = str(tmp_path / "run")
    assert main(["convert", str(checkpoint), run, "--like", str(data), "--device", "cpu"]) == 0
    assert main(["train", str(data), "--out", run, "--resume", "--steps", "3", "--device", "cpu"]) == 1
    assert "no training that could go on" in capsys.readouterr().err


def test_the_recorded_weights_render_as_recorded(tmp_path: Path):
    """The reference's own pictures, through the files of a run."""
    path = RECORDED / "srn_reference_single.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    assert main(["convert", str(path), str(tmp_path / "run"), "--device", "cpu"]) == 0
    run = Run.load(tmp_path / "run", CPU)
    with np.load(path, allow_pickle=False) as record:
        lens = record["intrinsics"][0]
        size = Intrinsics(lens[0, 0], lens[1, 1], lens[0, 2], lens[1, 2], 16, 16)
        for pose, rgb, uv in zip(record["pose"], record["rgb"], record["uv"], strict=True):
            seen = run.render("000", Camera(pose.astype(np.float64), size), ("colour",))["colour"]
            column, row = uv.astype(int).T
            wanted = (rgb / 2 + 0.5).clip(0, 1)
            np.testing.assert_allclose(seen[row, column, :3], wanted, atol=1e-4)
