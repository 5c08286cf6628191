"""What a dataset holds, whichever layout it has on disk: instances, and their views with pictures read when asked for.

The readers of the layouts stand in srn_engine/data/readers; `open_dataset` there finds the right one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from srn_engine.cameras import Camera
from srn_engine.data.colour import ColourFile
from srn_engine.data.images import Bytes, read_exr, read_labels
from srn_engine.errors import UserError

SPLITS = ("train", "val", "test")
PASSES = ("rgb", "rgba", "depth", "normal", "semantic")


@dataclass(frozen=True)
class LabelClass:
    """One semantic class: its name and its sRGB colour, 0 to 1. A class's id is its place in the list."""

    name: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Instance:
    """One object of a dataset: a dataset point is (world - `centre`) / `scale`; `source` says where it came from."""

    id: str
    source: str
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0


@dataclass(frozen=True)
class View:
    """One posed image: its name, its camera in dataset units, its picture, and the files of its other passes."""

    name: str
    camera: Camera
    colour: ColourFile
    files: Mapping[str, Path] = field(default_factory=dict)


class Layout(Protocol):
    """How a layout on disk is read; what the readers give to a Dataset."""

    def holds(self, split: str, instance: Instance) -> bool:
        """Whether there are views of the instance in the split; reads none of them."""
        ...

    def views(self, split: str, instance: Instance) -> Sequence[View]:
        """The views of one instance in one split; UserError where their files do not belong together."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Posed views of one or many instances.

    passes: those that the dataset names, rgba among them where pictures know what is background; an instance may lack
    some (see Views.has). classes: class 0 is the background.
    """

    root: Path
    name: str
    passes: frozenset[str]
    classes: tuple[LabelClass, ...]
    instances: tuple[Instance, ...]
    layout: Layout

    def instance(self, name: str) -> Instance:
        """The instance of that id; UserError where there is none."""
        for instance in self.instances:
            if instance.id == name:
                return instance
        known = ", ".join(instance.id for instance in self.instances[:5])
        more = " ..." if len(self.instances) > 5 else ""
        raise UserError(f"{self.root} holds no instance {name!r}, but {known}{more}.")

    def having(self, split: str) -> tuple[Instance, ...]:
        """The instances with views in that split: some datasets hold an instance out as a whole."""
        return tuple(instance for instance in self.instances if self.layout.holds(split, instance))

    def views(self, split: str, instance: str) -> "Views":
        """The views of one split, maybe none; UserError where their files do not belong together."""
        known = self.instance(instance)
        return Views(self, split, known, tuple(self.layout.views(split, known)))


@dataclass(frozen=True)
class Views:
    """The views of one instance in one split. A picture is read when it is asked for, row 0 on top."""

    dataset: Dataset
    split: str
    instance: Instance
    views: tuple[View, ...]

    def __len__(self) -> int:
        return len(self.views)

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Each view's camera; sizes and focal lengths may differ."""
        return tuple(view.camera for view in self.views)

    @property
    def names(self) -> tuple[str, ...]:
        """Each view's name, as its files bear it."""
        return tuple(view.name for view in self.views)

    def only(self, numbers: Sequence[int]) -> "Views":
        """The views of those numbers alone."""
        return replace(self, views=tuple(self.views[number] for number in numbers))

    def shifted(self, pixels: float) -> "Views":
        """The same pictures, seen by cameras whose principal points lie that much further right and down."""
        return replace(self, views=tuple(replace(view, camera=view.camera.shifted(pixels)) for view in self.views))

    def has(self, name: str, n: int | None = None) -> bool:
        """Whether the dataset names the pass `name` and view n, or at least one view, has it."""
        chosen = self.views if n is None else (self.views[n],)
        return name in self.dataset.passes and any(name in ("rgb", "rgba") or name in view.files for view in chosen)

    def rgba(self, n: int) -> Bytes:
        """(H, W, 4) sRGB-encoded, straight alpha; uint8, or uint16 where the file has 16 bit. Opaque without alpha."""
        return self.views[n].colour.read()

    def depth(self, n: int) -> npt.NDArray[np.float32]:
        """(H, W) along the camera's z in dataset units, 0 where nothing was hit."""
        return read_exr(self._file("depth", n), 1, _size(self.views[n]))

    def normal(self, n: int) -> npt.NDArray[np.float32]:
        """(H, W, 3) world axes, zero where nothing was hit."""
        return read_exr(self._file("normal", n), 3, _size(self.views[n]))

    def semantic(self, n: int) -> npt.NDArray[np.uint8]:
        """(H, W) class ids, 0 is background; UserError where an id is none of the dataset's classes."""
        path = self._file("semantic", n)
        labels = read_labels(path, _size(self.views[n]))
        if labels.max() >= len(self.dataset.classes):
            raise UserError(f"{path} holds class {labels.max()}, which the dataset does not name.")
        return labels

    def _file(self, name: str, n: int) -> Path:
        view = self.views[n]
        if name not in self.dataset.passes or name not in view.files:
            raise UserError(
                f"View {view.name} of {self.instance.id} in {self.dataset.root} has no pass {name}; capture it with it."
            )
        return view.files[name]


def over_white(rgba: Bytes) -> npt.NDArray[np.float32]:
    """(..., 4) 8 or 16 bit pictures with straight alpha as (..., 3) floats from 0 to 1 over pure white."""
    pixels = rgba.astype(np.float32) / np.float32(np.iinfo(rgba.dtype).max)
    white: npt.NDArray[np.float32] = pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:])
    return white


def _size(view: View) -> tuple[int, int]:
    return view.camera.intrinsics.width, view.camera.intrinsics.height
