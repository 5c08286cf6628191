"""Talking to an engine: jobs, arrays, and what goes wrong on the way."""

from __future__ import annotations

import numpy as np
import pytest

from blender_tests.engine_harness import (
    CAMERA,
    HERE,
    RENDER,
    TRAIN,
    Outcome,
    connected,
    cutting_proxy,
    free_port,
    job_engine,
    poll_until,
    stranger,
    validating_relay,
)
from srn_blender.engine.engine import Engine
from srn_blender.errors import UserError


@pytest.fixture(scope="module")
def other():
    with job_engine() as other:
        yield other


@pytest.fixture
def engine(other):
    with connected(other.port) as engine:
        yield engine


def failure(port: int, token: str = "wrong", host: str = "127.0.0.1") -> str:
    engine = Engine()
    engine.connect(host, port, token)
    with pytest.raises(UserError) as failed:
        engine.wait_ready(20)
    assert engine.state == "failed"
    return str(failed.value)


def picture(name: str, width: int, height: int) -> np.ndarray:
    """What `server_jobs.picture` computes; written again, since the engine's code cannot be imported here."""
    shape = {"colour": (height, width, 4), "normal": (height, width, 3)}.get(name, (height, width))
    count = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(2654435761)
    if name == "semantic":
        return (count >> 24).astype(np.uint8).reshape(shape)
    return (count.astype(np.float32) / np.float32(2**32)).reshape(shape)


def test_a_job_from_hello_to_its_arrays(engine):
    passes = ["depth", "colour", "semantic", "normal"]
    outcome = Outcome()
    handle = outcome.run(engine, "render", RENDER | {"passes": passes})
    assert engine.wait(handle, 20) is handle and handle.state == "done"
    assert outcome.calls == [("done", {"seconds": 0.0, "arrays": passes})] and handle.arrays is outcome.arrays
    for name in passes:
        expected = picture(name, 32, 16)
        assert handle.arrays[name].dtype == expected.dtype and np.array_equal(handle.arrays[name], expected)


def test_64_mib_arrive_exactly(engine):
    handle = Outcome().run(engine, "render", RENDER | {"camera": CAMERA | {"width": 2048, "height": 2048}})
    engine.wait(handle, 30)
    assert np.array_equal(handle.arrays["colour"], picture("colour", 2048, 2048))


def test_progress_comes_while_a_training_runs(engine):
    outcome = Outcome()
    engine.wait(outcome.run(engine, "train", TRAIN | {"seconds": 0.5, "steps": 50}), 20)
    states = [state["state"] for state in outcome.progress]
    assert states[0] == "queued" and set(states[1:]) == {"running"} and len(states) > 4
    fractions = [state["progress"] for state in outcome.progress]
    assert fractions == sorted(fractions) and outcome.calls[0][0] == "done"


def test_done_failed_and_cancelled_are_told_apart(engine):
    failed, cancelled = Outcome(), Outcome()
    engine.wait(failed.run(engine, "train", TRAIN | {"preset": "fail"}), 20)
    assert failed.calls == [("failed", f"{HERE} has no view: capture it again.")]
    handle = cancelled.run(engine, "train", TRAIN | {"seconds": 60, "steps": 6000})
    poll_until(engine, lambda: handle.state == "running")
    handle.cancel()
    engine.wait(handle, 20)
    assert handle.state == "cancelled" and cancelled.calls == [("cancelled", handle.result)]
    assert handle.result["run"] == HERE


def test_a_job_can_be_cancelled_before_the_engine_has_heard_of_it(engine):
    outcome = Outcome()
    handle = outcome.run(engine, "train", TRAIN | {"seconds": 60, "steps": 6000})
    handle.cancel()
    engine.wait(handle, 20)
    assert [name for name, _ in outcome.calls] == ["cancelled"]


def test_a_refused_request_is_a_failed_job(engine):
    outcome = Outcome()
    engine.wait(outcome.run(engine, "train", {"dataset": "relative", "run": HERE}), 20)
    assert outcome.calls == [("failed", "train: `dataset` must be an absolute path on the engine's machine.")]


def test_a_plain_request_gets_its_result(engine):
    results, sentences = [], []
    engine.request("jobs", {}, results.append, sentences.append)
    engine.request("no such method", {}, results.append, sentences.append)
    poll_until(engine, lambda: bool(results and sentences))
    assert isinstance(results[0]["jobs"], list) and sentences == ["There is no method no such method."]


def test_what_a_callback_raises_comes_out_of_poll_and_the_next_is_still_called(engine):
    results = []
    engine.request("jobs", {}, lambda result: result["no such key"], results.append)
    engine.request("jobs", {}, results.append, results.append)
    with pytest.raises(KeyError):
        poll_until(engine, lambda: bool(results))
    poll_until(engine, lambda: bool(results))


def test_all_frames_of_both_sides_are_as_the_schema_says(other):
    with validating_relay(other.port) as (port, frames), connected(port) as engine:
        for method, params in (
            ("render", RENDER | {"passes": ["colour", "depth"]}),
            ("render", RENDER | {"instance": "pickled"}),
            ("train", TRAIN | {"seconds": 0.3, "steps": 3, "seed": 1, "preset": "save"}),
            ("train", TRAIN | {"preset": "bug"}),
            ("evaluate", {"run": HERE, "dataset": HERE, "split": "test", "report": HERE}),
            ("train", {"dataset": HERE, "run": "relative"}),
        ):
            engine.wait(Outcome().run(engine, method, params), 20)
        handle = Outcome().run(engine, "train", TRAIN | {"seconds": 60, "steps": 6000})
        poll_until(engine, lambda: handle.state == "running")
        handle.cancel()
        engine.wait(handle, 20)
    methods = {frame.get("method") for frame in frames}
    assert methods == {"hello", "render", "train", "evaluate", "cancel", "job", None}


@pytest.mark.parametrize("after", [200, 5000, 8 * 2**20])
def test_a_connection_cut_in_the_middle_fails_the_job_with_a_sentence(other, after):
    with cutting_proxy(other.port, after) as port:
        engine = Engine()
        engine.connect("127.0.0.1", port, "correct-horse-battery-staple")
        outcome = Outcome()
        poll_until(engine, lambda: engine.state != "starting")
        if engine.state == "ready":
            handle = outcome.run(engine, "render", RENDER | {"camera": CAMERA | {"width": 1024, "height": 1024}})
            engine.wait(handle, 20)
            assert outcome.calls == [("failed", engine.message)]
        assert engine.state == "failed"
        assert engine.message == (
            f"The connection to the engine at 127.0.0.1:{port} was lost: see that it runs there, then connect again."
        ) or (after == 200 and "no engine" in engine.message)


def test_stopping_leaves_another_engine_running_and_fails_what_waits(other):
    engine = Engine()
    engine.connect("127.0.0.1", other.port, "correct-horse-battery-staple")
    engine.wait_ready(20)
    outcome = Outcome()
    outcome.run(engine, "render", RENDER | {"instance": "slow"})
    engine.stop()
    assert outcome.calls == [("failed", "The engine was stopped before this ended.")] and engine.state == "stopped"
    with pytest.raises(UserError, match="start it first"):
        outcome.run(engine, "render", RENDER)
    with connected(other.port) as again:
        assert again.state == "ready"


@pytest.mark.parametrize("token", ["wrong", "two\nlines", "", "ümlaut"])
def test_a_wrong_token_is_one_sentence(other, token):
    assert "token" in failure(other.port, token)


@pytest.mark.parametrize(("version", "side"), [(1, "engine"), (3, "add-on")])
def test_an_engine_of_another_version_says_which_side_to_update(version, side):
    with job_engine(code=f"from srn_engine.server import protocol; protocol.PROTOCOL = {version}") as other:
        assert f"update the {side}" in failure(other.port, "correct-horse-battery-staple")


def test_what_is_no_engine_is_one_sentence():
    port = free_port()
    assert failure(port) == (
        f"No engine answers at 127.0.0.1:{port}: start `srn-engine serve` there and check the address."
    )
    for answer in (b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\xff" * 1000):
        with stranger(answer) as port:
            assert failure(port) == f"What listens at 127.0.0.1:{port} is no engine: check the port."
    for host in ("no.such.host.invalid", "not a host", "a" * 300):
        assert host in failure(80, host=host)
