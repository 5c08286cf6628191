"""How long work tells its caller where it stands, and how the caller stops it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Progress:
    """Where a piece of work stands: `fraction` from 0 to 1, `eta` in seconds (None while unknown)."""

    fraction: float
    message: str
    eta: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class Cancelled(Exception):
    """Raised by a report function to stop the work; work that keeps something re-raises it with a `result`."""

    def __init__(self, result: Mapping[str, object] | None = None) -> None:
        super().__init__("cancelled")
        self.result = dict(result or {})


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A report function for callers that do not watch."""


def part_of(report: Report, start: float, end: float) -> Report:
    """A report function for work that is the part from `start` to `end` of a longer one."""

    def tell(progress: Progress) -> None:
        report(replace(progress, fraction=start + (end - start) * progress.fraction, eta=None))

    return tell
