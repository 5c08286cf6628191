"""`srn-engine check`: says what the engine runs on, and how fast it is."""

import argparse
import importlib
import platform
import sys
import time
from typing import Any

import torch

from srn_engine import __version__
from srn_engine.commands.common import command, show
from srn_engine.errors import UserError

SECONDS = 1.0  # of measuring
SIZE = 1024  # of the matrices
# Between them these load nearly every package that the engine needs.
PARTS = (
    "model.fast.march_kernels",
    "server.server",
    "server.work",
    "train.learners",
    "results.mesh",
    "results.embedding",
    "report",
)


def add(commands: Any) -> None:
    command(commands, "check", "say what the engine runs on, and how fast it is", run)


def run(args: argparse.Namespace) -> int:
    _load_parts()
    device = args.device
    result = {
        "engine": __version__,
        "interpreter": sys.executable,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": device.type,
        "name": device_title(device),
        "gflops": round(gflops(device, SECONDS), 1),
    }
    return show(args, result, "\n".join(f"{key:12} {value}" for key, value in result.items() if value is not None))


def gflops(device: torch.device, seconds: float) -> float:
    """Billions of float32 operations a second, as multiplying matrices gives them, measured for so long."""
    a, b = (torch.rand(SIZE, SIZE, device=device) for _ in range(2))
    count = 0
    (a @ b).sum().item()  # the first one also sets things up
    begin = time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds or count == 0:
        (a @ b).sum().item()  # waits for the device
        count += 1
    return 2 * SIZE**3 * count / spent / 1e9


def device_title(device: torch.device) -> str:
    """What a person calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def _load_parts() -> None:
    for part in PARTS:
        try:
            importlib.import_module(f"srn_engine.{part}")
        except ImportError as error:
            raise UserError(f"The engine cannot be loaded ({error}): install it again.") from error
