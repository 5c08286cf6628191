"""Finds the codes of new instances from a few posed views, the networks frozen (Sitzmann et al. 2019, section 4.2)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from srn_engine.cameras import Camera
from srn_engine.data.dataset import Views
from srn_engine.data.rays import RayPool
from srn_engine.data.readers import open_dataset
from srn_engine.errors import UserError
from srn_engine.model.interfaces import NeuralScene, PosedPictures
from srn_engine.model.presets import FastManyPreset, FastPreset
from srn_engine.progress import Progress, Report, part_of
from srn_engine.results.rigs import around, stand_of
from srn_engine.train.certainty import Certainty, agreement, seen_psnr
from srn_engine.train.learners import view_loss
from srn_engine.train.run import Run, Trained


@dataclass(frozen=True)
class FitOptions:
    """What a fit starts from and how far it goes.

    views: how many of each instance's train views, evenly spread, or their numbers; None for all. steps, rate: of Adam
    on the codes; None for what the preset says. refine: steps on all weights afterwards. labels: whether the code is
    found from label maps alone (Kohli et al. 2020, section 4.3), colours coming with it.
    """

    views: int | Sequence[int] | None = None
    steps: int | None = None
    rate: float | None = None
    refine: int = 0
    labels: bool = False
    seed: int = 0


REFINE_RATE = 1e-4


def fit(
    run: Path, dataset: Path, out: Path, options: FitOptions, device: torch.device, report: Report
) -> dict[str, Any]:
    """Fits every instance of a dataset and leaves a run of these instances in `out`; returns the job's result.

    Of each instance it says how sure it is. UserError where the run has no codes, or the dataset no train views.
    """
    trained = Run.load(run, device)
    data = open_dataset(dataset)
    instances = data.having("train")
    if not instances:
        raise UserError(f"{dataset} has no train views to fit to.")
    views = [_chosen(data.views("train", instance.id), options.views) for instance in instances]

    def fit_without(given: Sequence[Views], told: Report) -> NeuralScene:
        pools = [_pool(of_one, trained, device) for of_one in given]
        return fitted(trained, pools, replace(options, refine=0), told)

    start = time.perf_counter()
    # First: what is refined afterwards would know the views that are left out.
    elsewhere = [] if options.labels else _elsewhere(trained, views)
    agreed = agreement(views, fit_without, elsewhere, part_of(report, 0.0, 0.5))
    pools = [_pool(of_one, trained, device) for of_one in views]
    scene = fitted(trained, pools, options, part_of(report, 0.5, 0.9))
    last = part_of(report, 0.9, 1.0)
    sure = []
    for number, of_one in enumerate(views):
        last(Progress(number / len(views), f"Looking at '{instances[number].id}'"))
        sure.append(Certainty(seen_psnr(scene, number, of_one), agreed[number]))
    seconds = time.perf_counter() - start
    info = replace(trained.info, dataset=dataset.resolve(), instances=instances)
    Run.create(out, info, scene).save(scene, Trained())
    told = [{"id": one.id, **known.to_json()} for one, known in zip(instances, sure, strict=True)]
    return {"run": str(out), "seconds": seconds, "instances": told}


def _elsewhere(run: Run, views: Sequence[Views]) -> list[Camera]:
    """Two cameras like those that the run was trained with, in pictures of the size of the views: one from above and
    one from below, neither beside the other."""
    size = views[0].cameras[0].intrinsics
    ring = around(stand_of(run), 6, max(size.width, size.height))
    return [ring[1], ring[4]]


def fitted(run: Run, pools: Sequence[RayPool], options: FitOptions, report: Report) -> NeuralScene:
    """The run's networks with an instance for each pool, its code fitted to the pool's rays."""
    preset = run.info.preset
    if isinstance(preset, FastPreset):
        raise UserError(f"{run.folder} holds one instance and no codes to fit; train a run on several instances first.")
    report(Progress(0.0, "Guessing"))
    scene = run.scene.requires_grad_(False).adopting([pictures_of(pool, options.labels) for pool in pools])
    if options.labels and scene.semantic_head is None:
        raise UserError(f"{run.folder} has learned no labels to fit to; run `srn-engine label` first.")
    codes = torch.optim.Adam(scene.code_parameters(), options.rate or preset.fit_rate, betas=(0.9, 0.99))
    few = min(len(pool.cameras) for pool in pools) < preset.fit_from_views and not options.labels
    steps = (0 if few else preset.fit_steps) if options.steps is None else options.steps
    batches = torch.Generator().manual_seed(options.seed)

    def descend(optimiser: torch.optim.Optimizer, count: int, before: int) -> None:
        for step in range(count):
            report(Progress((before + step) / (steps + options.refine), f"Step {before + step + 1}"))
            optimiser.zero_grad(set_to_none=True)
            for number, pool in enumerate(pools):
                batch = pool.draw(preset.rays, batches)
                loss = view_loss(scene, scene.scene(number), batch, batches, options.labels)
                loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    for parameter in scene.code_parameters():
        parameter.requires_grad_()
    descend(codes, steps, 0)
    if options.refine:
        weights = torch.optim.Adam(scene.requires_grad_().parameters(), REFINE_RATE)
        descend(weights, options.refine, steps)
    return scene.requires_grad_()


def pictures_of(pool: RayPool, grey: bool = False) -> PosedPictures:
    """All views of a pool, or their silhouettes in grey."""
    colours, alphas = zip(*(pool.picture(n) for n in range(len(pool.cameras))), strict=True)
    if grey:
        colours = tuple((1 - 0.5 * alpha)[..., None].expand(*alpha.shape, 3) for alpha in alphas)
    return PosedPictures(pool.cameras, colours, alphas)


def _pool(views: Views, run: Run, device: torch.device) -> RayPool:
    everywhere = not isinstance(run.info.preset, FastManyPreset)
    return RayPool(views.shifted(0.5 - run.scene.pixel_centre), device, everywhere)


def _chosen(views: Views, wanted: int | Sequence[int] | None) -> Views:
    """The views to fit to; UserError where there are not so many."""
    count = len(views)
    if wanted is None:
        return views
    if isinstance(wanted, int) and 0 < wanted <= count:
        wanted = [round(n * (count - 1) / max(wanted - 1, 1)) for n in range(wanted)]
    if (
        isinstance(wanted, int)
        or not wanted
        or max(wanted) >= count
        or min(wanted) < 0
        or len(set(wanted)) < len(wanted)
    ):
        raise UserError(f"There are {count} views to fit to, numbered from 0; choose some of them, each once.")
    return views.only(wanted)
