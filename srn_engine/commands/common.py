"""What every command shares: its common options, the progress bar and how a result is printed."""

import argparse
import json
import signal
import threading
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress, Report


def command(
    commands: Any, name: str, help_text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Adds the subcommand `name`, with the options that all have; `run` does it and returns the exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text.capitalize())
    parser.add_argument("--device", default="auto", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON and nothing else")
    parser.add_argument("--debug", action="store_true", help="print tracebacks and everything logged")
    parser.set_defaults(run=run)
    return parser


def device_named(name: str) -> torch.device:
    """The device that `--device` names; UserError where it is not here."""
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(best if name == "auto" else name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"There is no device {name!r} here; choose {best}.") from error
    return device


def watched(args: argparse.Namespace, work: Callable[[Report], dict[str, Any]]) -> dict[str, Any]:
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


def show(args: argparse.Namespace, result: dict[str, Any], line: str) -> int:
    """Prints the result, as JSON where that was asked for, else as `line`; the exit status of success."""
    print(json.dumps(result) if args.json else line)
    return 0
