"""Measures the rows of the table and keeps them: what `python scripts/bench` runs in the engine's environment."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import torch  # noqa: E402
from bench import few_views, instances, one_class, one_object  # noqa: E402
from bench.context import Bench, Row  # noqa: E402
from bench.figures import Figure, Measured, about, keep, kept_before, name_of, surroundings, table  # noqa: E402

from srn_engine.errors import UserError  # noqa: E402

ROWS = {row.name: row for part in (one_object, one_class, few_views, instances) for row in part.ROWS}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Prints and keeps every row of the table.")
    asked = ", ".join(row.name for row in ROWS.values() if row.asked)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=sorted(ROWS),
        metavar="ROW",
        help=f"out of {', '.join(ROWS)}; {asked} is measured only where it is named",
    )
    parser.add_argument("--data", type=Path, default=ROOT / "out" / "bench", help="the datasets (default out/bench)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="default benchmarks")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "out" / "runs", help="keeps the runs, a folder a table (default out/runs)"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="JSON", help="go on with this kept table: what it holds is not measured again"
    )
    parser.add_argument("--device", nargs="+", default=None, help="default: cpu, and cuda where there is one")
    parser.add_argument(
        "--class-seconds", type=float, default=1200.0, help="for a preset to learn the chairs (default 1200)"
    )
    parser.add_argument(
        "--network-seconds", type=float, default=240.0, help="for the network of 2016 to learn them (default 240)"
    )
    parser.add_argument(
        "--hurry", type=float, default=1.0, help="train so many times shorter, to try the command; keeps nothing"
    )
    return parser.parse_args()


def measure(row: Row, bench: Bench) -> Measured:
    """The row's figures, or a figure that says why there are none."""
    start = time.perf_counter()
    try:
        figures = row.measure(bench)
    except UserError as error:
        figures = [Figure(row.name, None, "", note=str(error))]
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or ["nothing"]
        figures = [Figure(row.name, None, "", note=f"{error.cmd[1]} ended with {said[-1]}")]
    return Measured(row.name, str(bench.device), round(time.perf_counter() - start, 1), tuple(figures))


def chosen(only: list[str] | None, device: str) -> list[Row]:
    """The rows that are asked for on a device."""
    if only is not None:
        return [row for name, row in ROWS.items() if name in only]
    return [row for row in ROWS.values() if not row.asked and (device != "cpu" or not row.gpu)]


def fill(options: argparse.Namespace, around: dict[str, Any], measured: list[Measured], runs: Path) -> None:
    """Measures what is missing in `measured`, and keeps the table after each row: the rest takes long."""
    for device in options.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        work = runs / device.replace(":", "-")
        budgets = options.class_seconds, options.network_seconds
        bench = Bench(options.data, work, torch.device(device), options.hurry, *budgets)
        for row in chosen(options.only, device):
            if any((one.row, one.device) == (row.name, str(bench.device)) for one in measured):
                continue
            measured.append(measure(row, bench))
            print(f"\n{row.name} on {device}: {measured[-1].seconds:.0f} s\n{table(measured[-1:])}", flush=True)
            if options.hurry == 1.0:
                keep(options.out, around, measured)


def main() -> int:
    options = arguments()
    around, measured = kept_before(options.resume) if options.resume else (surroundings(sys.argv[1:]), [])
    print(about(around), flush=True)
    if options.hurry == 1.0:
        fill(options, around, measured, options.runs / name_of(around))
    else:
        with tempfile.TemporaryDirectory() as runs:
            fill(options, around, measured, Path(runs))
    print(f"\n{table(measured)}")
    if options.hurry == 1.0:
        print(f"\n{options.out / name_of(around)}.md and .json; the runs are in {options.runs / name_of(around)}")
    return 1 if any(figure.value is None for one in measured for figure in one.figures) else 0


if __name__ == "__main__":
    sys.exit(main())
