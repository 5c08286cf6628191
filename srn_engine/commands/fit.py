"""`srn-engine fit`: finds new instances from a few views of each."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched


def add(commands: Any) -> None:
    parser = command(commands, "fit", "fit new instances from a few posed views", run)
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run of several instances")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="posed views of the new ones")
    parser.add_argument("--out", type=Path, required=True, metavar="FITTED", help="folder for the run of the new ones")
    parser.add_argument("--views", type=int, metavar="N", help="how many views of each (default: all)")
    parser.add_argument("--steps", type=int, help="steps on the codes (default: as the preset says)")
    parser.add_argument("--refine", type=int, default=0, metavar="STEPS", help="steps on all weights afterwards")
    parser.add_argument("--labels", action="store_true", help="fit to label maps alone; colours come with them")


def run(args: argparse.Namespace) -> int:
    from srn_engine.train.fit import FitOptions, fit

    options = FitOptions(args.views, args.steps, refine=args.refine, labels=args.labels)
    result = watched(args, lambda report: fit(args.run_folder, args.dataset, args.out, options, args.device, report))
    return show(args, result, _told(result))


def _told(result: dict[str, Any]) -> str:
    """A line for each instance, and one for the run."""
    lines = []
    for one in result["instances"]:
        unseen = one["agreement_psnr"]
        others = "" if unseen is None else f", {unseen:.1f} dB in views that it was not given"
        lines.append(f"{one['id']}: {one['sure']:.0%} sure; {one['seen_psnr']:.1f} dB in the views given{others}")
    return "\n".join([*lines, f"{len(lines)} instances in {result['seconds']:.2f} s: {result['run']}"])
