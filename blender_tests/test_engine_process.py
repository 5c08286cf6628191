"""Starting and ending the engine from Blender, and what is said when that cannot be done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

from blender_tests.engine_harness import (
    JOBS,
    ROOT,
    TRAIN,
    Outcome,
    alive,
    engine_interpreter,
    poll_until,
    posix_program,
)
from srn_blender.engine import process, pump
from srn_blender.engine.engine import Engine
from srn_blender.engine.engine import engine as the_engine
from srn_blender.errors import UserError

# What a user's script does in Blender: start the engine, say its process, go on.
BLENDER = """
import bpy, sys, time
from srn_blender.engine.engine import engine
engine().start(sys.argv[1])
engine().wait_ready()
print(engine()._client._host._process.pid, flush=True)
"""


@pytest.fixture(autouse=True)
def the_engine_of_this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close(20)


def pid_of(engine: Engine) -> int:
    return engine._client._host._process.pid


def failure(engine: Engine, interpreter: str) -> str:
    """The sentence for an interpreter that cannot run the engine."""
    try:
        engine.start(interpreter)
    except UserError as error:
        return str(error)
    with pytest.raises(UserError) as failed:
        engine.wait_ready(70)
    assert engine.state == "failed" and engine.message == str(failed.value)
    return engine.message


def test_it_starts_says_what_it_is_and_ends(engine):
    began = time.monotonic()
    engine.start(engine_interpreter())
    assert time.monotonic() - began < 0.5, "start waits for nothing"
    assert engine.state == "starting"
    engine.wait_ready()
    assert engine.state == "ready" and engine.info["protocol"] == 2 and "fast" in engine.info["presets"]
    pid = pid_of(engine)
    assert alive(pid)
    engine.close(20)
    assert engine.state == "stopped" and not alive(pid)


def test_it_starts_again_after_it_was_stopped(engine):
    for _ in range(2):
        engine.start(engine_interpreter())
        with pytest.raises(UserError, match="already"):
            engine.start(engine_interpreter())
        engine.wait_ready()
        engine.stop()


def test_it_can_be_stopped_while_it_starts(engine):
    engine.start(engine_interpreter())
    client = engine._client
    poll_until(engine, lambda: client._host._process is not None)
    pid = pid_of(engine)
    engine.close(20)
    assert engine.state == "stopped" and not alive(pid)


def test_the_token_is_where_other_users_cannot_read_it(engine):
    engine.start(engine_interpreter())
    engine.wait_ready()
    token = engine._client._host.token.encode()
    folder = Path(f"/proc/{pid_of(engine)}")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    assert b"srn_engine" in (folder / "cmdline").read_bytes()
    assert token not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    assert token not in engine._client._host.log.read_bytes()


@pytest.mark.parametrize("interpreter", ["", "  ", "/no/such/python", str(ROOT)])
def test_an_interpreter_that_is_no_file_is_refused_at_once(engine, interpreter):
    sentence = failure(engine, interpreter)
    assert "choose the" in sentence and interpreter.strip() in sentence


def test_a_file_that_is_no_program_is_refused(engine, tmp_path):
    file = tmp_path / "python"
    file.write_bytes(b"no program")
    assert failure(engine, str(file)).startswith(f"{file} cannot be run")
    if os.name == "posix":
        file.chmod(0o755)
        assert failure(engine, str(file)).startswith(f"{file} cannot be run")


def test_a_program_that_is_no_python_is_refused(engine, tmp_path):
    for number, text in enumerate(["exit 0", "echo python 3", "ls /", "exec yes"]):
        program = posix_program(tmp_path / f"program{number}", text)
        assert failure(engine, program) == f"{program} is no Python: choose the Python that the engine is installed in."


def test_an_old_python_is_refused(engine, tmp_path):
    program = posix_program(tmp_path / "python", "echo python 3 9")
    assert failure(engine, program) == f"{program} is Python 3.9: the engine needs 3.11 or newer."


def bare_environment(folder: Path) -> str:
    subprocess.run([engine_interpreter(), "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def test_an_interpreter_without_the_engine_or_without_torch_says_so(engine, tmp_path, monkeypatch):
    interpreter = bare_environment(tmp_path / "bare")
    what_to_do = "install the engine into it, or choose another interpreter."
    assert failure(engine, interpreter) == f"{interpreter} has no torch: {what_to_do}"
    monkeypatch.delenv("PYTHONPATH")
    assert failure(engine, interpreter) == f"{interpreter} has no srn_engine: {what_to_do}"


def pretend(tmp_path: Path, text: str) -> str:
    """A Python whose `-m srn_engine` is the shell's `text`."""
    return posix_program(tmp_path / "python", f'[ "$1" = -I ] && exec {engine_interpreter()} "$@"\n{text}')


def test_an_engine_that_ends_says_its_status_its_last_words_and_its_log(engine, tmp_path):
    sentence = failure(engine, pretend(tmp_path, "echo no room >&2; exit 3"))
    log = engine_log(sentence)
    assert (
        sentence == f"The engine did not start: it ended with status 3 and said: no room (log: {log}); start it again."
    )
    assert log.read_text() == "no room\n"


@pytest.mark.parametrize(("version", "side"), [(1, "engine"), (3, "add-on")])
def test_an_engine_of_another_version_is_refused_and_ended(engine, tmp_path, version, side):
    code = f"from srn_engine.server import protocol; protocol.PROTOCOL = {version}; import runpy; "
    code += "runpy.run_module('srn_engine', run_name='__main__')"
    pid_file = tmp_path / "pid"
    interpreter = pretend(
        tmp_path, f'echo $$ > {pid_file}; exec {engine_interpreter()} -c "{code}" serve --token-stdin'
    )
    assert f"update the {side}" in failure(engine, interpreter)
    poll_until(engine, lambda: not alive(int(pid_file.read_text())))


def engine_log(sentence: str) -> Path:
    return Path(sentence.partition("(log: ")[2].partition(")")[0])


def test_an_engine_that_does_not_answer_is_given_up_and_ended(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "READY_SECONDS", 2.0)
    monkeypatch.setattr(process, "STOP_SECONDS", 0.5)
    pid_file = tmp_path / "pid"
    sentence = failure(engine, pretend(tmp_path, f"echo $$ > {pid_file}; exec sleep 60"))
    assert sentence.startswith("The engine did not answer within 2 seconds")
    poll_until(engine, lambda: not alive(int(pid_file.read_text())))


def test_something_else_than_an_engine_is_not_talked_to(engine, tmp_path):
    assert "is not this add-on's engine" in failure(engine, pretend(tmp_path, "echo hello; sleep 1"))


def test_an_engine_that_was_killed_fails_what_waits_and_says_how_to_go_on(engine, tmp_path):
    engine.start(pretend(tmp_path, f"exec {engine_interpreter()} {JOBS} --token-stdin"))
    engine.wait_ready()
    training, waiting = Outcome(), Outcome()
    handle = training.run(engine, "train", TRAIN | {"seconds": 60, "steps": 6000})
    waiting.run(engine, "train", TRAIN)
    poll_until(engine, lambda: handle.state == "running")
    os.kill(pid_of(engine), signal.SIGKILL)
    poll_until(engine, lambda: handle.ended)
    assert engine.state == "failed"
    assert engine.message.startswith("The engine stopped unexpectedly: it ended with status -9")
    assert engine.message.endswith("start it again.")
    assert training.calls == waiting.calls == [("failed", engine.message)]
    engine.start(engine_interpreter())
    engine.wait_ready()


def test_poll_and_requests_do_not_wait_for_an_engine_that_stands_still(engine, tmp_path):
    engine.start(pretend(tmp_path, f"exec {engine_interpreter()} {JOBS} --token-stdin"))
    engine.wait_ready()
    os.kill(pid_of(engine), signal.SIGSTOP)
    outcome, began = Outcome(), time.monotonic()
    for _ in range(200):
        handle = outcome.run(engine, "train", TRAIN | {"preset": "x" * 100_000})
        engine.poll()
    assert time.monotonic() - began < 2.0, "200 requests of 100 kB"
    with pytest.raises(UserError, match=r"Waited 0\.1 seconds and train did not end"):
        engine.wait(handle, 0.1)
    os.kill(pid_of(engine), signal.SIGCONT)
    poll_until(engine, lambda: handle.ended)


def test_the_engine_ends_with_blender(tmp_path):
    for ending in ("", "import os; os._exit(1)"):  # quits; is gone at once
        blender = subprocess.run(
            [sys.executable, "-c", BLENDER + ending, engine_interpreter()], capture_output=True, cwd=ROOT, check=False
        )
        assert b"Error" not in blender.stderr
        pid, began = int(blender.stdout.split()[-1]), time.monotonic()
        while alive(pid):
            assert time.monotonic() - began < 2.0, ending
            time.sleep(0.01)


def test_the_pump_needs_a_window_and_unregistering_stops_the_engine():
    pump.register()
    assert not bpy.app.timers.is_registered(pump._pump), "timers never fire without a window"
    the_engine().start(engine_interpreter())
    the_engine().wait_ready()
    pid = pid_of(the_engine())
    pump.unregister()
    assert the_engine().state == "stopped" and not alive(pid)


def test_the_default_interpreter_is_the_environments(monkeypatch):
    monkeypatch.setenv("SRN_ENGINE_PYTHON", "/some/python")
    assert process.default_interpreter() == "/some/python"
    monkeypatch.delenv("SRN_ENGINE_PYTHON")
    assert process.default_interpreter() == ""
