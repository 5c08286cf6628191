"""`srn-engine train`: trains on a dataset and leaves a run."""

import argparse
import json
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched
from srn_engine.model.presets import PRESETS, tuples


def add(commands: Any) -> None:
    parser = command(commands, "train", "train on a dataset", run)
    parser.add_argument("dataset", type=Path, help="folder of a dataset")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for the run")
    parser.add_argument("--preset", default="fast", choices=sorted(PRESETS), help="default: %(default)s")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--seconds", type=float, help="train for so long")
    budget.add_argument("--steps", type=int, help="train for so many steps")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_change,
        metavar="NAME=VALUE",
        help="what shall differ from the preset's own numbers, as conditioning=film; may be given again",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run; a budget that is given counts from its start"
    )


def _change(text: str) -> tuple[str, object]:
    """NAME=VALUE; a value that is no JSON is a word."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, tuples(json.loads(value))
    except ValueError:
        return name, value


def run(args: argparse.Namespace) -> int:
    from srn_engine.train.options import TrainOptions
    from srn_engine.train.trainer import train

    options = TrainOptions(args.preset, args.seconds, args.steps, args.seed, dict(args.set))
    result = watched(args, lambda report: train(args.dataset, args.out, options, args.device, report, args.resume))
    quality = "" if result["psnr"] is None else f", PSNR {result['psnr']:.2f} dB on the val views"
    return show(args, result, f"{result['steps']} steps in {result['seconds']:.1f} s{quality}: {result['run']}")
