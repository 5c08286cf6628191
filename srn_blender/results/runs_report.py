"""The report of a run, as its files tell it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .runs import MEANS, PAGE, REPORT
from .view import stamp_of


@dataclass(frozen=True)
class Report:
    """What is known of a run's report: page, None where there is none; means, by the metrics' names.

    outdated: whether the run was trained on since.
    """

    page: Path | None = None
    means: dict[str, float | None] = field(default_factory=dict)
    outdated: bool = False


def read_report(run: Path) -> Report:
    """The report of the run in a folder."""
    page = run / REPORT / PAGE
    if not page.is_file():
        return Report()
    try:
        kept = json.loads((run / REPORT / MEANS).read_text(encoding="utf-8"))
        return Report(page, dict(kept["means"]), kept["stamp"] != stamp_of(run))
    except (OSError, ValueError, KeyError, TypeError):  # made by srn-engine, or meddled with: the page can be opened
        return Report(page)
