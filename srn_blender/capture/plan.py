"""What a dataset is going to hold, decided before the first view is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import Camera
from .settings import LabelClass

Array = NDArray[np.float64]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ViewKey:
    """Which view of a dataset."""

    instance: str
    split: str
    index: int


def passes_of(view: ViewKey, passes: Sequence[str], labelled: Sequence[int] | None) -> list[str]:
    """Those of a dataset's passes that a view has. labelled: as its InstancePlan has it."""
    unlabelled = view.split == "train" and labelled is not None and view.index not in labelled
    return [what for what in passes if not (unlabelled and what == "semantic")]


@dataclass(frozen=True, eq=False)
class InstancePlan:
    """One instance: a world point is (p - centre) / scale in its dataset units.

    poses: (N, 4, 4) for each split, OpenCV axes, dataset units. fingerprint: what its views depend on, by name, as
    hashes. labelled: the numbers of the training views with labels, None for all; the other splits have labels
    throughout.
    """

    id: str
    source: str
    centre: Sequence[float]
    scale: float
    poses: Mapping[str, Array]
    fingerprint: Mapping[str, str]
    labelled: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole dataset. `camera` gives the intrinsics that all views share; its pose is not used.

    classes: by their ids, the background first. fingerprint: what the views of all instances depend on.
    """

    name: str
    instances: Sequence[InstancePlan]
    camera: Camera
    passes: Sequence[str]
    classes: Sequence[LabelClass]
    rig: Mapping[str, Any]
    blender: str
    fingerprint: Mapping[str, str]

    def instance(self, name: str) -> InstancePlan:
        """The instance of that id."""
        return self._by_id[name]

    @cached_property
    def _by_id(self) -> dict[str, InstancePlan]:
        return {instance.id: instance for instance in self.instances}

    def views(self) -> list[ViewKey]:
        """All views, in the order to render them: one instance after the other."""
        return [
            ViewKey(instance.id, split, index)
            for instance in self.instances
            for split in SPLITS
            for index in range(len(instance.poses[split]))
        ]

    def pose(self, view: ViewKey) -> Array:
        """The pose (4, 4) of a view."""
        pose: Array = self.instance(view.instance).poses[view.split][view.index]
        return pose

    def passes_of(self, view: ViewKey) -> list[str]:
        """The passes that a view is going to have."""
        return passes_of(view, self.passes, self.instance(view.instance).labelled)
