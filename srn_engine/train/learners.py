"""Which learner trains which preset."""

from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from srn_engine.data.dataset import Dataset
from srn_engine.data.pools import Pools
from srn_engine.data.rays import Batch, RayPool
from srn_engine.errors import UserError
from srn_engine.memory import is_shortage
from srn_engine.model.fast.many import FastManyScene
from srn_engine.model.fast.scene import FastScene
from srn_engine.model.interfaces import NeuralScene, Scene
from srn_engine.model.paper.scene import PaperScene
from srn_engine.model.presets import FastManyPreset, FastPreset, Preset
from srn_engine.progress import Report
from srn_engine.train import fast, fast_many, paper
from srn_engine.train.learner import Learner
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run


def begun(
    data: Dataset, options: TrainOptions, device: torch.device, report: Report, folder: Path
) -> tuple[Learner, Preset]:
    """A new training on `data`, and the preset that it follows; UserError where the dataset will not do.

    `folder` is where it may keep what does not fit into memory.
    """
    _check(data)
    preset = options.resolve(len(data.having("train")))
    torch.manual_seed(options.seed)
    classes = len(data.classes)
    if isinstance(preset, FastPreset):
        rays = _rays(data, device, report)
        scene_of_one = fast.begin(rays, classes, preset, report).to(device)
        return fast.FastLearner(scene_of_one, rays, preset, options.seed), preset
    with ExitStack() as unless_it_begins:
        pools = Pools(data, "train", device, everywhere=not isinstance(preset, FastManyPreset))
        unless_it_begins.callback(pools.close)
        learner: Learner
        if isinstance(preset, FastManyPreset):
            many = fast_many.begin(pools, classes, preset, report, folder).to(device)
            learner = fast_many.FastManyLearner(many, pools, preset, options.seed)
        else:
            scene, preset = paper.begin(pools, classes, preset)
            learner = paper.PaperLearner(scene.to(device), pools, preset, options.seed)
        unless_it_begins.pop_all()
    return learner, preset


def resumed(run: Run, data: Dataset, device: torch.device, report: Report) -> Learner:
    """The training that `run` was saved from, ready to go on; UserError where the dataset is another one."""
    if [instance.id for instance in data.having("train")] != [instance.id for instance in run.info.instances]:
        raise UserError(f"{data.root} holds other instances than {run.folder} was trained on; train a new run.")
    learner = _learner(run, data, device, report)
    try:
        learner.restore(run.trained.state, run.trained.steps)
    except (KeyError, ValueError, RuntimeError) as error:
        learner.close()
        if is_shortage(error):
            raise
        raise UserError(f"{run.folder} cannot go on ({error}); train a new run.") from error
    return learner


def _learner(run: Run, data: Dataset, device: torch.device, report: Report) -> Learner:
    scene, preset, seed = run.scene, run.info.preset, run.info.options.seed
    if isinstance(scene, FastScene) and isinstance(preset, FastPreset):
        return fast.FastLearner(scene, _rays(data, device, report), preset, seed)
    if isinstance(scene, FastManyScene) and isinstance(preset, FastManyPreset):
        scene.keep_codes_in(run.folder)
        return fast_many.FastManyLearner(scene, Pools(data, "train", device), preset, seed)
    assert isinstance(scene, PaperScene) and not isinstance(preset, FastPreset | FastManyPreset)
    return paper.PaperLearner(scene, Pools(data, "train", device, everywhere=True), preset, seed)


def _rays(data: Dataset, device: torch.device, report: Report) -> RayPool:
    return RayPool(data.views("train", data.having("train")[0].id), device, report=report)


def _check(data: Dataset) -> None:
    """UserError where an instance has too few views to learn from."""
    instances = data.having("train")
    if not instances:
        raise UserError(f"{data.root} has no train views; capture some.")
    for instance in instances:
        if (count := len(data.views("train", instance.id))) < 2:
            of = f" of {instance.id}" if len(instances) > 1 else ""
            raise UserError(f"{data.root} has {count} train views{of}; capture more, 50 are a good start.")


def view_loss(
    networks: NeuralScene, scene: Scene, batch: Batch, generator: torch.Generator, labels_alone: bool = False
) -> Tensor:
    """What a batch of one instance's rays costs in the training that `networks` come from."""
    if isinstance(networks, FastManyScene):
        return fast_many.view_loss(networks, scene, batch, generator, labels_alone)
    assert isinstance(networks, PaperScene)
    return paper.view_loss(networks, scene, batch, generator, labels_alone)
