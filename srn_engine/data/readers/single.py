"""A dataset of one instance in the units of its file, as COLMAP and transforms.json have it, made a Dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srn_engine.data.dataset import Dataset, Instance, LabelClass, View
from srn_engine.data.images import has_alpha
from srn_engine.data.readers.bounds import normalised, sphere_in_sight, sphere_of_silhouettes
from srn_engine.data.readers.files import identifier
from srn_engine.errors import UserError

UNLABELLED_CLASSES = (LabelClass("background", (0.0, 0.0, 0.0)),)


def single_instance(root: Path, splits: Mapping[str, Sequence[View]]) -> Dataset:
    """The dataset of the views, whose cameras are in the file's own units.

    The object is moved into the unit sphere: it is where the cameras look (sphere_in_sight), drawn tight around the
    visual hull where the train pictures say what is background (sphere_of_silhouettes).
    """
    views = [view for part in splits.values() for view in part]
    if not views:
        raise UserError(f"{root} names no pictures; choose the folder of a dataset.")
    train = list(splits.get("train", ()))
    centre, scale = sphere_in_sight([view.camera for view in train], str(root))
    known = views[0].colour.mask is not None or has_alpha(views[0].colour.path)
    if known:
        centre, scale = sphere_of_silhouettes(train, centre, scale)
    x, y, z = map(float, centre)
    instance = Instance(identifier(root.resolve().name), root.resolve().name, (x, y, z), scale)
    moved = {
        split: [replace(view, camera=normalised(view.camera, centre, scale)) for view in part]
        for split, part in splits.items()
    }
    passes = frozenset(("rgb", "rgba") if known else ("rgb",))
    return Dataset(root, instance.id, passes, UNLABELLED_CLASSES, (instance,), _Single(moved))


@dataclass(frozen=True)
class _Single:
    splits: Mapping[str, Sequence[View]]

    def holds(self, split: str, instance: Instance) -> bool:
        return bool(self.splits.get(split))

    def views(self, split: str, instance: Instance) -> Sequence[View]:
        return self.splits.get(split, ())
