"""How a training shows itself to those who look on, and how they say what they want to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from srn_engine.cameras import Camera


@dataclass(frozen=True)
class View:
    """A camera, and the instance that it looks at, None for the first."""

    camera: Camera
    instance: str | None = None


class Previews(Protocol):
    """Who looks on. Both methods are called from the training's thread and do not block."""

    def wanted(self) -> View | None:
        """What is to be shown; None while nobody looks."""

    def show(self, step: int, seconds: float, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes a view's passes as they are after `step` steps in `seconds`."""
