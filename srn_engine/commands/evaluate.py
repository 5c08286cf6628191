"""`srn-engine evaluate`: measures a run on views that it was not trained on."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched


def add(commands: Any) -> None:
    parser = command(commands, "evaluate", "measure a run on held-out views", run)
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="default: %(default)s")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write compare.png and report.html there")


def run(args: argparse.Namespace) -> int:
    from srn_engine.train.evaluate import evaluate

    result = watched(
        args, lambda report: evaluate(args.run_folder, args.dataset, args.split, args.report, args.device, report)
    )
    mean = {name: value for name, value in result["metrics"]["mean"].items() if value is not None}
    return show(args, result, "  ".join(f"{name} {value:.4f}" for name, value in mean.items()))
