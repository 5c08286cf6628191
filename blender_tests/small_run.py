"""Trains small networks of many instances, which learn a little in seconds, with the engine's Python.

python -m blender_tests.small_run DATASET RUN
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from srn_engine.progress import silent
from srn_engine.train.options import TrainOptions
from srn_engine.train.trainer import train

SMALL = {"channels": 8, "side": 12, "hidden": 16, "encoder_widths": (8, 8, 8), "rays": 1024, "guess_after": 0.9}

if __name__ == "__main__":
    dataset, run = map(Path, sys.argv[1:])
    train(dataset, run, TrainOptions(steps=150, seed=1, changes=SMALL), torch.device("cpu"), silent)
