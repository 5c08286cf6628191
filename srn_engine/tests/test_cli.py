"""The command `srn-engine`: what it prints, its exit status, and that Ctrl-C loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from srn_engine import __version__
from srn_engine.cli import COMMANDS, _parser, main
from srn_engine.tests.scenes import write_ball
from srn_engine.train.run import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ball(tmp_path_factory.mktemp("data") / "ball", train=4, test=1, size=16)


def test_train_and_evaluate_print_json(ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = str(tmp_path / "run")
    assert main(["train", str(ball), "--out", run, "--steps", "2", "--device", "cpu", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["steps"] == 2
    assert main(["evaluate", run, str(ball), "--device", "cpu", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert set(measured["metrics"]["mean"]) == {"psnr", "ssim", "depth_abs_rel", "miou", "lpips"}
    assert len(measured["metrics"]["views"]) == 1


def test_check_says_what_works(capsys: pytest.CaptureFixture[str]):
    assert main(["check", "--device", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert Path(found["interpreter"]).samefile(sys.executable)
    assert (found["torch"], found["device"], found["engine"]) == (torch.__version__, "cpu", __version__)
    assert found["gflops"] > 0.1


def test_check_names_a_part_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "srn_engine.results.mesh", None)  # as if a package of its own were missing
    assert main(["check", "--device", "cpu"]) == 1
    assert "srn_engine.results.mesh" in (said := capsys.readouterr().err) and "install it again" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nowhere", "--out", "run"], "does not exist"),
        (["evaluate", "nowhere", "nowhere"], "holds no run"),
        (["train", "nowhere", "--out", "run", "--device", "abacus"], "no device"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and "Traceback" not in error


def test_an_unwritable_report_is_one_line(ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = str(tmp_path / "run")
    (tmp_path / "file").touch()
    assert main(["train", str(ball), "--out", run, "--steps", "1", "--device", "cpu"]) == 0
    assert main(["evaluate", run, str(ball), "--device", "cpu", "--report", str(tmp_path / "file" / "x")]) == 1
    assert "choose another folder" in capsys.readouterr().err


def test_bad_usage_is_exit_status_2():
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2


def documented() -> list[str]:
    """Every command that stands by itself on a line of the documentation."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    return [line.strip() for line in lines if line.startswith("    srn-engine ")]


@pytest.mark.parametrize("line", documented())
def test_documented_commands_are_understood(line: str):
    assert _parser().parse_args(line.split()[1:]).run is not None


def test_every_command_is_documented():
    named = {line.split()[1] for line in documented()}
    assert named == {module.__name__.rpartition(".")[2] for module in COMMANDS}


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles only")
def test_ctrl_c_keeps_what_was_learned(ball: Path, tmp_path: Path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "srn_engine", "train", str(ball), "--out", str(run), "--device", "cpu"]
    process = subprocess.Popen([*command, "--seconds", "600"], stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if (run / "metrics.part").exists():  # the training is about to start
            break
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "stopped" in error and "Traceback" not in error
    Run.load(run, torch.device("cpu"))


def test_a_presets_numbers_can_be_changed(ball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    wanted = ["--set", "hidden=16", "--set", "activation=siren", "--set", "start=0.1"]
    assert main(["train", str(ball), "--out", str(run), "--preset", "paper", "--steps", "1", *wanted]) == 0
    preset = json.loads((run / "run.json").read_text(encoding="utf-8"))["preset"]
    assert (preset["hidden"], preset["activation"], preset["start"]) == (16, "siren", 0.1)
    for change, words in (
        ("hiden=3", "no 'hiden'"),
        ("hidden=wide", "must be like 256"),
        ("activation=tanh", "one of relu"),
    ):
        capsys.readouterr()
        command = ["train", str(ball), "--out", str(tmp_path / "no"), "--preset", "paper", "--set", change]
        assert main(command) == 1
        assert words in capsys.readouterr().err
