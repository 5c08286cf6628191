"""The scripts that everything else is run by: a check that counts wrongly would hide every other failure."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import _environments
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """scripts/test as a module."""
    loader = SourceFileLoader("scripts_test", str(SCRIPTS / "test"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    yield module
    del sys.modules[loader.name]


def outcome_of(script: ModuleType, folder: Path, code: str):
    (folder / "test_sample.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    return script.Check("sample", command, counted=True).run()


def test_counts_are_pytests(script: ModuleType, tmp_path: Path) -> None:
    code = (
        "import pytest\ndef test_a(): pass\ndef test_b(): pass\ndef test_c(): assert False, 'because'\n"
        "def test_d(): pytest.skip()\n@pytest.fixture\ndef broken(): raise OSError\ndef test_e(broken): pass\n"
    )
    outcome = outcome_of(script, tmp_path, code)
    assert str(outcome) == "2 passed, 2 failed, 1 skipped"
    assert "because" in outcome.output


@pytest.mark.parametrize(
    "code",
    [
        "import os\ndef test_a(): os.abort()\n",  # before the report is written
        "import atexit, os\natexit.register(os._exit, 3)\ndef test_a(): pass\n",  # after it
        "import missing_module\n",
    ],
)
def test_a_crash_is_a_failure(script: ModuleType, tmp_path: Path, code: str) -> None:
    assert outcome_of(script, tmp_path, code).failed == 1


def test_no_tests_are_no_success(script: ModuleType, tmp_path: Path) -> None:
    outcome = outcome_of(script, tmp_path, "")
    assert (outcome.passed, outcome.failed) == (0, 0)
    command = [sys.executable, str(SCRIPTS / "test"), "--only", "engine", "-k", "no_test_has_this_name"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0 passed, 0 failed"
    assert done.returncode == 1


def test_environment_is_made_once_and_again_when_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_environments, "VENV", tmp_path)
    sample = _environments.Environment("sample", sys.version_info[:2], ("pip",), "a sample")  # pip is there already
    python = _environments.ensure(sample)
    assert subprocess.run([python, "-c", "import pip"], check=False).returncode == 0
    assert "/sample (a sample or so, once)" in capsys.readouterr().out

    left_over = sample.folder / "left-over"
    left_over.touch()
    _environments.ensure(sample)
    assert capsys.readouterr().out == "" and left_over.exists()

    (sample.folder / _environments.STAMP).unlink()  # as an interrupted run leaves it
    _environments.ensure(sample)
    assert not left_over.exists()


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(_environments.NoInterpreterError, match=r"^Python 3\.99 was not found; install it"):
        _environments.find_python((3, 99))
    monkeypatch.setattr(_environments, "VENV", tmp_path)
    wrong = _environments.Environment("wrong", sys.version_info[:2], (str(tmp_path / "nothing.whl"),), "nothing")
    with pytest.raises(_environments.SetupError, match="Could not install"):
        _environments.ensure(wrong)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "missing.obj"], "missing.obj does not exist."),
        (["--model", str(SCRIPTS / "demo")], "is none of .obj, .glb, .blend: export it as one of them."),
        (["--out", str(SCRIPTS)], "holds files that no demo made: name an empty folder with --out."),
    ],
)
def test_demo_refuses_in_a_sentence(arguments: list[str], sentence: str) -> None:
    before = sorted(SCRIPTS.rglob("*"))
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "demo"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith(sentence) and done.stderr.count("\n") == 1
    assert sorted(SCRIPTS.rglob("*")) == before
