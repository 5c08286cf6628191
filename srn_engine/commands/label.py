"""`srn-engine label`: teaches a run labels from a few labelled images."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched


def add(commands: Any) -> None:
    parser = command(commands, "label", "teach a run labels from a few labelled images of a dataset", run)
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="takes on the labels; all else in it stays")
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument(
        "--images", type=int, default=30, metavar="N", help="labelled train views, default: %(default)s"
    )
    parser.add_argument("--instances", type=int, default=10, metavar="N", help="of so many, default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="draws them, default: %(default)s")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write label maps of every view of a split there")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    from srn_engine.results.label import label

    result = watched(
        args,
        lambda report: label(
            args.run_folder, args.dataset, args.images, args.instances, args.seed, args.out, args.split, args.device,
            report,
        ),
    )  # fmt: skip
    line = f"{len(result['images'])} images in {result['seconds']:.1f} s, {result['right']:.1%} of their rays right"
    return show(args, result, line + (f"; {result['views']} label maps: {result['out']}" if "out" in result else ""))
