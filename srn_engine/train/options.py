"""What a caller may choose about a training; what a preset means stands in model/presets.py."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, get_args, get_origin, get_type_hints

from srn_engine.errors import UserError
from srn_engine.model.presets import PRESETS, FastManyPreset, Preset


@dataclass(frozen=True)
class TrainOptions:
    """Preset, budget (the first of seconds and steps that is used up; the preset's seconds without either), seed, and
    what shall differ from the preset's own numbers, by their names."""

    preset: str = "fast"
    seconds: float | None = None
    steps: int | None = None
    seed: int = 0
    changes: Mapping[str, object] = field(default_factory=dict)

    def resolve(self, instances: int) -> Preset:
        """The preset that is meant for so many instances; UserError where there is none or the budget is none."""
        if self.preset not in PRESETS:
            raise UserError(f"There is no preset {self.preset!r}; choose one of {', '.join(PRESETS)}.")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise UserError("A training needs more than zero seconds.")
        if self.steps is not None and self.steps <= 0:
            raise UserError("A training needs more than zero steps.")
        choice = PRESETS[self.preset]
        preset = choice.one if instances == 1 else choice.many
        if isinstance(preset, FastManyPreset) and self.seconds is not None:
            preset = preset.within(self.seconds)
        return changed(preset, self.changes)

    def continued(self, given: "TrainOptions") -> "TrainOptions":
        """These options with the budget of `given`, where it has one."""
        if given.seconds is None and given.steps is None:
            return self
        return replace(self, seconds=given.seconds, steps=given.steps)


def changed(preset: Preset, changes: Mapping[str, object]) -> Preset:
    """`preset` with some numbers replaced; UserError where it has none of that name or of that kind."""
    own, hints = asdict(preset), get_type_hints(type(preset))
    for name, value in changes.items():
        if name not in own:
            raise UserError(f"The preset has no {name!r}; it has {', '.join(own)}.")
        kinds = (int, float) if isinstance(own[name], float) else type(own[name])
        if not isinstance(value, kinds) or isinstance(value, bool) is not isinstance(own[name], bool):
            raise UserError(f"The preset's {name} must be like {own[name]!r}, not {value!r}.")
        if get_origin(hints[name]) is Literal and value not in get_args(hints[name]):
            raise UserError(f"The preset's {name} must be one of {', '.join(get_args(hints[name]))}, not {value}.")
    return replace(preset, **changes)  # type: ignore[arg-type]
