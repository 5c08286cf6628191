"""A checkpoint of the authors' own code as a run, so that everything that works on runs works on it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from srn_engine.data.dataset import Dataset, Instance
from srn_engine.data.readers import open_dataset
from srn_engine.data.readers.single import UNLABELLED_CLASSES
from srn_engine.errors import UserError
from srn_engine.model.paper.old_checkpoint import load_old
from srn_engine.model.paper.preset import PaperPreset
from srn_engine.train.options import TrainOptions
from srn_engine.train.run import Run, RunInfo


def convert_checkpoint(checkpoint: Path, run: Path, like: Path | None, march_steps: int) -> dict[str, Any]:
    """Writes a checkpoint of the authors' code to the folder `run` as a run; returns where, and of how many instances.

    `like` is the dataset that it was trained on: the instances are then named after those with train views there, in
    that order, and the scene lives in that dataset's units. Without one they are 000, 001, ..., in the units that the
    checkpoint was trained in. `march_steps`: the authors' --tracing_steps. UserError where a file will not do.
    """
    scene = load_old(checkpoint, march_steps)
    if like is None:
        instances = tuple(Instance(f"{number:03d}", f"{number:03d}") for number in range(len(scene.codes)))
    else:
        data = open_dataset(like)
        instances = data.having("train")
        if len(instances) != len(scene.codes):
            raise UserError(
                f"{checkpoint} holds {len(scene.codes)} instances and {like} has {len(instances)} with train views; "
                "give the dataset that it was trained on."
            )
        scene.preset = _placed(scene.preset, data, instances)
    info = RunInfo((like or checkpoint).resolve(), TrainOptions("paper"), scene.preset, instances, UNLABELLED_CLASSES)
    Run.create(run, info, scene).save()
    return {"run": str(run), "instances": len(instances)}


def _placed(preset: PaperPreset, data: Dataset, instances: tuple[Instance, ...]) -> PaperPreset:
    """The preset in units of `data`; the authors' code took poses as the files have them."""
    if (data.root / "dataset.json").is_file():
        return preset  # a capture's files are in dataset units already
    places = {(instance.centre, instance.scale) for instance in instances}
    if len(places) > 1:
        raise UserError(f"The instances of {data.root} are moved and scaled each its own way; leave out --like.")
    centre, scale = places.pop()
    return replace(preset, units=scale, origin=centre)
