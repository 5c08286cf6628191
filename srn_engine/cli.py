"""The command `srn-engine`."""

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence

from srn_engine import __version__
from srn_engine.commands import check, convert, evaluate, fit, inspect, interpolate, label, mesh, render, serve, train
from srn_engine.commands.common import device_named
from srn_engine.errors import UserError
from srn_engine.progress import Cancelled

COMMANDS = (serve, train, fit, evaluate, render, label, interpolate, mesh, inspect, convert, check)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0, 1 for what cannot be done, 2 for bad usage."""
    args = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING)
    try:
        args.device = device_named(args.device)
        status: int = args.run(args)
    except UserError as error:
        return _failed(str(error), args.debug)
    except Cancelled as cancelled:
        place = cancelled.result.get("run", cancelled.result.get("out"))
        return _failed("stopped" if place is None else f"stopped; what was done is in {place}")
    except KeyboardInterrupt:
        return _failed("stopped")
    except (OSError, MemoryError, RuntimeError) as error:  # a full disk, too little memory, a device that failed
        return _failed(f"this failed unexpectedly ({error}); --debug says more", args.debug)
    return status


def _failed(message: str, with_traceback: bool = False) -> int:
    if with_traceback:
        traceback.print_exc()
    print(f"srn-engine: {message}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="srn-engine", description="Trains neural scenes and renders them.")
    parser.add_argument("--version", action="version", version=f"srn-engine {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser
