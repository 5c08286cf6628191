"""What to ask the engine for, so that a camera sees the placed instances, and its answers as layers of one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..capture.camera import Camera
from ..engine.errand import FolderRead, JobRequest
from ..engine.fetching import RENDERED
from .layers import Layer
from .placed import Placed, region_of


@dataclass(frozen=True, eq=False)
class Part:
    """A placed instance in the part of the picture that can show it.

    camera: of that part, in dataset units. left, top: where it begins in the whole picture, in pixels.
    """

    placed: Placed
    camera: Camera
    left: int
    top: int

    def request(self, with_normal: bool, with_labels: bool) -> JobRequest:
        """The job that renders it: colour and depth, and what else is wanted and known."""
        passes = ["colour", "depth"] + ["normal"] * with_normal
        passes += ["semantic"] * (with_labels and self.placed.run.has_labels)
        params = {**self.placed.which(), "camera": self.camera.to_json(), "passes": passes}
        return JobRequest("render", params, {"run": FolderRead(self.placed.run.folder, RENDERED)})

    def layer(self, arrays: Mapping[str, NDArray[Any]]) -> Layer:
        """The arrays that answer `request`, in their place."""
        return Layer(arrays, self.camera, self.left, self.top, self.placed.scale, self.placed.rotation)


def parts(placed: Sequence[Placed], camera: Camera) -> list[Part]:
    """The instances that a camera in Blender units can see."""
    found = []
    for one in placed:
        seen = one.seen_by(camera)
        whole = 0, 0, camera.width, camera.height
        left, top, width, height = whole if one.run.is_opaque else region_of(seen)
        if width:
            found.append(Part(one, seen.part(left, top, width, height), left, top))
    return found
