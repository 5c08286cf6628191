"""The engine's real work as jobs: a run made here, rendered through the queue."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Instance, LabelClass
from srn_engine.limits import PASSES
from srn_engine.model.fast.grid import FeatureGrid
from srn_engine.model.fast.scene import FastScene
from srn_engine.progress import Cancelled
from srn_engine.server import work
from srn_engine.server.fields import MAX_WORDS
from srn_engine.server.jobs import ENDED_KEPT, JobQueue
from srn_engine.server.params import Evaluate, Render, Train
from srn_engine.server.protocol import MAX_RESULT, MAX_TEXT, TooLarge, encode_notification, job_result
from srn_engine.server.runs import RUNS_KEPT, LoadedRuns
from srn_engine.server.work import engine_work, presets
from srn_engine.train import run as run_module
from srn_engine.train.evaluate import NAMES
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run, RunInfo

CPU = torch.device("cpu")
SIZE = 12
POSE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]]
CAMERA_JSON = {"pose": POSE, "fl_x": 12.0, "fl_y": 12.0, "cx": 6.0, "cy": 6.0, "width": SIZE, "height": SIZE}
CAMERA = Camera.from_json(CAMERA_JSON)
ARRAYS = {
    "colour": ((SIZE, SIZE, 4), np.float32),
    "depth": ((SIZE, SIZE), np.float32),
    "normal": ((SIZE, SIZE, 3), np.float32),
    "semantic": ((SIZE, SIZE), np.uint8),
}


class Client:
    """Collects what a connection would send."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue
        self.states: list[dict] = []
        self.arrays: list[np.ndarray] = []
        self._ended = threading.Event()

    def listen(self, method, state, frames) -> None:
        self.states.append(state)
        self.arrays = [np.load(io.BytesIO(frame.header + frame.data), allow_pickle=False) for frame in frames]
        if state["state"] in ("done", "failed", "cancelled"):
            self._ended.set()

    def run(self, kind, params) -> dict:
        self._ended.clear()
        self.queue.submit(kind, params, self.listen)
        assert self._ended.wait(120)
        return self.states[-1]


@pytest.fixture
def client():
    queue = JobQueue(engine_work(CPU))
    yield Client(queue)
    assert queue.close(10)


def untrained_run(folder: Path, density: float) -> Run:
    cells = torch.zeros(9, 9, 9, dtype=torch.bool)
    cells[:-1, :-1, :-1] = True
    grid = FeatureGrid(cells, 16)
    torch.nn.init.constant_(grid.density, density)
    options = TrainOptions()
    preset = options.resolve(1)
    scene = FastScene(preset, grid, 2)
    classes = (LabelClass("background", (0, 0, 0)), LabelClass("body", (1, 0, 0)))
    run = Run.create(folder, RunInfo(folder, options, preset, (Instance("vase", "a vase"),), classes), scene)
    run.save(scene)
    return run


def render(run: Path, *passes: str) -> Render:
    return Render(run, {"vase": 1.0}, CAMERA, passes)


def test_a_render_gives_the_arrays_that_were_asked_for_in_that_order(client, tmp_path):
    untrained_run(tmp_path, 5.0)
    for passes in (("semantic", "colour"), ("depth", "normal")):
        done = client.run("render", render(tmp_path, *passes))
        assert done["state"] == "done", done
        assert done["result"]["arrays"] == list(passes) and done["result"]["seconds"] > 0
        assert [(array.shape, array.dtype) for array in client.arrays] == [ARRAYS[name] for name in passes]
    assert client.arrays[0][SIZE // 2, SIZE // 2] > 1, "the cube is opaque"


def test_a_render_sees_the_newest_checkpoint(client, tmp_path):
    run = untrained_run(tmp_path, 5.0)
    assert client.run("render", render(tmp_path, "colour"))["state"] == "done"
    before = client.arrays[0][SIZE // 2, SIZE // 2, 3]
    assert client.run("render", render(tmp_path, "colour"))["state"] == "done"
    assert client.arrays[0][SIZE // 2, SIZE // 2, 3] == before
    torch.nn.init.constant_(run.scene.phi.density, -20.0)
    run.save(run.scene)
    client.run("render", render(tmp_path, "colour"))
    assert before > 0.9 and client.arrays[0][SIZE // 2, SIZE // 2, 3] < 0.1


def test_several_runs_stay_loaded_and_the_least_recently_used_goes(client, tmp_path, monkeypatch):
    folders = [tmp_path / str(number) for number in range(RUNS_KEPT + 1)]
    for number, folder in enumerate(folders):
        untrained_run(folder, 5.0 if number else -20.0)
    loaded, load = [], Run.load
    monkeypatch.setattr(Run, "load", lambda folder, *rest: loaded.append(folder) or load(folder, *rest))

    def covered(folder):
        assert client.run("render", render(folder, "colour"))["state"] == "done"
        return client.arrays[0][SIZE // 2, SIZE // 2, 3] > 0.5

    for _ in range(2):
        assert [covered(folder) for folder in folders[:RUNS_KEPT]] == [False] + [True] * (RUNS_KEPT - 1)
    assert loaded == folders[:RUNS_KEPT], "each was read once"
    covered(folders[0])
    covered(folders[-1])
    assert not covered(folders[0]) and len(loaded) == RUNS_KEPT + 1
    covered(folders[1])
    assert loaded[-1] == folders[1], "it was the one that nobody had asked for the longest"


def test_any_thread_may_ask_for_a_scene(tmp_path):
    runs, folders = LoadedRuns(CPU), [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        untrained_run(folder, 5.0)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda number: runs.scene(folders[number % 3], {"vase": 1.0}), range(30)))
    assert len({id(scene) for _, scene in got}) == 3 and {run.folder for run, _ in got} == set(folders)


def test_a_render_can_be_stopped_every_few_thousand_rays_and_is_the_same_in_parts(tmp_path, monkeypatch):
    scene = untrained_run(tmp_path, 5.0)
    camera = Camera.from_json(
        CAMERA_JSON | {"fl_x": 160.0, "fl_y": 200.0, "cx": 80.0, "cy": 90.0, "width": 160, "height": 200}
    )
    heard = []
    in_parts = scene.render("vase", camera, list(PASSES), heard.append)
    assert len(heard) >= 160 * 200 / 8192 and [progress.fraction for progress in heard][:2] == [0.0, 51 / 200]
    monkeypatch.setattr(run_module, "CPU_CHUNK", 160 * 200)
    whole = scene.render("vase", camera, list(PASSES), heard.append)
    for name, array in whole.items():
        np.testing.assert_allclose(in_parts[name], array, atol=1e-4)

    def stop(progress):
        raise Cancelled

    with pytest.raises(Cancelled):
        scene.render("vase", camera, ["colour"], stop)


def test_what_cannot_be_done_is_a_sentence(client, tmp_path):
    untrained_run(tmp_path / "run", 0.0)
    jobs = [
        ("render", render(tmp_path / "none", "colour")),
        ("render", Render(tmp_path / "run", {"no such instance": 1.0}, CAMERA, ("colour",))),
        ("train", Train(tmp_path / "none", tmp_path / "new")),
        ("train", Train(tmp_path / "none", tmp_path / "new", preset="no such preset")),
        ("evaluate", Evaluate(tmp_path / "run", tmp_path / "none", "test")),
    ]
    for kind, params in jobs:
        failed = client.run(kind, params)
        assert failed["state"] == "failed" and "unexpected" not in failed["error"], failed
        assert failed["error"].endswith((".", "?"))
    assert not (tmp_path / "new").exists()


def test_the_presets_are_the_engines():
    assert presets() == ["fast", "paper"]


def test_metrics_of_very_many_views_leave_room_in_the_frame():
    assert work._told([{}] * work.MAX_ROWS) == [{}] * work.MAX_ROWS
    assert work._told([{}] * (work.MAX_ROWS + 1)) is None
    row = {"instance": "i" * 64, "view": "i" * 64 + " train 000000", **dict.fromkeys(NAMES, -0.12345678901234567)}
    several = {"metrics": {"views": [row] * work.MAX_ROWS, "instances": {str(n): row for n in range(work.MAX_ROWS)}}}
    assert ENDED_KEPT * len(json.dumps(several)) < MAX_TEXT


def test_a_result_leaves_room_for_what_a_notification_tells_beside_it():
    room = MAX_RESULT - len(json.dumps({"note": ""}))
    beside = {"dataset": "é" * MAX_WORDS, "run": "é" * MAX_WORDS, "message": "é" * 1000}
    encode_notification("job", beside | {"result": job_result({"note": "x" * room})})
    with pytest.raises(TooLarge, match=f"A result of more than {MAX_RESULT} bytes is over the limit"):
        job_result({"note": "x" * (room + 1)})
