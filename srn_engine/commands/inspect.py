"""`srn-engine inspect`: says and draws what a dataset holds and what is wrong with it."""

import argparse
from pathlib import Path
from typing import Any

from srn_engine.commands.common import command, show, watched
from srn_engine.progress import Report


def add(commands: Any) -> None:
    parser = command(commands, "inspect", "say and draw what a dataset holds and what is wrong with it", run)
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of a dataset, of any layout that is read")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw contact.png, cameras.png and more there")


def run(args: argparse.Namespace) -> int:
    result = watched(args, lambda report: _inspected(args, report))
    return show(args, result, "\n".join(_lines(result)))


def _inspected(args: argparse.Namespace, report: Report) -> dict[str, Any]:
    from srn_engine.data.inspect import inspect, summary
    from srn_engine.data.inspect_pictures import draw

    data, found = inspect(args.dataset, report)
    drawn = draw(data, args.out) if args.out is not None else []
    return summary(data, found) | {"pictures": [str(path) for path in drawn]}


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['name']}: {result['instances']} instances in {result['root']}"]
    for split, count in result["splits"].items():
        lines.append(f"  {split:9} {count['views']} views of {count['instances']} instances")
    lines.append(f"  passes    {', '.join(result['passes'])}")
    sizes = [f"{one['width']} x {one['height']} ({one['views']} views)" for one in result["sizes"][:4]]
    lines.append(f"  pictures  {', '.join(sizes)}{' ...' if len(result['sizes']) > 4 else ''}")
    names = {"focal_length": "focal", "camera_distance": "distance", "agreement": "agreement"}
    for key, name in names.items():
        if (spread := result[key]) is not None:
            lines.append(f"  {name:9} {spread['least']:.4g} to {spread['most']:.4g}, median {spread['median']:.4g}")
    for one in result["classes"]:
        if one["share"] is not None:
            lines.append(f"  class {one['id']:3} {one['name']}: {100 * one['share']:.1f} % of the labelled pixels")
    lines += [f"  drawn     {path}" for path in result["pictures"]]
    lines += [f"! {sentence}" for sentence in result["problems"]] or ["Nothing is wrong with it."]
    return lines
