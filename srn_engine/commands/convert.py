"""`srn-engine convert`: writes a dataset in another layout, or a checkpoint of the authors' code as a run."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched

LAYOUTS = ("colmap", "nerf", "nerfstudio", "srn")
CHECKPOINTS = (".pth", ".pt", ".npz")


def add(commands: Any) -> None:
    parser = command(commands, "convert", "write a dataset in another layout, or an old checkpoint as a run", run)
    parser.add_argument(
        "source", type=Path, metavar="SRC",
        help="folder of a dataset, of any layout that is read, or a checkpoint of the authors' code (.pth)",
    )  # fmt: skip
    parser.add_argument("target", type=Path, metavar="DST", help="new folder; for a checkpoint, that of the run")
    parser.add_argument("--to", choices=LAYOUTS, help="the layout to write a dataset in")
    parser.add_argument("--like", type=Path, metavar="DATASET", help="what the checkpoint was trained on")
    parser.add_argument(
        "--march-steps", type=int, default=10, metavar="N",
        help="the checkpoint's --tracing_steps, default: %(default)s",
    )  # fmt: skip
    parser.set_defaults(misused=parser.error)


def run(args: argparse.Namespace) -> int:
    if args.source.suffix in CHECKPOINTS and not args.source.is_dir():
        return _checkpoint(args)
    if args.to is None:
        args.misused("a dataset needs --to")
    from srn_engine.data.writers import convert

    result = watched(args, lambda report: convert(args.source, args.target, args.to, report))
    return show(args, result, f"{result['views']} views of {result['instances']} instances: {result['out']}")


def _checkpoint(args: argparse.Namespace) -> int:
    if args.to is not None or args.march_steps < 1:
        args.misused("a checkpoint becomes a run: it takes no --to, and one march step or more")
    from srn_engine.train.old_run import convert_checkpoint

    result = convert_checkpoint(args.source, args.target, args.like, args.march_steps)
    return show(args, result, f"{result['instances']} instances: {result['run']}")
