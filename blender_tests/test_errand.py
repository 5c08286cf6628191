"""Jobs on an engine with a storage of its own: what they read is sent along, the run is fetched."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from blender_tests.engine_harness import (
    CAMERA,
    TOKEN,
    connected,
    cutting_proxy,
    job_engine,
    poll_until,
    validating_relay,
)
from blender_tests.transfer_harness import Told, dataset, files_of, write
from srn_blender.engine.engine import Engine
from srn_blender.engine.errand import Errand, FolderRead, JobRequest
from srn_blender.engine.fetching import HostRun, fetch_run
from srn_blender.engine.messages import MAX_PIECE
from srn_blender.errors import UserError

RUN = {"run.json": b"{}", "metrics.jsonl": b"{}\n"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def other(storage: Path):
    with job_engine("--storage", str(storage)) as other:
        yield other


@pytest.fixture
def engine(other) -> Iterator[Engine]:
    with connected(other.port) as engine:
        yield engine


def train_there(engine: Engine, folder: Path, run: Path, **params: object) -> tuple[Errand, Told]:
    told = Told()
    request = JobRequest("train", {"seconds": 60, "steps": 600} | params, {"dataset": FolderRead(folder)}, {"run": run})
    return Errand(engine, request, told.of_errand()), told


def test_a_training_is_sent_cancelled_and_fetched(engine: Engine, storage: Path, tmp_path: Path) -> None:
    folder, run = dataset(tmp_path / "dataset", 6), write(tmp_path / "run", RUN | {"checkpoint.safetensors": b"old"})
    errand, told = train_there(engine, folder, run)
    poll_until(engine, lambda: any(news.get("state") == "running" for news in told.progress))
    weights = random.Random(7).randbytes(2 * MAX_PIECE + 3)
    there = storage / HostRun.read(run).name
    write(there, RUN | {"checkpoint.safetensors": weights, "training-9.safetensors": b"large"})
    errand.cancel()
    end, result = told.end(engine)
    assert end == "cancelled" and result["run"] == str(there)
    expected = RUN | {"checkpoint.safetensors": weights}
    assert {name: (run / name).read_bytes() for name in expected} == expected
    assert (run / "previous" / "checkpoint.safetensors").read_bytes() == b"old", "training again loses nothing"
    assert sorted(path.name for path in run.iterdir()) == sorted([*expected, "host.json", "previous"])


def test_a_run_that_could_not_be_fetched_is_fetched_later(other, storage: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    name = HostRun.begin(run).name
    weights = random.Random(8).randbytes(6 * MAX_PIECE)
    write(storage / name, RUN | {"checkpoint.safetensors": weights})
    told = Told()
    with cutting_proxy(other.port, after=4 * MAX_PIECE) as port, connected(port) as engine:
        engine.start_transfer(partial(fetch_run, folder=run), told.of_transfer())
        assert told.end(engine)[0] == "failed"
    assert not (run / "run.json").exists(), "whole or not at all"
    come = sum(path.stat().st_size for path in (run / ".fetched").iterdir())
    assert come > MAX_PIECE
    with validating_relay(other.port) as (port, frames), connected(port) as engine:
        told = Told()
        engine.start_transfer(partial(fetch_run, folder=run), told.of_transfer())
        assert told.end(engine) == ("done", str(run))
    fetched = [frame["params"]["offset"] for frame in frames if frame.get("method") == "files.fetch"]
    assert len(fetched) < 8 and max(fetched) > 0
    assert (run / "checkpoint.safetensors").read_bytes() == weights and HostRun.read(run).fetched
    assert not (run / ".fetched").exists() and not (run / "previous").exists()


def test_a_training_that_leaves_nothing_says_where_to_look(engine: Engine, tmp_path: Path) -> None:
    folder, run = dataset(tmp_path / "dataset", 9), tmp_path / "run"
    end, sentence = train_there(engine, folder, run, seconds=0.1)[1].end(engine)
    assert end == "failed" and str(sentence).endswith("The run is kept on the other computer: press Fetch Run.")
    end, sentence = train_there(engine, folder, run, preset="fail")[1].end(engine)
    assert end == "failed" and str(sentence).endswith("has no view: capture it again.")
    name = HostRun.read(run).name
    assert HostRun.begin(run).name == name, "a folder keeps its run there"


def test_a_training_goes_on_when_the_connection_is_lost(other, tmp_path: Path) -> None:
    with connected(other.port) as engine:
        _, told = train_there(engine, dataset(tmp_path / "dataset", 12), tmp_path / "run", seconds=1.0)
        poll_until(engine, lambda: any(news.get("state") == "running" for news in told.progress))
        engine.stop()
    end, sentence = told.ends[0]
    assert end == "failed" and str(sentence).endswith("The training goes on there: press Fetch Run later.")


def test_cancelling_while_it_is_sent_never_trains(engine: Engine, tmp_path: Path) -> None:
    errand, told = train_there(engine, dataset(tmp_path / "dataset", 10, size=30 * MAX_PIECE), tmp_path / "run")
    errand.cancel()
    assert told.end(engine) == ("cancelled", {}) and not (tmp_path / "run").exists()


def test_a_render_takes_its_run_along(engine: Engine, storage: Path, tmp_path: Path) -> None:
    run = write(tmp_path / "run", RUN | {"checkpoint.safetensors": b"weights", "training-9.safetensors": b"large"})
    told = Told()
    request = JobRequest(
        "render",
        {"instance": "any", "camera": CAMERA, "passes": ["colour"]},
        {"run": FolderRead(run, ("run.json", "checkpoint.safetensors"))},
    )
    Errand(engine, request, told.of_errand())
    end, result = told.end(engine)
    assert end == "done" and result["arrays"] == ["colour"]
    (there,) = storage.glob("sent/srn-run-*")
    assert files_of(there) == {"run.json": b"{}", "checkpoint.safetensors": b"weights"}


def test_an_engine_that_takes_paths_is_sent_nothing(tmp_path: Path) -> None:
    with job_engine() as here, connected(here.port) as engine:
        assert engine.message.endswith(" If it is on another computer, start it there with --storage DIR.")
        told = Told()
        request = JobRequest("train", {"seconds": 0.1}, {"dataset": FolderRead(tmp_path)}, {"run": tmp_path / "run"})
        Errand(engine, request, told.of_errand())
        end, result = told.end(engine)
        assert end == "done" and result["run"] == str(tmp_path / "run") and not (tmp_path / "run").exists()
        with pytest.raises(UserError, match="start it there with --storage"):
            engine.start_transfer(partial(fetch_run, folder=tmp_path), Told().of_transfer())


def test_a_damaged_note_counts_as_none(tmp_path: Path) -> None:
    assert HostRun.read(tmp_path) is None
    for damaged in ("", "[]", "{}", json.dumps({"run": "runs/x"})):
        (tmp_path / "host.json").write_text(damaged, encoding="utf-8")
        assert HostRun.read(tmp_path) is None
    assert TOKEN not in (tmp_path / "host.json").read_text(encoding="utf-8")
