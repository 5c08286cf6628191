"""Trainings that show themselves, and clients that look on."""

import numpy as np
import pytest

from srn_engine.tests.server_harness import CAMERA, EVALUATE, HERE, RENDER, TRAIN, engine_process, raw_client
from srn_engine.tests.server_jobs import picture

LONG = TRAIN | {"seconds": 60, "steps": 3000}
SMALL = CAMERA | {"width": 16, "height": 8}


@pytest.fixture(scope="module")
def engine():
    with engine_process() as engine:
        yield engine


@pytest.fixture
def client(engine):
    with raw_client(engine.port) as client:
        yield client


def end(client, *jobs):
    for job in jobs:
        client.ask("cancel", job=job)
        client.until(job, "cancelled", "done")


def test_a_training_shows_itself_from_the_camera_that_was_asked_for_last(client):
    job = client.job("train", **LONG, preview={"camera": CAMERA})
    about, arrays = client.until_previewed(job)
    assert about["arrays"] == ["colour"] and about["seconds"] == 0.5 * about["step"]
    assert np.array_equal(arrays["colour"], picture("colour", 32, 16))
    assert client.ask("preview", job=job, camera=SMALL, instance="any") == {"previewing": True}
    client.until_previewed(job)  # it may have been under way
    assert client.until_previewed(job)[1]["colour"].shape == (8, 16, 4)
    assert client.ask("preview", job=job, camera=None) == {"previewing": False}
    shown = len(client.previews)
    end(client, job)
    assert len(client.previews) - shown <= 1
    assert client.ask("preview", job=job, camera=CAMERA) == {"previewing": False}, "it has ended"
    assert client.ask("preview", job=10**9, camera=CAMERA) == {"previewing": False}


def test_a_training_that_waits_can_be_given_a_camera(client):
    first, second = client.job("train", **LONG), client.job("train", **LONG)
    assert client.ask("preview", job=second, camera=CAMERA) == {"previewing": True}
    end(client, first)
    client.until_previewed(second)
    end(client, second)
    assert {about["job"] for about, _ in client.previews} == {second}


def test_a_client_finds_a_training_again_and_follows_it_to_its_end(engine, client):
    with raw_client(engine.port) as first:
        job = first.job("train", **LONG, preview={"camera": CAMERA})
        first.until_previewed(job)
    found = [state for state in client.ask("jobs")["jobs"] if state["kind"] == "train" and state["state"] == "running"]
    assert [(state["job"], state["run"], state["dataset"]) for state in found] == [(job, HERE, HERE)]
    assert not [state for state in client.notifications if state["job"] == job]
    state = client.ask("follow", job=job)
    assert state["job"] == job and state["state"] == "running" and state["run"] == HERE
    client.until_previewed(job)
    client.until(job, "running")
    end(client, job)
    assert client.ask("follow", job=job)["result"]["run"] == HERE, "what has ended tells how"


def test_all_who_follow_hear_the_same_and_each_only_once(engine, client):
    job = client.job("train", **LONG, preview={"camera": CAMERA})
    with raw_client(engine.port) as other:
        other.ask("follow", job=job)
        other.ask("follow", job=job)
        other.until_previewed(job)
        client.until_previewed(job)
        end(other, job)
        cancelled = client.until(job, "cancelled")
        assert cancelled == other.until(job, "cancelled")
        other.ask("jobs")
        assert sum(state["state"] == "cancelled" for state in other.notifications) == 1


def test_what_is_not_there_cannot_be_followed(client):
    job = client.job("render", **RENDER)
    client.arrays(client.until(job, "done"))
    for number in (job, 10**9):
        error = client.refused("follow", job=number)
        assert error["code"] == -32011 and "look at `jobs`" in error["message"]


def test_who_follows_a_render_keeps_it_alive(engine, client):
    with raw_client(engine.port) as other:
        job = other.job("render", **RENDER | {"instance": "slow-2"})
        other.until(job, "running")
        client.ask("follow", job=job)
    assert client.until(job, "done", "cancelled")["state"] == "done"
    client.arrays(client.notifications[-1])


def test_each_line_does_its_jobs_in_order_beside_the_others(client):
    training = client.job("train", **LONG)
    fit = client.job("fit", run=HERE, dataset=HERE, fitted=HERE, views=3)
    proposal = client.job("propose_views", dataset=HERE, cameras=[CAMERA], count=1, seconds=1)
    slow = client.job("render", **RENDER | {"instance": "slow"})
    client.until(client.job("evaluate", **EVALUATE), "done")
    surface = client.until(client.job("mesh", run=HERE, instance="any"), "done")
    client.arrays(surface)
    states = {state["job"]: state["state"] for state in client.ask("jobs")["jobs"]}
    assert [states[job] for job in (training, fit, proposal)] == ["running", "queued", "queued"]
    assert states[slow] == "running"
    end(client, slow, training)
    assert client.until(fit, "done")["result"]["seconds"] == 3.0
    assert client.until(proposal, "done")["result"] == {"views": [0], "scores": [0.0], "psnr": 30.0}


def test_a_mix_is_rendered_and_a_surface_sent(client):
    done = client.until(client.job("render", run=HERE, camera=CAMERA, passes=["depth"], mix={"a": 1, "b": 3}), "done")
    assert np.array_equal(client.arrays(done)["depth"], picture("depth", 32, 16))
    done = client.until(client.job("mesh", run=HERE, instance="any", resolution=32), "done")
    arrays = client.arrays(done)
    assert done["result"]["watertight"] is True and arrays["triangles"].dtype == np.int32
    assert {name: array.shape for name, array in arrays.items()} == {
        "vertices": (4, 3), "normals": (4, 3), "triangles": (4, 3), "colours": (4, 3), "labels": (4,),
    }  # fmt: skip
    cloud = client.arrays(client.until(client.job("mesh", run=HERE, instance="any", points=4), "done"))
    assert cloud["triangles"].shape == (0, 3)


def test_a_client_that_reads_slowly_misses_previews_and_not_the_end(engine):
    camera = CAMERA | {"width": 1024, "height": 512}  # 8 MiB: few are held on their way
    with raw_client(engine.port, max_queue=1) as slow, raw_client(engine.port) as quick:
        job = slow.job("train", **LONG, preview={"camera": camera})
        quick.ask("follow", job=job)
        for _ in range(15):
            quick.until_previewed(job)
        end(quick, job)
        assert slow.until(job, "cancelled", "done")["result"]["run"] == HERE
        assert 0 < len(slow.previews) < 8
        assert np.array_equal(slow.previews[-1][1]["colour"], picture("colour", 1024, 512)), "what comes is whole"


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("render", {"run": HERE, "camera": CAMERA, "passes": ["colour"]}, "instance"),
        ("render", RENDER | {"mix": {"a": 1}}, "instance"),
        *(
            ("render", {"run": HERE, "camera": CAMERA, "passes": ["colour"], "mix": mix}, "mix")
            for mix in ({}, [], {"a": 0}, {"a": 1, "b": -1}, {"a": "1"}, {"a": None}, {"a": 1e308, "b": 1e308})
        ),
        ("render", RENDER | {"camera": CAMERA | {"pose": np.diag([1, 1, 2, 1]).tolist()}}, "camera"),
        ("train", TRAIN | {"preview": CAMERA}, "camera"),
        ("train", TRAIN | {"preview": {"camera": CAMERA, "run": HERE}}, "run"),
        ("train", TRAIN | {"save_every": 0}, "save_every"),
        ("preview", {"job": 1}, "camera"),
        ("preview", {"job": 0, "camera": None}, "job"),
        ("follow", {"job": "1"}, "job"),
        ("fit", {"run": HERE, "dataset": HERE}, "fitted"),
        ("fit", {"run": HERE, "dataset": HERE, "fitted": HERE, "views": 0}, "views"),
        ("fit", {"run": HERE, "dataset": HERE, "fitted": HERE, "views": 10**16}, "views"),
        ("mesh", {"run": HERE, "instance": "any", "points": 1.5}, "points"),
        ("propose_views", {"dataset": HERE, "cameras": [], "count": 1, "seconds": 1}, "cameras"),
        ("propose_views", {"dataset": HERE, "cameras": [CAMERA], "count": 2, "seconds": 1}, "count"),
    ],
)
def test_wrong_parameters_are_named(client, method, params, name):
    error = client.refused(method, **params)
    assert error["code"] == -32602 and error["message"].startswith(f"{method}: `{name}`"), error
