"""Installing the engine: real environments and a real pip, with small packages in place of PyTorch and the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
import pytest

import srn_blender
from blender_tests.engine_harness import ROOT, TOKEN, engine_interpreter, job_engine
from blender_tests.package_index import (
    PackageIndex,
    package_index,
    pip_environment,
    write_engine,
    write_torch,
)
from srn_blender.engine import torch_builds
from srn_blender.engine.engine import engine
from srn_blender.engine.install import InstallPlan, install, uninstall
from srn_blender.engine.installation import ABSENT, BROKEN, COMPLETE, INTERRUPTED, OUTDATED, Installation
from srn_blender.engine.pip_output import PipOutput, reason
from srn_blender.engine.process import windows_program
from srn_blender.engine.torch_builds import CPU, CUDA_12, CUDA_13
from srn_blender.engine.trial import describe_trial, try_engine
from srn_blender.errors import UserError
from srn_blender.ui import tasks
from srn_blender.ui.engine_choice import FOLDER, HOST, INSTALLED, INTERPRETER, installation_of
from srn_blender.ui.install_operators import SRN_OT_engine_install, plan_of

OPERATORS = ("engine_install", "engine_uninstall", "engine_check", "engine_start")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    write_torch(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_engine(tmp_path_factory.mktemp("engine"), "1.0")


@pytest.fixture(scope="module")
def index(wheels: Path) -> Iterator[PackageIndex]:
    with package_index(wheels) as served:
        yield served


@pytest.fixture(autouse=True)
def only_the_tests_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tests_pip(monkeypatch)


def use_tests_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    for name, value in pip_environment().items():
        monkeypatch.setenv(name, value)


def finish(steps) -> tuple[str, list]:
    """What the steps return, and all that they said before."""
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as ended:
            return ended.value, said
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, wheel: Path, index: PackageIndex) -> Path:
    """A folder with everything installed, from the index that pip is configured with."""
    there = Installation(tmp_path_factory.mktemp("whole") / "engine")
    with pytest.MonkeyPatch.context() as patch:
        use_tests_pip(patch)
        patch.setenv("PIP_INDEX_URL", index.url)
        sentence, said = finish(install(InstallPlan(there, wheel, CPU)))
    assert "/simple/torch/" in index.asked, "PyTorch too came from where pip is configured to look"
    assert "The engine 1.0 works: PyTorch 9.0 on cpu (here), 12 GFLOP/s." in sentence
    fractions = [progress.fraction for progress in said]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] >= 0.95
    assert not there.temporary.exists()
    return there.folder


@pytest.fixture
def there(whole: Path, tmp_path: Path) -> Installation:
    """A whole installation that a test may change."""
    shutil.copytree(whole, tmp_path / FOLDER, symlinks=True)
    return Installation(tmp_path / FOLDER)


@pytest.fixture
def preferences(index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The add-on's preferences, with everything allowed; the engine would come from the tests' index."""
    monkeypatch.delenv("SRN_ENGINE_PYTHON", raising=False)
    addon = bpy.context.preferences.addons.new()
    addon.module = "srn_blender"
    srn_blender.register()
    tasks.Task.latest.clear()
    bpy.context.preferences.system.use_online_access = True
    addon.preferences.engine_folder = str(tmp_path / "mine")
    addon.preferences.package_index = index.url
    yield addon.preferences
    srn_blender.unregister()
    bpy.context.preferences.addons.remove(addon)


def test_a_whole_installation_is_known_as_one(there: Installation, wheel: Path, tmp_path: Path) -> None:
    assert there.state(wheel) == COMPLETE
    assert there.state(tmp_path / "srn_engine-1.1-py3-none-any.whl") == OUTDATED
    there.interpreter.unlink()
    assert there.state(wheel) == BROKEN
    there.stamp.write_text("{", encoding="utf-8")
    assert there.state(wheel) == INTERRUPTED
    assert Installation(tmp_path / "nowhere").state(wheel) == ABSENT


def test_an_update_exchanges_the_engine_alone(there: Installation, index: PackageIndex, tmp_path: Path) -> None:
    kept = next(there.environment.rglob("noise.txt"))
    before = kept.stat().st_mtime_ns
    plan = InstallPlan(there, write_engine(tmp_path, "1.1"), CPU, index.url)
    assert plan.download < CPU.download and "the new engine" in plan.summary
    sentence, _ = finish(install(plan))
    assert "The engine 1.1 works" in sentence
    assert kept.stat().st_mtime_ns == before
    assert there.state(plan.wheel) == COMPLETE
    assert not replace(plan, build=CUDA_13).only_updates, "another PyTorch is another installation"


def processes(folder: Path) -> list[str]:
    """What runs that has to do with a folder."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line and " Z" not in line]


@pytest.mark.skipif(os.name == "nt", reason="needs ps")
def test_a_cancelled_download_leaves_nothing_running_and_is_repaired(preferences, wheel: Path, index) -> None:
    there = installation_of(bpy.context)
    index.pause = 0.2
    task = SRN_OT_engine_install.begin(Wheel(wheel), bpy.context)
    tasks.Task.latest["install"] = task
    slowest = step_until(task, lambda: "Downloading torch 9.0" in task.message)
    assert processes(there.folder)
    assert not bpy.ops.srn.engine_install.poll() and not bpy.ops.srn.engine_uninstall.poll(), "one at a time"
    before = time.thread_time()
    bpy.ops.srn.cancel(kind="install")
    slowest = max(slowest, time.thread_time() - before)
    index.pause = 0.0
    assert task.state == tasks.CANCELLED and "install again" in task.message
    assert processes(there.folder) == []
    assert there.state(wheel) == INTERRUPTED and not there.temporary.exists()
    with pytest.raises(RuntimeError, match="press Install Engine"):
        bpy.ops.srn.engine_start()
    assert bpy.ops.srn.engine_install(wheel=str(wheel)) == {"FINISHED"}
    assert there.state(wheel) == COMPLETE
    assert bpy.ops.srn.engine_check() == {"FINISHED"}
    assert "The engine 1.0 works" in tasks.Task.latest["check"].message
    assert str(there.interpreter) in tasks.Task.latest["check"].message
    assert slowest < 0.5, "no step makes a window stand still"


class Wheel:
    """What Blender hands `begin` as the operator."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = str(wheel)


def step_until(task: tasks.Task, reached) -> float:
    """Takes steps as a window does; the longest of them, in seconds of the processor: others may be busy too."""
    longest, deadline = 0.0, time.monotonic() + 300
    while not reached():
        assert time.monotonic() < deadline and task.state == tasks.RUNNING, task.message
        before = time.thread_time()
        task.step()
        longest = max(longest, time.thread_time() - before)
        time.sleep(0.02)
    return longest


@pytest.mark.skipif(os.name == "nt", reason="needs ps")
def test_leaving_ends_an_installation(preferences, wheel: Path) -> None:
    folder = Path(preferences.engine_folder)
    task = SRN_OT_engine_install.begin(Wheel(wheel), bpy.context)
    tasks.Task.latest["install"] = task
    step_until(task, lambda: bool(processes(folder)))
    task.abandon()  # as when another file is opened: a timer goes on with it
    assert bpy.app.timers.is_registered(task._timer)
    srn_blender.unregister()
    assert task.state == tasks.CANCELLED and processes(folder) == []
    assert not bpy.app.timers.is_registered(task._timer)
    assert not hasattr(bpy.types, "SRN_AddonPreferences")
    srn_blender.register()


def test_without_leave_to_go_online_nothing_is_begun(preferences, wheel: Path) -> None:
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.srn.engine_install(wheel=str(wheel))
    assert not Path(preferences.engine_folder).exists()
    preferences.source, preferences.host, preferences.token = HOST, "elsewhere.example:8765", "token"
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.srn.engine_start()


def test_other_peoples_files_are_left_alone(there: Installation, wheel: Path, tmp_path: Path) -> None:
    own = tmp_path / "project"
    for name in ("venv", "tmp"):
        (own / name).mkdir(parents=True)
        (own / name / "precious.txt").touch()
    for steps in (install(InstallPlan(Installation(own), wheel, CPU)), uninstall(Installation(own))):
        with pytest.raises(UserError, match="choose another folder"):
            finish(steps)
    assert len(list(own.rglob("precious.txt"))) == 2 and len(list(own.rglob("*"))) == 4
    (there.folder / "notes.txt").touch()
    sentence, _ = finish(uninstall(there))
    assert "removed" in sentence
    assert [path.name for path in there.folder.iterdir()] == ["notes.txt"]


def test_removing_leaves_no_folder(preferences, there: Installation) -> None:
    assert not bpy.ops.srn.engine_uninstall.poll(), "there is nothing yet"
    preferences.engine_folder = str(there.folder.parent)
    assert bpy.ops.srn.engine_uninstall() == {"FINISHED"}
    assert not there.folder.exists()


def failure(plan: InstallPlan, left: str) -> str:
    """The sentence that it ends with; left: the state of what is there then."""
    with pytest.raises(UserError) as failed:
        finish(install(plan))
    assert plan.installation.state(plan.wheel) == left
    assert "Traceback" not in str(failed.value) and "\n" not in str(failed.value)
    return str(failed.value)


def test_a_package_that_is_missing_is_named(there: Installation, index: PackageIndex, tmp_path: Path) -> None:
    plan = InstallPlan(there, write_engine(tmp_path, "1.1", "unobtainium>=3"), CPU, index.url)
    said = failure(plan, OUTDATED)
    assert "There is no unobtainium for this computer's Python" in said
    assert "unobtainium" in there.log.read_text(encoding="utf-8")
    found, _ = finish(try_engine(there.interpreter, there.log))
    assert "The engine 1.0 works" in describe_trial(found), "an update that fails costs nobody the engine"


def test_an_index_that_cannot_be_reached_gets_a_sentence(there: Installation, tmp_path: Path) -> None:
    plan = InstallPlan(there, write_engine(tmp_path, "1.1", "unobtainium>=3"), CPU, "http://127.0.0.1:9/simple")
    assert "cannot be reached" in failure(plan, OUTDATED)


def test_an_engine_that_does_not_run_is_not_called_installed(there: Installation, index, tmp_path: Path) -> None:
    next(there.environment.rglob("torch/__init__.py")).write_text("raise OSError('[WinError 126] c10.dll')")
    plan = InstallPlan(there, write_engine(tmp_path, "1.1"), CPU, index.url)
    assert "Visual C++ Redistributable" in failure(plan, INTERRUPTED)


def test_too_small_a_disk_is_told_beforehand(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs 1000000\.\d GB and the disk .* has .* left: free some space"):
        finish(install(InstallPlan(Installation(tmp_path / "mine"), wheel, replace(CPU, installed=10**9))))
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_cannot_be_is_a_sentence(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose another folder"):
        finish(install(InstallPlan(Installation(tmp_path / ("x" * 300) / FOLDER), wheel, CPU)))


def test_windows_programs_are_not_looked_for_in_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEMROOT", "D:/Windows")
    assert Path(windows_program("taskkill")) == Path("D:/Windows/System32/taskkill.exe")


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (
            "WARNING: Connection timed out while downloading.\nERROR: Could not install packages",
            "The download broke off",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "free some space"),
        ("ERROR: HTTP error 401 while getting x\n401 Client Error: Unauthorized", "a name and a password"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "not trusted"),
        ("HINT: This error might have occurred since this system does not have Windows Long Path support", "short one"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied", "end other engines"),
        ("ERROR: something nobody has seen", "something nobody has seen; try again, or read the log"),
        ("", "it said nothing"),
    ],
)
def test_why_it_failed_is_one_sentence(line: str, advice: str) -> None:
    said = reason(line.splitlines(), "The installation failed")
    assert advice in said and "\n" not in said and said.endswith(".") and len(said) < 360


def test_pips_words_become_progress() -> None:
    pip = PipOutput()
    pip.feed("Collecting torch")
    assert pip.message == "Looking for torch"
    pip.feed("  Downloading https://example.org/whl/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (190.0 MB)".strip())
    pip.feed("Progress 95000000 of 190000000")
    assert pip.message == "Downloading torch 2.13.0+cpu (190.0 MB)" and pip.bytes == 95_000_000
    pip.feed("Using cached numpy-2.4.0-cp311-cp311-win_amd64.whl (10.5 MB)")
    assert pip.bytes == 200_500_000
    pip.feed("Installing collected packages: numpy, torch")
    assert pip.message == "Installing 2 packages" and pip.bytes == 200_500_000


@pytest.mark.parametrize(
    ("answer", "build"),
    [
        ("8.6, 580.65.06\n", CUDA_13),
        ("6.1, 580.65.06\n", CUDA_12),
        ("8.6, 535.104.05\n", CUDA_12),
        ("12.0, 570.10\n", CPU),
        ("3.5, 470.10\n", CPU),
        ("6.1, 580.1\n8.9, 580.1\n", CUDA_13),
        ("[N/A], 580.1\n", CPU),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", CPU),
    ],
)
def test_the_card_and_its_driver_decide_on_the_build(answer: str, build: torch_builds.TorchBuild) -> None:
    assert torch_builds.build_for(answer) == build


def test_what_is_downloaded_is_said_beforehand(preferences, wheel: Path) -> None:
    preferences.torch_build = "CUDA_13"
    plan = plan_of(bpy.context, str(wheel))
    assert plan.build == CUDA_13
    assert "CUDA 13.0" in plan.summary and "GB" in plan.summary and preferences.engine_folder in plan.summary
    with pytest.raises(UserError, match="build_extension"):
        plan_of(bpy.context)


def test_the_chosen_source_is_the_one_that_starts(preferences, there: Installation, monkeypatch) -> None:
    assert preferences.source == INSTALLED
    with pytest.raises(RuntimeError, match="press Install Engine"):
        bpy.ops.srn.engine_check()
    preferences.source = INTERPRETER
    with pytest.raises(RuntimeError, match="choose the interpreter"):
        bpy.ops.srn.engine_start()
    preferences.source, preferences.host = HOST, "render-box"
    with pytest.raises(RuntimeError, match="render-box:8765"):
        bpy.ops.srn.engine_start()
    preferences.source, preferences.engine_folder = INSTALLED, str(there.folder.parent)
    assert bpy.ops.srn.engine_check() == {"FINISHED"}


def test_the_real_engine_is_checked_here_and_elsewhere(preferences) -> None:
    preferences.source, preferences.interpreter = INTERPRETER, engine_interpreter()
    assert bpy.ops.srn.engine_check() == {"FINISHED"}
    assert "GFLOP/s" in tasks.Task.latest["check"].message
    with job_engine() as other:
        preferences.source, preferences.host, preferences.token = HOST, f"127.0.0.1:{other.port}", TOKEN
        assert bpy.ops.srn.engine_check() == {"FINISHED"}
        assert engine().state == "ready"
        assert "works: PyTorch" in tasks.Task.latest["check"].message
        assert not bpy.ops.srn.engine_install.poll(), "an engine that runs is not replaced"
        bpy.ops.srn.engine_stop()
        preferences.token = "wrong"
        with pytest.raises(RuntimeError, match="refuses the token"):
            bpy.ops.srn.engine_check()


@pytest.mark.skipif("SRN_WHEELHOUSE" not in os.environ, reason="needs SRN_WHEELHOUSE: wheels of all the engine needs")
def test_the_real_engine_is_installed(preferences, monkeypatch: pytest.MonkeyPatch) -> None:
    """SRN_WHEELHOUSE: what `pip download --dest FOLDER dist/srn_engine-*.whl` gives; takes minutes and 1.5 GB."""
    subprocess.run([sys.executable, ROOT / "scripts" / "build_extension"], check=True)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", os.environ["SRN_WHEELHOUSE"])
    preferences.package_index = ""
    wheel = next((ROOT / "dist").glob("srn_engine-*.whl"))
    assert bpy.ops.srn.engine_install(wheel=str(wheel)) == {"FINISHED"}
    print(tasks.Task.latest["install"].message)
    assert bpy.ops.srn.engine_start() == {"FINISHED"}
    assert "PyTorch" in engine().message
    bpy.ops.srn.engine_stop()
    assert bpy.ops.srn.engine_uninstall() == {"FINISHED"}


def test_everything_has_a_tooltip(preferences) -> None:
    own = [item for item in type(preferences).bl_rna.properties if item.identifier not in ("bl_idname", "rna_type")]
    assert {"source", "interpreter", "host", "token", "torch_build"} <= {item.identifier for item in own}
    assert all(item.description for item in own)
    for name in OPERATORS:
        kind = getattr(bpy.ops.srn, name).get_rna_type()
        assert kind.description and all(item.description for item in kind.properties if item.identifier != "rna_type")
