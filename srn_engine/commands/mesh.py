"""`srn-engine mesh`: the surface of an instance, coloured and labelled, as a file."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched
from srn_engine.limits import MESH


def add(commands: Any) -> None:
    parser = command(commands, "mesh", "write the surface of an instance as a mesh or a point cloud", run)
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("--instance", metavar="ID", help="may be left out where the run has one")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".ply (with labels), .glb or .obj")
    parser.add_argument("--resolution", type=int, default=MESH, metavar="N", help="points a side, default: %(default)s")
    parser.add_argument("--points", type=int, metavar="N", help="write a cloud of N points instead, .ply only")
    parser.add_argument("--dataset-units", action="store_true", help="keep the unit sphere; else as in the source")


def run(args: argparse.Namespace) -> int:
    from srn_engine.results.mesh import extract
    from srn_engine.results.mesh_files import check_name, write_surface
    from srn_engine.results.rigs import stand_of
    from srn_engine.results.views import instance_of
    from srn_engine.train.run import Run

    check_name(args.out, args.points is not None)
    opened = Run.load(args.run_folder, args.device)
    instance = instance_of(opened, args.instance)

    def work(report: Any) -> dict[str, Any]:
        scene = opened.scene_of(instance.id)
        surface = extract(scene, opened.scene, stand_of(opened), args.resolution, args.points, report)
        write_surface(args.out, surface if args.dataset_units else surface.moved(instance.centre, instance.scale))
        counts = {"vertices": len(surface.vertices), "triangles": len(surface.triangles)}
        return {"out": str(args.out), **counts, "watertight": surface.watertight}

    result = watched(args, work)
    closed = ", watertight" if result["watertight"] else ""
    return show(
        args, result, f"{result['vertices']} vertices, {result['triangles']} triangles{closed}: {result['out']}"
    )
