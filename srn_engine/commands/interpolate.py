"""`srn-engine interpolate`: the way from one instance to the next, as pictures."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched


def add(commands: Any) -> None:
    parser = command(commands, "interpolate", "render the way from one instance to the next", run)
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--between", nargs="+", required=True, metavar="ID", help="two instances or more, in order")
    parser.add_argument("--frames", type=int, default=60, metavar="N", help="default: %(default)s")
    parser.add_argument("--size", type=int, default=256, help="pixels a side, default: %(default)s")
    parser.add_argument("--orbit", action="store_true", help="go once around meanwhile")
    parser.add_argument("--elevation", type=float, default=20.0, help="of the camera, degrees, default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    from srn_engine.results.rigs import orbit, stand_of
    from srn_engine.results.views import interpolate
    from srn_engine.train.run import Run

    opened = Run.load(args.run_folder, args.device)
    cameras = orbit(stand_of(opened), args.frames, args.size, args.elevation)
    if not args.orbit:
        cameras = cameras[:1] * args.frames
    result = watched(args, lambda report: interpolate(opened, args.between, cameras, args.out, report))
    return show(args, result, f"{result['views']} frames: {result['animation']}")
