"""The command `srn-engine`."""

import argparse
import json
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from srn_engine import __version__
from srn_engine.errors import UserError
from srn_engine.model.presets import PRESETS
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.server import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0, 1 for what cannot be done, 2 for bad usage."""
    args = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING)
    try:
        args.device = _device(args.device)
        status: int = args.run(args)
    except UserError as error:
        if args.debug:
            traceback.print_exc()
        print(f"srn-engine: {error}", file=sys.stderr)
        return 1
    except Cancelled as cancelled:
        kept = f"; what was learned is in {cancelled.result['run']}" if "run" in cancelled.result else ""
        print(f"srn-engine: stopped{kept}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("srn-engine: stopped", file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError) as error:  # a full disk, too little memory, a device that failed
        if args.debug:
            traceback.print_exc()
        print(f"srn-engine: this failed unexpectedly ({error}); --debug says more", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="srn-engine", description="Trains neural scenes and renders them.")
    parser.add_argument("--version", action="version", version=f"srn-engine {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "serve", "wait for jobs on a socket", serve.run)
    serve.add_arguments(command)

    command = _command(commands, "train", "train on a dataset", _train)
    command.add_argument("dataset", type=Path, help="folder of a captured dataset")
    command.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for the run")
    command.add_argument("--preset", default="fast", choices=sorted(PRESETS), help="default: %(default)s")
    budget = command.add_mutually_exclusive_group()
    budget.add_argument("--seconds", type=float, help="train for so long")
    budget.add_argument("--steps", type=int, help="train for so many steps")
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")

    command = _command(commands, "evaluate", "measure a run on held-out views", _evaluate)
    command.add_argument("run_folder", type=Path, metavar="RUN")
    command.add_argument("dataset", type=Path, metavar="DATASET")
    command.add_argument("--split", default="test", choices=("train", "val", "test"), help="default: %(default)s")
    command.add_argument("--report", type=Path, metavar="DIR", help="write compare.png and report.html there")
    return parser


def _command(
    commands: Any, name: str, help_text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text.capitalize())
    command.add_argument("--device", default="auto", help="cpu, cuda or mps (default: the best there is)")
    command.add_argument("--json", action="store_true", help="print the result as JSON and nothing else")
    command.add_argument("--debug", action="store_true", help="print tracebacks and everything logged")
    command.set_defaults(run=run)
    return command


def _device(name: str) -> torch.device:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(best if name == "auto" else name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"There is no device {name!r} here; choose {best}.") from error
    return device


def _train(args: argparse.Namespace) -> int:
    from srn_engine.train.options import TrainOptions
    from srn_engine.train.trainer import train

    options = TrainOptions(args.preset, args.seconds, args.steps, args.seed)
    result = _watched(args, lambda report: train(args.dataset, args.out, options, args.device, report))
    quality = "" if result["psnr"] is None else f", PSNR {result['psnr']:.2f} dB on the val views"
    return _print(args, result, f"{result['steps']} steps in {result['seconds']:.1f} s{quality}: {result['run']}")


def _evaluate(args: argparse.Namespace) -> int:
    from srn_engine.train.evaluate import evaluate

    result = _watched(
        args, lambda report: evaluate(args.run_folder, args.dataset, args.split, args.report, args.device, report)
    )
    mean = {name: value for name, value in result["metrics"]["mean"].items() if value is not None}
    return _print(args, result, "  ".join(f"{name} {value:.4f}" for name, value in mean.items()))


def _watched(args: argparse.Namespace, work: Callable[[Report], dict[str, Any]]) -> dict[str, Any]:
    """Does `work` under a progress bar on standard error; Ctrl-C stops it where it can keep what it has."""
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=args.json or not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=1.0)

        def report(progress: Progress) -> None:
            if interrupted.is_set():
                signal.signal(signal.SIGINT, before)  # a second Ctrl-C ends what does not listen
                raise Cancelled
            bar.update(task, completed=progress.fraction, description=progress.message)

        try:
            return work(report)
        finally:
            signal.signal(signal.SIGINT, before)


def _print(args: argparse.Namespace, result: dict[str, Any], line: str) -> int:
    print(json.dumps(result) if args.json else line)
    return 0
