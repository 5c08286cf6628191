"""The row about the cost of more instances: memory and time of trainings on few and on many made shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.context import Bench, Row
from bench.figures import Figure
from bench.procedural import write_shapes

WARM_UP, FEW, MANY = 2, 50, 500
STEPS_EACH = 4  # half of them on the codes: each instance has its turn there twice
FLAT = 1.25  # how many times as much is still the same


def cost(bench: Bench) -> list[Figure]:
    """Peak memory, time of a step, and time of all that is done once for each instance, against few instances."""
    counts = bench.count(FEW), bench.count(MANY)
    few, many = (_measure(bench, count) for count in counts)
    more = (many["peak"] - few["peak"]) / max(counts[1] - counts[0], 1) / 1000
    return figures(counts, few, many, f"{more:.0f} KB for each further instance")


def figures(counts: tuple[int, int], few: dict[str, float], many: dict[str, float], note: str) -> list[Figure]:
    """`few` and `many`: peak in bytes, seconds a step, seconds beside the steps, as train_shapes.py prints them."""
    what, against = f"{counts[1]} instances", f"against {counts[0]} instances"

    def figure(name: str, unit: str, less: float, more: float, note: str) -> Figure:
        return Figure(f"{what}: {name}", more, unit, FLAT * less, less, lower=True, note=f"{against}{note}")

    rest = [1000 * cost["rest"] / count for cost, count in zip((few, many), counts, strict=True)]
    return [
        figure("peak memory", "MB", few["peak"] / 1e6, many["peak"] / 1e6, f"; {note}"),
        figure("a step of one", "ms", 1000 * few["step"], 1000 * many["step"], ""),
        figure("reading, carving and saving one", "ms", *rest, ""),
    ]


def _measure(bench: Bench, count: int) -> dict[str, float]:
    script = Path(__file__).with_name("train_shapes.py")
    warm_up, dataset = _shapes(bench, WARM_UP), _shapes(bench, count)
    run = bench.work / f"{dataset.name}-run"
    command = [sys.executable, str(script), str(dataset), str(warm_up), str(STEPS_EACH * count), str(run)]
    command.append(str(bench.device))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _shapes(bench: Bench, count: int) -> Path:
    folder = bench.work / f"shapes-{count}"
    return folder if (folder / "dataset.json").is_file() else write_shapes(folder, count)


ROWS = (Row("instances", cost),)
