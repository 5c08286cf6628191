"""What the engine does for each kind of job."""

import time
from collections.abc import Mapping, Sized
from functools import partial

import torch

from srn_engine.limits import MESH
from srn_engine.server.job import Desk, Outcome, Work
from srn_engine.server.params import Evaluate, Fit, JobParams, Mesh, ProposeViews, Render, Train
from srn_engine.server.runs import LoadedRuns

MAX_ROWS = 100  # instances or views that are told one by one: the last results must fit into one frame

# Training and rendering pull in compilers and image libraries: they are imported when the first job needs them.


def engine_work(device: torch.device) -> Mapping[str, Work]:
    """The work of each kind of job on `device`."""
    runs = LoadedRuns(device)
    return {
        "train": partial(_train, device=device),
        "render": partial(_render, runs=runs),
        "evaluate": partial(_evaluate, device=device),
        "fit": partial(_fit, device=device),
        "mesh": partial(_mesh, runs=runs),
        "propose_views": partial(_propose_views, device=device),
    }


def presets() -> list[str]:
    from srn_engine.model.presets import PRESETS

    return list(PRESETS)


def _train(params: JobParams, desk: Desk, device: torch.device) -> Outcome:
    from srn_engine.train.options import TrainOptions
    from srn_engine.train.trainer import SAVE_EVERY, train

    assert isinstance(params, Train)
    names = ("preset", "seconds", "steps", "seed")
    given = {name: value for name in names if (value := getattr(params, name)) is not None}
    save_every = params.save_every or SAVE_EVERY
    options = TrainOptions(**given)
    return Outcome(train(params.dataset, params.run, options, device, desk, params.resume, desk, save_every))


def _render(params: JobParams, desk: Desk, runs: LoadedRuns) -> Outcome:
    from srn_engine.train.run import render

    assert isinstance(params, Render)
    run, scene = runs.scene(params.run, params.weights)
    start = time.perf_counter()
    arrays = render(scene, params.camera, params.passes, run.scene, desk)
    return Outcome({"seconds": time.perf_counter() - start}, {name: arrays[name] for name in params.passes})


def _evaluate(params: JobParams, desk: Desk, device: torch.device) -> Outcome:
    from srn_engine.train.evaluate import evaluate

    assert isinstance(params, Evaluate)
    result = evaluate(params.run, params.dataset, params.split, params.report, device, desk)
    return Outcome(result | {"metrics": {name: _told(rows) for name, rows in result["metrics"].items()}})


def _fit(params: JobParams, desk: Desk, device: torch.device) -> Outcome:
    from srn_engine.train.fit import FitOptions, fit

    assert isinstance(params, Fit)
    result = fit(params.run, params.dataset, params.fitted, FitOptions(views=params.views), device, desk)
    return Outcome(result | {"instances": _told(result["instances"])})


def _mesh(params: JobParams, desk: Desk, runs: LoadedRuns) -> Outcome:
    from srn_engine.results.mesh import extract
    from srn_engine.results.rigs import stand_of

    assert isinstance(params, Mesh)
    start = time.perf_counter()
    run, scene = runs.scene(params.run, {params.instance: 1.0})
    surface = extract(scene, run.scene, stand_of(run), params.resolution or MESH, params.points, desk)
    names = ("vertices", "normals", "triangles", "colours", "labels")
    arrays = {name: array for name in names if (array := getattr(surface, name)) is not None}
    return Outcome({"seconds": time.perf_counter() - start, "watertight": surface.watertight}, arrays)


def _propose_views(params: JobParams, desk: Desk, device: torch.device) -> Outcome:
    from srn_engine.train.propose import propose_views

    assert isinstance(params, ProposeViews)
    result = propose_views(params.dataset, params.instance, params.cameras, params.count, params.seconds, device, desk)
    return Outcome(result)


def _told(rows: Sized) -> Sized | None:
    return rows if len(rows) <= MAX_ROWS else None
