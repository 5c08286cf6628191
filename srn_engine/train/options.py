"""What a caller may choose about a training; what a preset means stands in model/presets.py."""

import math
from dataclasses import dataclass

from srn_engine.errors import UserError
from srn_engine.model.presets import PRESETS, Preset


@dataclass(frozen=True)
class TrainOptions:
    """Preset, budget (the first of seconds and steps that is used up; the preset's seconds without either), seed."""

    preset: str = "fast"
    seconds: float | None = None
    steps: int | None = None
    seed: int = 0

    def resolve(self) -> Preset:
        """The preset that is meant; UserError where there is none of that name or the budget is none."""
        if self.preset not in PRESETS:
            raise UserError(f"There is no preset {self.preset!r}; choose one of {', '.join(PRESETS)}.")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise UserError("A training needs more than zero seconds.")
        if self.steps is not None and self.steps <= 0:
            raise UserError("A training needs more than zero steps.")
        return PRESETS[self.preset]
