"""Kills the engine at random moments of a training, many times, and counts what is lost and how Blender takes it.

Run it with a Python that has the bpy module, SRN_ENGINE_PYTHON naming one that has the engine:
`.venv/bpy-5.2/bin/python scripts/bench/kill_engines.py`. One Blender starts the engine and a training, as Train SRN
does; up to three seconds after the training's first step, or now and then before it, the engine is killed (SIGKILL),
and Blender starts the next one, which goes on with the same run. Checkpoints are saved four times a second, so that
kills meet the saving too. After each kill the task must have ended with a sentence, the checkpoint on disk be whole and
no older than it was, and the next training begin where that checkpoint ended. At the end Blender still renders.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SAVE_EVERY = 0.25  # seconds
LONGEST = 3.0  # seconds from a training's first step, or from its engine's being there, to the engine's end
EARLY = 0.2  # of the kills come before the first step, or may
PATIENCE = 120.0  # seconds for an engine to start and to begin
WRITE_DATASET = """
import sys
from pathlib import Path
from srn_engine.tests.scenes import write_ball
write_ball(Path(sys.argv[1]), train=8, test=0, size=16)
"""


def steps_of(checkpoint: Path) -> int:
    """The steps that a checkpoint was saved after, 0 where there is none; an error where it is not whole."""
    if not checkpoint.is_file():
        return 0
    data = checkpoint.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    end = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
    if len(data) != 8 + length + end:
        raise RuntimeError(f"{checkpoint} is cut short")
    return int(header["__metadata__"]["steps"])


class Killer:
    """One Blender, one run, engine after engine."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dataset, self.run = folder / "dataset", folder / "run"
        self.checkpoint = self.run / "checkpoint.safetensors"
        self.luck = random.Random(seed)
        self.counts = dict.fromkeys(("kills", "no sentence", "lost", "went back", "broken", "slow steps"), 0)
        self.slowest = 0.0  # seconds of a step of the task
        self.trouble = ""

    def train(self) -> Any:
        """A training, on top of what is there, as a task of the panel."""
        from srn_blender.engine.engine import engine
        from srn_blender.engine.errand import FolderRead, JobRequest
        from srn_blender.ui.tasks import Job, JobTask

        params = {"seconds": 1e6, "save_every": SAVE_EVERY, "resume": self.checkpoint.is_file()}
        request = JobRequest("train", params, {"dataset": FolderRead(self.dataset)}, {"run": self.run})
        job = Job(request, lambda result, arrays: "done", lambda result: "cancelled")
        return JobTask("train", job, lambda: engine().start(os.environ["SRN_ENGINE_PYTHON"]))

    def step_until(self, task: Any, reached: Callable[[], bool], seconds: float) -> bool:
        """Steps the task until something is so, for some seconds at most; whether it is."""
        deadline = time.monotonic() + seconds
        while not reached() and time.monotonic() < deadline:
            start = time.perf_counter()
            task.step()
            took = time.perf_counter() - start
            self.slowest = max(self.slowest, took)
            self.counts["slow steps"] += took > 0.05
            time.sleep(task.pause)
        return reached()

    def kill_once(self) -> None:
        from srn_blender.engine.engine import engine

        before, task = steps_of(self.checkpoint), self.train()
        begun: list[int] = []
        early = self.luck.random() < EARLY

        def ready() -> bool:
            if task.message.startswith("Step "):
                begun.append(int(task.message.removeprefix("Step ").split(",")[0].split(";")[0]))
            return bool(begun) or task.state != "running" or (early and engine().state == "ready")

        if not self.step_until(task, ready, PATIENCE) or task.state != "running":
            raise RuntimeError(f"a training did not begin: {task.message}")
        self.counts["went back"] += bool(begun) and begun[0] < before
        self.step_until(task, lambda: task.state != "running", self.luck.uniform(0, LONGEST))
        saved, process = steps_of(self.checkpoint), engine()._client._host._process.pid
        os.kill(process, signal.SIGKILL)
        self.step_until(task, lambda: task.state != "running", 10)
        self.counts["kills"] += 1
        self.counts["no sentence"] += not (
            task.state == "failed" and "ended with status -9" in task.message and task.message.endswith("again.")
        )
        try:
            self.counts["lost"] += steps_of(self.checkpoint) < saved
        except (RuntimeError, ValueError) as error:
            self.counts["broken"] += 1
            self.trouble = str(error)
        went_on = f"gone on with at {begun[0]}" if begun else "not gone on with yet"
        print(f"{self.counts['kills']}: {before} steps, {went_on}, killed at {saved}", flush=True)


def still_well() -> bool:
    """Whether this Blender renders, and has no engine left."""
    import bpy

    from srn_blender.engine.engine import engine

    bpy.ops.wm.read_factory_settings(use_empty=False)
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    return bpy.ops.render.render() == {"FINISHED"} and engine().state == "failed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    import srn_blender

    srn_blender.register()
    with tempfile.TemporaryDirectory() as folder:
        killer = Killer(Path(folder), options.seed)
        command = [os.environ["SRN_ENGINE_PYTHON"], "-c", WRITE_DATASET, str(killer.dataset)]
        subprocess.run(command, check=True)
        for _ in range(options.kills):
            killer.kill_once()
        well, total = still_well(), steps_of(killer.checkpoint)
    counts = ", ".join(f"{what}: {count}" for what, count in killer.counts.items())
    print(
        f"{counts}; {total} steps kept; slowest step {1000 * killer.slowest:.0f} ms; Blender well: {well}", flush=True
    )
    if killer.trouble:
        print(killer.trouble, flush=True)
    bad = [killer.counts[what] for what in ("no sentence", "lost", "went back", "broken")]
    os._exit(int(any(bad) or not well))  # Blender 4.2 as a module does not always end by itself


if __name__ == "__main__":
    sys.exit(main())
