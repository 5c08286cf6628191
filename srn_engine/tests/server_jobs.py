"""An engine whose work is short and exact: `python server_jobs.py --token-stdin`, for tests of either side.

`train` counts to `steps` in `seconds` and shows a preview at each step; its `preset` chooses how it ends: `save`
(default; keeps its count when cancelled), `fail`, `essay` (an endless sentence), `bug`. `render` gives arrays that
`picture` computes; its instance `slow` takes five seconds, `slow-2` two and so on, `pickled` gives an array of Python
objects, `huge` a result that a text frame could hold, but for what stands beside it. `mesh` gives a tetrahedron, `fit`
and `propose_views` what they were asked with.
"""

import argparse
import logging
import sys
import time

import numpy as np
import torch

from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress
from srn_engine.server import serve
from srn_engine.server.job import Desk, Outcome
from srn_engine.server.params import Evaluate, Fit, JobParams, Mesh, ProposeViews, Render, Train
from srn_engine.server.protocol import MAX_RESULT
from srn_engine.server.server import About


def picture(name: str, width: int, height: int) -> np.ndarray:
    shape = {"colour": (height, width, 4), "normal": (height, width, 3)}.get(name, (height, width))
    count = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(2654435761)
    if name == "semantic":
        return (count >> 24).astype(np.uint8).reshape(shape)
    return (count.astype(np.float32) / np.float32(2**32)).reshape(shape)


def train(params: JobParams, report: Desk) -> Outcome:
    assert isinstance(params, Train)
    if params.preset == "fail":
        raise UserError(f"{params.dataset} has no view: capture it again.")
    if params.preset == "essay":
        raise UserError("long " * 2**20)
    if params.preset == "bug":
        raise ZeroDivisionError("a bug")
    steps = params.steps or 10
    for step in range(steps):
        try:
            report(Progress(step / steps, f"step {step}", None, {"step": step, "loss": float("nan")}))
        except Cancelled:
            raise Cancelled({"run": params.run, "steps": step, "seconds": 0.0, "psnr": None}) from None
        view = report.wanted()
        if view is not None:
            size = view.camera.intrinsics
            report.show(step, 0.5 * step, {"colour": picture("colour", size.width, size.height)})
        time.sleep((params.seconds or 0.1) / steps)
    return Outcome({"run": params.run, "steps": steps, "seconds": params.seconds, "psnr": np.float32(30)})


def render(params: JobParams, report: Desk) -> Outcome:
    assert isinstance(params, Render)
    (instance, *_) = params.weights
    if instance.startswith("slow"):
        steps = 100 * int(instance.removeprefix("slow").removeprefix("-") or 5)
        for step in range(steps):
            report(Progress(step / steps, "rendering"))
            time.sleep(0.01)
    if instance == "pickled":
        return Outcome({"seconds": 0.0}, {"colour": np.array([object()])})
    if instance == "huge":
        return Outcome({"seconds": 0.0, "note": "x" * MAX_RESULT})
    size = params.camera.intrinsics
    return Outcome({"seconds": 0.0}, {name: picture(name, size.width, size.height) for name in params.passes})


def evaluate(params: JobParams, report: Desk) -> Outcome:
    assert isinstance(params, Evaluate)
    report(Progress(0.5, f"view 1 of {params.split}"))
    mean = {"psnr": 30.0, "ssim": 0.9, "depth_abs_rel": float("nan"), "miou": None, "lpips": None}
    views = [{"instance": "any", "view": f"{params.split} 000000"} | mean]
    metrics = {"mean": mean, "instances": {"any": mean}, "views": views}
    return Outcome({"metrics": metrics, "render_ms_per_view": 1.0, "report": params.report})


def fit(params: JobParams, report: Desk) -> Outcome:
    assert isinstance(params, Fit)
    found = {"id": params.dataset.name, "seen_psnr": 30.0, "agreement_psnr": None, "sure": 0.5}
    return Outcome({"run": params.fitted, "seconds": float(params.views or 0), "instances": [found]})


def mesh(params: JobParams, report: Desk) -> Outcome:
    assert isinstance(params, Mesh)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], np.int32)
    arrays = {
        "vertices": corners,
        "normals": corners / np.float32(np.sqrt(3)),
        "triangles": triangles[: 0 if params.points else 4],
        "colours": np.full((4, 3), 200, np.uint8),
        "labels": np.arange(4, dtype=np.uint8),
    }
    return Outcome({"seconds": 0.0, "watertight": params.points is None}, arrays)


def propose_views(params: JobParams, report: Desk) -> Outcome:
    assert isinstance(params, ProposeViews)
    scores = [float(camera.pose[0, 3]) for camera in params.cameras]
    views = sorted(range(len(scores)), key=lambda number: -scores[number])[: params.count]
    return Outcome({"views": views, "scores": scores, "psnr": 30.0})


WORK = {
    "train": train,
    "render": render,
    "evaluate": evaluate,
    "fit": fit,
    "mesh": mesh,
    "propose_views": propose_views,
}


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    args = parser.parse_args(sys.argv[1:])
    about = About("0.0.0", "cpu", torch.__version__, ["save", "fail", "bug"])
    try:
        serve.serve_work(WORK, about, args)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
