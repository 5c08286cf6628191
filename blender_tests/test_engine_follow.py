"""Trainings that show themselves, and the Blenders that look on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from blender_tests.engine_harness import (
    CAMERA,
    HERE,
    RENDER,
    TRAIN,
    Outcome,
    connected,
    job_engine,
    poll_until,
    validating_relay,
)
from blender_tests.transfer_harness import Told, files_of, write
from srn_blender.engine.engine import Engine
from srn_blender.engine.errand import Errand, FolderRead, JobRequest
from srn_blender.engine.fetching import HostRun

LONG = TRAIN | {"seconds": 60, "steps": 3000}
SMALL = CAMERA | {"width": 16, "height": 8}


@pytest.fixture(scope="module")
def other():
    with job_engine() as other:
        yield other


def asked(engine: Engine, method: str, params: dict) -> dict:
    """The result of a request."""
    results: list[dict] = []
    engine.request(method, params, results.append, pytest.fail)
    poll_until(engine, lambda: bool(results))
    return results[0]


def test_previews_arrive_and_change_with_the_camera(other) -> None:
    with connected(other.port) as engine:
        outcome = Outcome()
        handle = outcome.run(engine, "train", LONG | {"preview": {"camera": CAMERA}})
        poll_until(engine, lambda: len(outcome.previews) > 2)
        steps = [step for step, _ in outcome.previews]
        assert steps == sorted(set(steps)) and outcome.previews[0][1]["colour"].shape == (16, 32, 4)
        assert asked(engine, "preview", {"job": handle.number, "camera": SMALL}) == {"previewing": True}
        poll_until(engine, lambda: outcome.previews[-1][1]["colour"].shape == (8, 16, 4))
        assert asked(engine, "preview", {"job": handle.number, "camera": None}) == {"previewing": False}
        handle.cancel()
        engine.wait(handle, 20)


def test_of_the_previews_that_wait_only_the_newest_of_each_training_is_shown(other) -> None:
    with connected(other.port) as engine:
        outcomes = [Outcome(), Outcome()]
        short = TRAIN | {"seconds": 1.0, "steps": 50, "preview": {"camera": SMALL}}
        first, second = [outcome.run(engine, "train", short) for outcome in outcomes]
        poll_until(engine, lambda: first.number is not None and second.number is not None)
        before = [len(outcome.previews) for outcome in outcomes]
        time.sleep(4.0)  # Blender is busy until both have ended
        engine.poll()
        assert first.state == second.state == "done"
        for outcome, count in zip(outcomes, before, strict=True):
            assert len(outcome.previews) == count + 1 and outcome.previews[-1][0] == 49


def test_a_blender_that_was_closed_finds_its_training_and_follows_it(other) -> None:
    with connected(other.port) as engine:
        lost = Outcome()
        lost.run(engine, "train", LONG | {"preview": {"camera": CAMERA}})
        poll_until(engine, lambda: bool(lost.previews))
    with connected(other.port) as engine:
        (found,) = [job for job in asked(engine, "jobs", {})["jobs"] if job["state"] == "running"]
        assert found["run"] == HERE and found["dataset"] == HERE
        outcome = Outcome()
        handle = outcome.run(engine, "follow", {"job": found["job"]})
        poll_until(engine, lambda: len(outcome.progress) > 1 and bool(outcome.previews))
        assert handle.state == "running" and handle.number == found["job"]
        handle.cancel()
        engine.wait(handle, 20)
        assert [name for name, _ in outcome.calls] == ["cancelled"] and handle.result["run"] == HERE
        again = Outcome()
        engine.wait(again.run(engine, "follow", {"job": found["job"]}), 20)
        assert again.calls == outcome.calls, "what has ended tells how"
        none = Outcome()
        engine.wait(none.run(engine, "follow", {"job": 10**9}), 20)
        assert none.calls == [("failed", "The engine has no job 1000000000 any more: look at `jobs`.")]


def test_two_blenders_share_an_engine(other) -> None:
    """Renders of both, trainings in line, previews to the right one."""
    with connected(other.port) as first, connected(other.port) as second:
        training, waiting = Outcome(), Outcome()
        running = training.run(first, "train", LONG | {"preview": {"camera": CAMERA}})
        poll_until(first, lambda: bool(training.previews))
        queued = waiting.run(second, "train", TRAIN | {"seconds": 0.5, "preview": {"camera": SMALL}})
        for engine in (first, second):
            rendered = Outcome()
            engine.wait(rendered.run(engine, "render", RENDER), 20)
            assert rendered.arrays["colour"].shape == (16, 32, 4)
        assert queued.state == "queued" and running.state == "running"
        running.cancel()
        first.wait(running, 20)
        second.wait(queued, 20)
        first.poll()
        assert waiting.calls[0][0] == "done"
        assert {arrays["colour"].shape for _, arrays in training.previews} == {(16, 32, 4)}
        assert {arrays["colour"].shape for _, arrays in waiting.previews} == {(8, 16, 4)}


def test_the_main_thread_hardly_waits_while_previews_and_large_frames_arrive(other) -> None:
    large = CAMERA | {"width": 1920, "height": 1080}
    with connected(other.port) as engine:
        shown, rendered = Outcome(), []
        training = shown.run(engine, "train", TRAIN | {"seconds": 120, "steps": 240, "preview": {"camera": large}})
        spent: list[float] = []  # of the processor: others may hold it for longer on a busy machine
        waited: list[float] = []
        while len(rendered) < 5 or len(shown.previews) < 3:
            if not rendered or rendered[-1].arrays:
                rendered.append(Outcome())
                rendered[-1].run(engine, "render", RENDER | {"camera": large})
            began, used = time.perf_counter(), time.thread_time()
            engine.poll()
            waited.append(time.perf_counter() - began)
            spent.append(time.thread_time() - used)
            time.sleep(0.005)
        training.cancel()
        engine.wait(training, 30)
    assert max(spent) < 0.05 and sorted(waited)[len(waited) * 99 // 100] < 0.05
    assert rendered[0].arrays["colour"].shape == shown.previews[0][1]["colour"].shape == (1080, 1920, 4)


def test_a_surface_arrives_exactly(other) -> None:
    with connected(other.port) as engine:
        handle = Outcome().run(engine, "mesh", {"run": HERE, "instance": "any"})
        engine.wait(handle, 20)
        arrays = handle.arrays
        assert handle.result["watertight"] is True
        assert np.array_equal(arrays["triangles"], [[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
        assert arrays["vertices"].dtype == np.float32 and list(arrays["labels"]) == [0, 1, 2, 3]
        handle = Outcome().run(engine, "mesh", {"run": HERE, "instance": "any", "points": 4})
        engine.wait(handle, 20)
        assert handle.arrays["triangles"].shape == (0, 3)


def test_all_frames_are_as_the_schema_says(other) -> None:
    with validating_relay(other.port) as (port, frames), connected(port) as engine:
        outcome = Outcome()
        handle = outcome.run(engine, "train", LONG | {"save_every": 5, "preview": {"camera": CAMERA, "instance": "a"}})
        poll_until(engine, lambda: bool(outcome.previews))
        asked(engine, "preview", {"job": handle.number, "camera": None})
        asked(engine, "jobs", {})
        Outcome().run(engine, "follow", {"job": handle.number})
        handle.cancel()
        engine.wait(handle, 20)
        for method, params in (
            ("render", {"run": HERE, "mix": {"a": 0.5, "b": 2}, "camera": CAMERA, "passes": ["colour"]}),
            ("fit", {"run": HERE, "dataset": HERE, "fitted": HERE, "views": 2}),
            ("mesh", {"run": HERE, "instance": "any", "resolution": 32, "points": 4}),
            ("propose_views", {"dataset": HERE, "cameras": [CAMERA, SMALL], "count": 2, "seconds": 0.1}),
        ):
            assert engine.wait(Outcome().run(engine, method, params), 20).state == "done"
    methods = {frame.get("method") for frame in frames}
    assert methods >= {"follow", "preview", "fit", "mesh", "propose_views", "job"}


def test_a_fit_and_a_report_are_fetched_from_another_computer(tmp_path: Path) -> None:
    storage, run = tmp_path / "storage", write(tmp_path / "run", {"run.json": b"{}", "checkpoint.safetensors": b"w"})
    dataset = FolderRead(write(tmp_path / "dataset", {"dataset.json": b"{}"}))
    made = {"run.json": b"{}", "checkpoint.safetensors": b"fitted"}
    report = {"report.html": b"<html>", "compare.png": b"\x89PNG"}
    reads = {"run": FolderRead(run, ("run.json", "checkpoint.safetensors")), "dataset": dataset}
    with job_engine("--storage", str(storage)) as other, connected(other.port) as engine:
        for method, name, files, params in (
            ("fit", "fitted", made, {}),
            ("evaluate", "report", report, {"split": "test"}),
        ):
            folder, told = tmp_path / name, Told()
            # The test's jobs write nothing: what they would have made is there already.
            write(storage / HostRun.begin(folder).name, files)
            Errand(engine, JobRequest(method, params, reads, {name: folder}), told.of_errand())
            assert told.end(engine)[0] == "done"
            assert {path: data for path, data in files_of(folder).items() if path != "host.json"} == files


def test_a_training_that_is_followed_is_fetched_at_its_end(tmp_path: Path) -> None:
    storage, run = tmp_path / "storage", tmp_path / "run"
    dataset = FolderRead(write(tmp_path / "dataset", {"dataset.json": b"{}"}))
    with job_engine("--storage", str(storage)) as other:
        with connected(other.port) as engine:
            told = Told()
            request = JobRequest("train", {"seconds": 60, "steps": 600}, {"dataset": dataset}, {"run": run})
            Errand(engine, request, told.of_errand())
            poll_until(engine, lambda: any(news.get("state") == "running" for news in told.progress))
        with connected(other.port) as engine:
            there = HostRun.read(run).name
            (found,) = [job for job in asked(engine, "jobs", {})["jobs"] if job.get("run") == there]
            made = {"run.json": b"{}", "checkpoint.safetensors": b"weights"}
            write(storage / there, made)
            told = Told()
            errand = Errand(engine, JobRequest("follow", {"job": found["job"]}, writes={"run": run}), told.of_errand())
            poll_until(engine, lambda: bool(told.progress))
            errand.cancel()
            assert told.end(engine)[0] == "cancelled"
            assert {path: data for path, data in files_of(run).items() if path != "host.json"} == made
