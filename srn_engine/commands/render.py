"""`srn-engine render`: views of an instance from any cameras, as files."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched
from srn_engine.limits import PASSES


def add(commands: Any) -> None:
    parser = command(commands, "render", "render views of an instance to PNG and EXR files", run)
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--instance", metavar="ID", help="may be left out where the run has one")
    cameras = parser.add_mutually_exclusive_group(required=True)
    cameras.add_argument(
        "--poses", type=Path, metavar="FILE",
        help="a transforms.json, a folder of pose files (OpenCV axes) or an .npy (N, 4, 4), in dataset units",
    )  # fmt: skip
    cameras.add_argument("--orbit", type=int, metavar="N", help="N cameras on a circle around the instance")
    parser.add_argument(
        "--world-units", action="store_true",
        help="the poses are in the units that the dataset was made from, not in the dataset's",
    )  # fmt: skip
    parser.add_argument("--elevation", type=float, default=20.0, help="of the orbit, degrees, default: %(default)s")
    parser.add_argument("--size", type=int, default=256, help="pixels on the longer side, default: %(default)s")
    parser.add_argument("--passes", default=",".join(PASSES), help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    from srn_engine.results.poses import in_dataset_units, read_cameras
    from srn_engine.results.rigs import orbit, stand_of
    from srn_engine.results.views import instance_of, render_views
    from srn_engine.train.run import Run

    opened = Run.load(args.run_folder, args.device)
    instance = instance_of(opened, args.instance)
    stand = stand_of(opened)
    if args.poses is not None:
        cameras = read_cameras(args.poses, args.size, stand.intrinsics(args.size))
        cameras = [in_dataset_units(camera, instance) for camera in cameras] if args.world_units else cameras
    else:
        cameras = orbit(stand, args.orbit, args.size, args.elevation)
    passes = args.passes.split(",")
    result = watched(args, lambda report: render_views(opened, instance.id, cameras, passes, args.out, report))
    return show(args, result, f"{result['views']} views: {result['out']}")
