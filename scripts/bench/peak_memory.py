"""Prints the peak of memory, in bytes, of training steps of preset `fast` with so many rays: DATASET RAYS DEVICE.

A part of scripts/bench, which starts it twice and takes the difference.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from srn_engine.data.rays import RayPool  # noqa: E402
from srn_engine.data.readers import open_dataset  # noqa: E402
from srn_engine.model.presets import FastPreset  # noqa: E402
from srn_engine.train.fast import FastLearner, begin  # noqa: E402

STEPS = 3
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main() -> None:
    device = torch.device(sys.argv[3])
    preset = replace(FastPreset(), rays=int(sys.argv[2]))
    data = open_dataset(Path(sys.argv[1]))
    rays = RayPool(data.views("train", data.instances[0].id), device)
    learner = FastLearner(begin(rays, len(data.classes), preset).to(device), rays, preset, seed=0)
    learner.warm_up()
    for _ in range(STEPS):
        learner.step(0.0)
    print(peak(device))


def peak(device: torch.device) -> int:
    """Bytes that this process, or what it computes on the GPU, took up at most."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    about = Path("/proc/self/status")
    if about.is_file():  # Linux lets a process begin with its parent's ru_maxrss
        line = next(line for line in about.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


if __name__ == "__main__":
    main()
