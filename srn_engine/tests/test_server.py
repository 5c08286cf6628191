"""The engine's socket, from the outside: real processes, real connections."""

import json
import random
import socket
import string
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from srn_engine.tests.server_harness import (
    CAMERA,
    EVALUATE,
    HERE,
    RENDER,
    TOKEN,
    TRAIN,
    EngineProcess,
    engine_process,
    raw_client,
    wait_until,
)
from srn_engine.tests.server_jobs import picture


@pytest.fixture(scope="module")
def engine():
    with engine_process() as engine:
        yield engine


@pytest.fixture
def client(engine):
    with raw_client(engine.port) as client:
        yield client


def test_hello_says_what_the_engine_is(engine):
    with raw_client(engine.port, hello=False) as client:
        info = client.ask("hello", protocol=2, client="test")
    assert info["protocol"] == 2 and info["device"] == "cpu" and info["presets"] == ["save", "fail", "bug"]


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_no_handshake_without_the_token(engine, token):
    with pytest.raises(InvalidStatus) as refused, raw_client(engine.port, token):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(("version", "side"), [(1, "add-on"), (3, "engine")])
def test_another_version_learns_which_side_to_update(engine, version, side):
    with raw_client(engine.port, hello=False) as client:
        error = client.refused("hello", protocol=version, client="test")
        assert (error["code"] == -32010 and error["message"].endswith(f"update the {side}.")) or side == "add-on"
        assert f"update the {side}" in error["message"]
        with pytest.raises(ConnectionClosed):
            client.receive()


def test_the_first_request_must_be_hello(engine):
    with raw_client(engine.port, hello=False) as client:
        assert client.refused("jobs")["code"] == -32600
        with pytest.raises(ConnectionClosed):
            client.receive()


def test_a_training_reports_and_ends(client):
    start = time.monotonic()
    job = client.job("train", **TRAIN, seconds=0.5, steps=100)
    done = client.until(job, "done", "failed")
    states = [state for state in client.notifications if state["job"] == job]
    assert [states[0]["state"], states[1]["state"]] == ["queued", "running"]
    assert done["progress"] == 1 and done["result"]["psnr"] == 30 and done["result"]["run"] == HERE
    running = [state for state in states if state["state"] == "running"]
    assert 3 <= len(running) <= 1 + 10 * (time.monotonic() - start) + 1
    assert running[-1]["metrics"]["loss"] is None, "NaN is no JSON"


def test_a_user_error_is_its_sentence(client):
    failed = client.until(client.job("train", **TRAIN, preset="fail"), "failed")
    assert failed["error"] == f"{HERE} has no view: capture it again."


def test_a_bug_says_its_type_and_is_in_the_log():
    with engine_process() as engine:
        with raw_client(engine.port) as client:
            failed = client.until(client.job("train", **TRAIN, preset="bug"), "failed")
            assert "ZeroDivisionError: a bug" in failed["error"]
            assert client.until(client.job("train", **TRAIN), "done", "failed")["state"] == "done"
        status, log = engine.end()
    assert status == 0 and "Traceback" in log and "server_jobs.py" in log


def test_arrays_arrive_exactly(client):
    passes = ["semantic", "normal", "colour", "depth"]
    done = client.until(client.job("render", **RENDER | {"passes": passes}), "done")
    assert done["result"]["arrays"] == passes
    arrays = client.arrays(done)
    for name in passes:
        expected = picture(name, CAMERA["width"], CAMERA["height"])
        assert arrays[name].dtype == expected.dtype and np.array_equal(arrays[name], expected)


def test_an_array_of_64_mib_arrives_while_another_job_reports(client):
    training = client.job("train", **TRAIN, seconds=1, steps=1000)
    camera = CAMERA | {"width": 2048, "height": 2048}
    done = client.until(client.job("render", **RENDER | {"camera": camera}), "done")
    assert np.array_equal(client.arrays(done)["colour"], picture("colour", 2048, 2048))
    assert client.until(training, "done", "failed")["state"] == "done"


def test_an_error_is_never_too_long_for_a_frame(client):
    failed = client.until(client.job("train", **TRAIN, preset="essay"), "failed")
    assert len(failed["error"]) == 10_000
    assert client.until(client.job("train", **TRAIN), "done")


@pytest.mark.parametrize(
    ("instance", "words"), [("pickled", "An array of object cannot be sent."), ("huge", "bytes is over the limit.")]
)
def test_what_the_protocol_cannot_carry_fails_its_job_only(client, instance, words):
    failed = client.until(client.job("render", **RENDER | {"instance": instance}), "done", "failed")
    assert failed["state"] == "failed" and words in failed["error"]
    assert client.until(client.job("render", **RENDER), "done")


def test_an_evaluation_gives_metrics_with_null_for_what_is_not_there(client):
    done = client.until(client.job("evaluate", **EVALUATE, report=HERE), "done")
    metrics = done["result"]["metrics"]
    assert metrics["mean"] == {"psnr": 30.0, "ssim": 0.9, "depth_abs_rel": None, "miou": None, "lpips": None}
    assert metrics["instances"] == {"any": metrics["mean"]}
    assert metrics["views"] == [{"instance": "any", "view": "test 000000"} | metrics["mean"]]


def test_cancel_while_running_keeps_what_was_learned(client):
    job = client.job("train", **TRAIN, seconds=60, steps=6000)
    client.until(job, "running")
    assert client.ask("cancel", job=job) == {"cancelled": True}
    cancelled = client.until(job, "cancelled", "done")
    assert cancelled["state"] == "cancelled" and cancelled["result"]["run"] == HERE
    assert client.ask("cancel", job=job) == {"cancelled": False}
    assert client.ask("cancel", job=10**9) == {"cancelled": False}


def test_cancel_while_queued_comes_at_once_and_the_job_never_runs(client):
    first = client.job("train", **TRAIN, seconds=60, steps=6000)
    second = client.job("train", **TRAIN)
    client.until(first, "running")
    client.ask("cancel", job=second)
    client.until(second, "cancelled")
    client.ask("cancel", job=first)
    client.until(first, "cancelled")
    assert not [state for state in client.notifications if state["job"] == second and state["state"] == "running"]


def test_trainings_run_one_at_a_time_and_renders_beside_them(client):
    first = client.job("train", **TRAIN, seconds=0.6)
    second = client.job("train", **TRAIN)
    render = client.job("render", **RENDER)
    client.arrays(client.until(render, "done"))
    states = {state["job"]: state["state"] for state in client.ask("jobs")["jobs"]}
    assert states[first] == "running" and states[second] == "queued" and render not in states
    client.until(second, "done")
    order = [(state["job"], state["state"]) for state in client.notifications if state["job"] in (first, second)]
    assert order.index((first, "done")) < order.index((second, "running"))


def test_each_connection_hears_of_its_own_jobs_only(engine, client):
    with raw_client(engine.port) as other:
        mine, theirs = client.job("render", **RENDER), other.job("train", **TRAIN)
        client.arrays(client.until(mine, "done"))
        other.until(theirs, "done")
        client.ask("jobs")
        other.ask("jobs")
        assert {state["job"] for state in client.notifications} == {mine}
        assert {state["job"] for state in other.notifications} == {theirs}


def test_a_closed_connection_drops_its_renders_and_not_its_training(engine, client):
    with raw_client(engine.port) as other:
        training = other.job("train", **TRAIN, seconds=1.0)
        running = other.job("render", **RENDER | {"instance": "slow"})
        waiting = other.job("render", **RENDER | {"instance": "slow"})
        other.until(running, "running")

    def alive():
        return {state["job"] for state in client.ask("jobs")["jobs"]}

    assert wait_until(lambda: not alive() & {running, waiting}, 2.0) < 1.0
    assert training in alive()
    assert client.until(client.job("train", **TRAIN), "done")
    assert {state["job"]: state["state"] for state in client.ask("jobs")["jobs"]}[training] == "done"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", -32700),
        ("{", -32700),
        ("nul", -32700),
        ("NaN", -32700),
        ("[" * 100_000, -32700),
        ("9" * 10_000, -32700),
        ("[]", -32600),
        ("1", -32600),
        ("null", -32600),
        ("{}", -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "jobs"}', -32600),
        ('{"jsonrpc": "2.0", "id": "1", "method": "jobs"}', -32600),
        ('{"jsonrpc": "2.0", "id": true, "method": "jobs"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "jobs", "more": 1}', -32600),
        ('{"jsonrpc": "2.0", "id": 1}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "eval"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": ["jobs"]}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "\\ud800"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "jobs", "params": []}', -32602),
        (b"\x93NUMPY", -32600),
    ],
)
def test_what_is_no_request_gets_an_error_and_the_connection_goes_on(client, frame, code):
    assert client.raw(frame)["error"]["code"] == code
    client.ask("jobs")


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("train", {"dataset": None}),
        ("train", {"dataset": "relative/path"}),
        ("train", {"run": "/nul\0"}),
        ("train", {"run": "/surrogate\ud800"}),
        ("train", {"seconds": 0}),
        ("train", {"seconds": "5"}),
        ("train", {"seconds": 10**400}),
        ("train", {"steps": 1.5}),
        ("train", {"steps": True}),
        ("train", {"seed": -1}),
        ("train", {"resume": 1}),
        ("train", {"unknown": 1}),
        ("render", {"instance": "x" * 4097}),
        ("render", {"passes": []}),
        ("render", {"passes": ["colour", "colour"]}),
        ("render", {"passes": ["alpha"]}),
        ("render", {"passes": [["colour"]]}),
        ("render", {"camera": CAMERA | {"width": 8193}}),
        ("render", {"camera": CAMERA | {"height": 0}}),
        ("render", {"camera": CAMERA | {"fl_x": -1}}),
        ("render", {"camera": CAMERA | {"cx": None}}),
        ("render", {"camera": CAMERA | {"pose": [[1, 0, 0, 0]] * 3}}),
        ("render", {"camera": CAMERA | {"pose": [[1, 0, 0, "0"]] * 4}}),
        ("render", {"camera": CAMERA | {"pose": [[1, 0, 0, 0, None]] * 4}}),
        ("render", {"camera": {}}),
        ("evaluate", {"split": "all"}),
        ("cancel", {"job": 0}),
        ("hello", {"protocol": "1"}),
    ],
)
def test_wrong_parameters_are_named(client, method, change):
    params = {"train": TRAIN, "render": RENDER, "evaluate": EVALUATE}.get(method, {})
    error = client.refused(method, **params | change)
    names = set(change) | set(change["camera"] if isinstance(change.get("camera"), dict) else ())
    assert error["code"] == -32602 and error["message"].startswith(f"{method}: `")
    assert error["message"].split("`")[1] in names | {"pose"}
    assert client.ask("jobs")["jobs"] is not None


def test_a_frame_over_the_limit_closes_the_connection_only(engine):
    with raw_client(engine.port) as client:
        with pytest.raises(ConnectionClosed):
            client.raw("x" * (2**20 + 1))
        assert client.websocket.close_code == 1009
    with raw_client(engine.port) as client:
        client.ask("jobs")


def test_random_frames_do_not_stop_the_engine(engine):
    source = random.Random(2026)
    good = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "render", "params": RENDER | {"run": "/no"}})
    with raw_client(engine.port) as client:
        for _ in range(500):
            client.websocket.send(_mutated(good, source))
            message = client.receive()
            while "method" in message:
                if message["params"]["state"] == "done":
                    client.arrays(message["params"])
                message = client.receive()
        assert client.until(client.job("render", **RENDER), "done")


def _mutated(text: str, source: random.Random) -> str:
    if source.random() < 0.2:
        return "".join(source.choices(string.printable + "é\U0001f4a5", k=source.randrange(200)))
    letters = list(text)
    for _ in range(source.randrange(1, 6)):
        at = source.randrange(len(letters))
        letters[at : at + source.randrange(4)] = source.choices('{}[]":,0919eE-.ntf\\', k=source.randrange(3))
    return "".join(letters)


def test_too_many_waiting_jobs_are_refused(engine):
    with raw_client(engine.port) as client:
        jobs = [client.job("render", **RENDER | {"instance": "slow"}) for _ in range(101)]
        client.until(jobs[0], "running")
        error = client.refused("render", **RENDER)
        assert error["code"] == -32011 and "waiting" in error["message"]


def test_random_bytes_on_the_port_do_not_stop_the_engine(engine):
    for seed in range(20):
        with socket.create_connection(("127.0.0.1", engine.port)) as stranger:
            stranger.sendall(random.Random(seed).randbytes(300))
    with raw_client(engine.port) as client:
        client.ask("jobs")


def test_a_busy_port_is_one_sentence(engine):
    second = EngineProcess("--port", str(engine.port))
    status, log = second.end()
    assert second.ready is None and status == 1
    assert log.strip() == (
        f"Port {engine.port} on 127.0.0.1 is in use: choose another with --port, or leave it out for a free one."
    )


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_cannot_be_had_is_one_sentence(host):
    engine = EngineProcess("--host", host)
    status, log = engine.end()
    assert engine.ready is None and status == 1 and len(log.strip().splitlines()) == 1 and "Traceback" not in log


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_a_port_that_is_none_is_bad_usage(port):
    engine = EngineProcess(f"--port={port}")
    assert engine.ready is None and engine.end()[0] == 2
