"""The loop on an engine that stands for another computer: a process with a storage of its own, reached by a socket."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest

import srn_blender
from blender_tests.engine_harness import ROOT, TOKEN, engine_interpreter, poll_until
from srn_blender.engine.engine import Engine, engine
from srn_blender.engine.errand import Errand, FolderRead, JobRequest
from srn_blender.engine.jobs import JobCallbacks
from srn_blender.results import images, view
from srn_blender.ui import tasks
from srn_blender.ui.properties import settings_of

STEPS = 4


class Host:
    """`srn-engine serve` as somebody starts it on another computer."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        program = [engine_interpreter(), "-m", "srn_engine", "serve", "--device", "cpu"]
        self.process = subprocess.Popen(
            [*program, "--token-stdin", "--storage", str(storage)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.process.stdin.write(f"{TOKEN}\n".encode())
        self.process.stdin.flush()
        self.port = json.loads(self.process.stdout.readline())["port"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("storage"))
    yield host
    host.kill()


@pytest.fixture
def scene(empty_file: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[bpy.types.Scene]:
    """Blender's first scene with its cube captured, the add-on registered, no interpreter known."""
    monkeypatch.delenv("SRN_ENGINE_PYTHON", raising=False)
    bpy.ops.wm.read_factory_settings(use_empty=False)
    srn_blender.register()
    tasks.Task.latest.clear()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x, scene.render.resolution_y = 24, 16
    settings = settings_of(scene)
    settings.dataset_path, settings.run_path = str(tmp_path / "dataset"), str(tmp_path / "run")
    settings.train_views, settings.val_views, settings.test_views = 5, 1, 0
    settings.size, settings.samples, settings.seconds = 24, 1, 1.0
    bpy.ops.srn.capture_views()
    yield scene
    srn_blender.unregister()


def done(asked: Engine, request: JobRequest) -> tuple[dict, dict]:
    """Result and arrays of a job that ends well."""
    ends: list[tuple[str, object, object]] = []
    callbacks = JobCallbacks(
        lambda news: None,
        lambda result, arrays: ends.append(("done", result, arrays)),
        lambda sentence: ends.append(("failed", sentence, {})),
        lambda result: ends.append(("cancelled", result, {})),
    )
    Errand(asked, request, callbacks)
    poll_until(asked, lambda: bool(ends), 120.0)
    assert ends[0][0] == "done", ends
    return ends[0][1], ends[0][2]


def test_the_loop_there_gives_what_it_gives_here(host: Host, scene, tmp_path: Path, monkeypatch) -> None:
    settings = settings_of(scene)
    engine().connect("127.0.0.1", host.port, TOKEN)
    assert bpy.ops.srn.train() == {"FINISHED"}
    assert "PSNR" in tasks.Task.latest["train"].message
    run = Path(settings.run_path)
    assert {path.name for path in run.iterdir()} == {"run.json", "checkpoint.safetensors", "metrics.jsonl", "host.json"}
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    assert tuple(bpy.data.images[images.COLOUR].size) == (24, 16)
    (run / "run.json").unlink()
    assert bpy.ops.srn.fetch_run() == {"FINISHED"}
    assert (run / "run.json").is_file()

    dataset = FolderRead(Path(settings.dataset_path))
    trained = {}
    here = Engine()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    here.start(engine_interpreter())
    here.wait_ready()
    try:
        for name, asked in (("there", engine()), ("here", here)):
            folder = tmp_path / name
            done(asked, JobRequest("train", {"steps": STEPS, "seed": 1}, {"dataset": dataset}, {"run": folder}))
            trained[name] = (folder / "checkpoint.safetensors").read_bytes()
        seen = view.seen_by(scene, scene.camera)
        request = view.request(seen, view.read_run(tmp_path / "there", "Cube"))
        arrays = [
            done(asked, JobRequest("render", request, {"run": FolderRead(tmp_path / "there", view_files)}))[1]
            for asked, view_files in ((engine(), ("run.json", "checkpoint.safetensors")), (here, ()))
        ]
        folder = tmp_path / "there"
        done(here, JobRequest("train", {"steps": STEPS, "seed": 2}, {"dataset": dataset}, {"run": folder}))
        trained["later"] = (folder / "checkpoint.safetensors").read_bytes()
    finally:
        here.close(20)
    assert _tensors(trained["there"]) == _tensors(trained["here"]), "the same steps on the same files"
    assert arrays[0].keys() == arrays[1].keys() and len(arrays[0]) >= 3
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])
    assert not list(host.storage.glob("parts/*"))
    settings.run_path = str(folder)
    assert bpy.ops.srn.fetch_run() == {"FINISHED"}
    assert (folder / "checkpoint.safetensors").read_bytes() == trained["there"]
    put_aside = (folder / "previous" / "checkpoint.safetensors").read_bytes()
    assert put_aside == trained["later"], "what was trained here meanwhile is not lost"


def _tensors(checkpoint: bytes) -> bytes:
    """What follows the header, which says how many seconds the training took."""
    return checkpoint[8 + int.from_bytes(checkpoint[:8], "little") :]


def test_a_cancelled_training_there_is_fetched_and_a_lost_host_is_a_sentence(host: Host, scene) -> None:
    from srn_blender.ui.train_operators import begin_training

    settings = settings_of(scene)
    engine().connect("127.0.0.1", host.port, TOKEN)
    settings.seconds = 300.0
    task = begin_training(bpy.context)
    tasks.Task.latest[task.kind] = task
    poll_until(engine(), lambda: _stepped(task, "Step"), 120.0)
    bpy.ops.srn.cancel()
    poll_until(engine(), lambda: _stepped(task, "kept"), 60.0)
    assert task.state == tasks.CANCELLED
    assert bpy.ops.srn.render_view() == {"FINISHED"}
    host.kill()
    with pytest.raises(RuntimeError, match=f"engine.* at 127.0.0.1:{host.port}.*there"):
        bpy.ops.srn.render_view()


def _stepped(task: tasks.Task, said: str) -> bool:
    if task.state == tasks.RUNNING:
        task.step()
    return said in task.message
