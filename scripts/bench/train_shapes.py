"""Trains preset `fast` on made shapes, in a process of its own, and prints what it took as JSON: DATASET WARM_UP STEPS
RUN DEVICE.

A part of scripts/bench, which starts it with few instances and with many. WARM_UP is a small dataset that is trained on
first, so that what is compiled does not count.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import torch  # noqa: E402
from bench.peak_memory import peak  # noqa: E402

from srn_engine.progress import silent  # noqa: E402
from srn_engine.train.options import TrainOptions  # noqa: E402
from srn_engine.train.trainer import train  # noqa: E402


def main() -> None:
    dataset, warm_up, run = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[4])
    device = torch.device(sys.argv[5])
    train(warm_up, run, TrainOptions(steps=4), device, silent)
    start = time.perf_counter()
    # Half of the steps for the codes, so that every instance has its turn, half for the encoder.
    options = TrainOptions(steps=int(sys.argv[3]), changes={"guess_after": 0.5})
    result = train(dataset, run, options, device, silent)
    spent = time.perf_counter() - start
    step = result["seconds"] / result["steps"]
    print(json.dumps({"peak": peak(device), "step": step, "rest": spent - result["seconds"]}))


if __name__ == "__main__":
    main()
