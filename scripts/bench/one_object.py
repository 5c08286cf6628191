"""The rows about a single object: quality after a minute, time to the reference's quality, rendering, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from bench.context import Bench, Row
from bench.figures import Figure

from srn_engine.cameras import Camera, Intrinsics
from srn_engine.data.readers import open_dataset
from srn_engine.model.presets import PRESETS
from srn_engine.train.run import Run

PRESET, REFERENCE = "fast", "paper"
MINUTE, REFERENCE_SECONDS = 60.0, 300.0
RECORDED_STEP = 0.30  # seconds, of the authors' code on two cores
# None: the bar's own object is not among the models at hand.
QUALITY_BARS = {"spot": 35.5, "car": 35.0, "chair": 33.0, "glossy": None}
BUDGETS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 15.0, 30.0, 60.0)
RAYS_FEW, RAYS_MANY = 8_192, 40_960
GPU_SIZE, GPU_FRAME, GPU_FRAMES = 800, 512, 60
SMALL, MEDIUM, LARGE = "objects/spot_64", "objects/spot_128", f"objects/spot_{GPU_SIZE}"


def _psnr(bench: Bench, name: str, preset: str, seconds: float) -> float:
    dataset = bench.dataset(name)
    return float(bench.evaluated(bench.trained(dataset, preset, seconds), dataset)["metrics"]["mean"]["psnr"])


def reference_step(bench: Bench) -> list[Figure]:
    """A step of the reference, so that nobody can say that it was held back."""
    run = bench.trained(bench.dataset(SMALL), REFERENCE, REFERENCE_SECONDS)
    what = f"spot, 64 px: a step of the reference, {PRESETS[REFERENCE].one.rays:,} rays"
    return [Figure(what, run.seconds / run.steps, "s", RECORDED_STEP, lower=True, note=f"{run.steps} steps")]


def quality(bench: Bench) -> list[Figure]:
    """PSNR of the test views after a minute, 50 views of 128 px."""
    return [
        Figure(f"{name}, 128 px, after 60 s", _psnr(bench, f"objects/{name}_128", PRESET, MINUTE), "dB", bar)
        for name, bar in QUALITY_BARS.items()
    ]


def time_to_reference(bench: Bench) -> list[Figure]:
    """The shortest training, out of a few lengths, whose test views are as good as the reference's after 300 s."""
    wanted = _psnr(bench, SMALL, REFERENCE, REFERENCE_SECONDS)
    what = "spot, 64 px: time to the PSNR of the reference after 300 s"
    for budget in BUDGETS:
        if _psnr(bench, SMALL, PRESET, budget) >= wanted:
            run = bench.trained(bench.dataset(SMALL), PRESET, budget)
            seconds, bar = bench.seconds(budget), bench.seconds(REFERENCE_SECONDS) / 100
            note = f"to {wanted:.1f} dB; {run.wall_seconds:.1f} s with reading, compiling and saving"
            return [Figure(what, seconds, "s", bar, bench.seconds(REFERENCE_SECONDS), lower=True, note=note)]
    return [Figure(what, None, "s", note=f"not within {BUDGETS[-1]:g} s: {wanted:.1f} dB")]


def rendering(bench: Bench) -> list[Figure]:
    """Milliseconds for colour, depth and labels of one view of 128 px, median over the test views."""
    dataset, name = bench.dataset(MEDIUM), "render_ms_per_view"
    ours = bench.evaluated(bench.trained(dataset, PRESET, MINUTE), dataset)[name]
    run = bench.trained(bench.dataset(SMALL), REFERENCE, REFERENCE_SECONDS)
    reference = bench.evaluated(run, dataset)[name]
    what = "spot, 128 px: one view rendered"
    return [Figure(what, ours, "ms", 30.0, reference, lower=True), Figure(f"{what} by the reference", reference, "ms")]


def memory(bench: Bench) -> list[Figure]:
    """What each further ray of a batch adds to the peak of a training step's memory."""
    few, many = (_peak(bench, rays) for rays in (RAYS_FEW, RAYS_MANY))
    kilobytes = (many - few) / (RAYS_MANY - RAYS_FEW) / 1000
    return [Figure("training memory a ray", kilobytes, "KB", 20.0, lower=True)]


def _peak(bench: Bench, rays: int) -> int:
    """Bytes, in a process of its own, so that nothing else has set the peak."""
    script = Path(__file__).with_name("peak_memory.py")
    command = [sys.executable, str(script), str(bench.dataset(MEDIUM)), str(rays), str(bench.device)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def large(bench: Bench) -> list[Figure]:
    """The rows for a GPU: a large object learned in a minute, and frames of it a second."""
    reached = _psnr(bench, LARGE, PRESET, MINUTE)
    frames = _frames(bench, Run.load(bench.trained(bench.dataset(LARGE), PRESET, MINUTE).folder, bench.device))
    return [
        Figure(f"spot, {GPU_SIZE} px, after 60 s", reached, "dB", 34.0),
        Figure(f"spot, {GPU_FRAME} px: frames a second", frames, "1/s", 30.0),
    ]


def _frames(bench: Bench, run: Run) -> float:
    """Colour pictures a second, copied to the processor, from cameras of the test views."""
    views = open_dataset(bench.dataset(LARGE)).views("test", "spot")
    cameras = [_resized(camera, GPU_FRAME) for camera in views.cameras]
    run.render("spot", cameras[0], ("colour",))  # compiles
    if bench.device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for frame in range(GPU_FRAMES):
        run.render("spot", cameras[frame % len(cameras)], ("colour",))
    return GPU_FRAMES / (time.perf_counter() - start)


def _resized(camera: Camera, size: int) -> Camera:
    old = camera.intrinsics
    factor = size / old.width
    new = Intrinsics(old.fl_x * factor, old.fl_y * factor, old.cx * factor, old.cy * factor, size, size)
    return replace(camera, intrinsics=new)


ROWS = (
    Row("reference", reference_step),
    Row("quality", quality),
    Row("time", time_to_reference),
    Row("render", rendering),
    Row("memory", memory),
    Row("large", large, gpu=True),
)
