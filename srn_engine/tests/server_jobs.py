"""An engine whose work is short and exact: `python server_jobs.py --token-stdin`, for tests of either side.

`train` counts to `steps` in `seconds`; its `preset` chooses how it ends: `save` (default; keeps its count when
cancelled), `fail`, `essay` (an endless sentence), `bug`. `render` gives arrays that `picture` computes; its instance
`slow` takes five seconds, `pickled` gives an array of Python objects, `huge` a result over the limit of a text frame.
"""

import argparse
import logging
import sys
import time

import numpy as np
import torch

from srn_engine.errors import UserError
from srn_engine.progress import Cancelled, Progress, Report
from srn_engine.server import serve
from srn_engine.server.jobs import Outcome
from srn_engine.server.params import Evaluate, JobParams, Render, Train
from srn_engine.server.server import About


def picture(name: str, width: int, height: int) -> np.ndarray:
    shape = {"colour": (height, width, 4), "normal": (height, width, 3)}.get(name, (height, width))
    count = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(2654435761)
    if name == "semantic":
        return (count >> 24).astype(np.uint8).reshape(shape)
    return (count.astype(np.float32) / np.float32(2**32)).reshape(shape)


def train(params: JobParams, report: Report) -> Outcome:
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
        time.sleep((params.seconds or 0.1) / steps)
    return Outcome({"run": params.run, "steps": steps, "seconds": params.seconds, "psnr": np.float32(30)})


def render(params: JobParams, report: Report) -> Outcome:
    assert isinstance(params, Render)
    if params.instance == "slow":
        for step in range(500):
            report(Progress(step / 500, "rendering"))
            time.sleep(0.01)
    if params.instance == "pickled":
        return Outcome({"seconds": 0.0}, {"colour": np.array([object()])})
    if params.instance == "huge":
        return Outcome({"seconds": 0.0, "note": "x" * 2**20})
    width, height = params.camera["width"], params.camera["height"]
    assert isinstance(width, int) and isinstance(height, int)
    return Outcome({"seconds": 0.0}, {name: picture(name, width, height) for name in params.passes})


def evaluate(params: JobParams, report: Report) -> Outcome:
    assert isinstance(params, Evaluate)
    report(Progress(0.5, f"view 1 of {params.split}"))
    mean = {"psnr": 30.0, "ssim": 0.9, "depth_abs_rel": float("nan"), "miou": None}
    views = [{"instance": "any", "view": f"{params.split} 000000"} | mean]
    metrics = {"mean": mean, "instances": {"any": mean}, "views": views}
    return Outcome({"metrics": metrics, "render_ms_per_view": 1.0, "report": params.report})


WORK = {"train": train, "render": render, "evaluate": evaluate}


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
