"""How the engine's process begins and ends, and who can read its token."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srn_engine.tests.server_harness import (
    JOBS,
    ROOT,
    TOKEN,
    TRAIN,
    EngineProcess,
    engine_process,
    raw_client,
    wait_until,
)

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

# Starts an engine as Blender does, says its pid and port, and waits to be killed.
PARENT = f"""
import sys, time
from subprocess import PIPE, Popen
engine = Popen([sys.executable, {str(JOBS)!r}, "--token-stdin"], stdin=PIPE, stdout=PIPE)
engine.stdin.write(b"{TOKEN}\\n")
engine.stdin.flush()
print(engine.pid, engine.stdout.readline().decode(), flush=True)
time.sleep(60)
"""


def run(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(JOBS), *args], input=b"", capture_output=True, timeout=20, env=ENVIRONMENT, check=False
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_it_ends_with_its_standard_input_and_saves_the_training():
    engine = EngineProcess()
    with raw_client(engine.port) as client:
        job = client.job("train", **TRAIN, seconds=60, steps=6000)
        client.until(job, "running")
        start = time.monotonic()
        engine.process.stdin.close()
        assert client.until(job, "cancelled", "failed")["result"]["steps"] >= 1
    assert engine.process.wait(20) == 0 and time.monotonic() - start < 30, "it does not train for its minute"
    engine.process.stdout.close()
    engine.process.stderr.close()


def test_it_ends_when_a_client_says_shutdown():
    with engine_process() as engine, raw_client(engine.port) as client:
        assert client.ask("shutdown") is None
        assert engine.process.wait(5) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs kill -9 and process ids as POSIX has them")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_it_does_not_outlive_a_parent_that_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=ENVIRONMENT)
    pid, _, ready = parent.stdout.readline().decode().partition(" ")
    assert json.loads(ready)["port"] and alive(int(pid))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert wait_until(lambda: not alive(int(pid)), 10) < 2


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(number):
    engine = EngineProcess()
    engine.process.send_signal(number)
    assert engine.process.wait(5) == 0
    assert "Traceback" not in engine.end()[1]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_the_token_stands_in_no_command_line_and_no_environment():
    with engine_process() as engine:
        for name in ("cmdline", "environ"):
            content = Path(f"/proc/{engine.process.pid}/{name}").read_bytes()
            assert b"server_jobs" in content or name == "environ"
            assert TOKEN.encode() not in content
        with raw_client(engine.port):
            pass
        assert TOKEN not in engine.end()[1]


def test_the_token_can_come_from_a_file_that_only_its_owner_reads(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    if os.name == "posix":
        file.chmod(0o644)
        open_to_all = run("--token-file", str(file))
        assert open_to_all.returncode == 1 and b"chmod 600" in open_to_all.stderr
        file.chmod(0o600)
    engine = subprocess.Popen(
        [sys.executable, str(JOBS), "--token-file", str(file)], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    try:
        with raw_client(json.loads(engine.stdout.readline())["port"]) as client:
            client.ask("shutdown")
        assert engine.wait(5) == 0
    finally:
        engine.kill()
        engine.communicate()


@pytest.mark.parametrize("args", [("--token-stdin",), ("--token-file", "/no/such/file")])
def test_no_token_no_engine(args):
    ended = run(*args)
    assert ended.returncode == 1 and ended.stdout == b"" and len(ended.stderr.strip().splitlines()) == 1


def test_the_ready_line_is_the_documented_one():
    with engine_process() as engine:
        said = {"srn_engine": "0.0.0", "protocol": 2, "host": "127.0.0.1", "port": engine.port}
        assert engine.ready == said
