"""Looks at the runs in a folder from a thread of its own: many of them, or a slow drive, must not hold up Blender."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from . import images, plot
from .placed_run import placed_run
from .runs import METRICS, RunReader, RunSummary
from .runs_history import History
from .runs_report import Report, read_report


@dataclass(frozen=True, eq=False)
class Seen:
    """What there was at the last look.

    runs: those in the folder of `run`, the run in mind. summary: of the run in mind, None where there is none.
    report: its report. picture: how it was trained (`plot.draw`), None where nothing is known of that; encoded: the
    same as a file.
    """

    run: Path
    runs: tuple[RunSummary, ...] = ()
    summary: RunSummary | None = None
    report: Report = field(default_factory=Report)
    picture: plot.Array | None = None
    encoded: images.Encoded | None = None


class RunWatch:
    """One look at a time; `take` gives what the last one has found."""

    def __init__(self) -> None:
        self._reader = RunReader()
        self._thread: threading.Thread | None = None
        self._found: Seen | None = None
        self._drawn_of: object = None
        self._drawn: tuple[plot.Array | None, images.Encoded | None] = (None, None)

    def begin(self, run: Path | None, live: History | None, placed: Path | None = None) -> bool:
        """Begins a look at a run and its neighbours; False where the last one still goes on.

        live: how its training goes, where that is known better than from its files. placed: the run of an instance, to
        be known to `placed_run.last_read`.
        """
        if self._thread is not None:
            return False
        self._thread = threading.Thread(target=self._look, args=(run, live, placed), name="srn runs", daemon=True)
        self._thread.start()
        return True

    def take(self) -> Seen | None:
        """What a look has found since the last call, None where none has ended."""
        if self._thread is None or self._thread.is_alive():
            return None
        self._thread = None
        found, self._found = self._found, None
        return found

    def end(self, timeout: float) -> None:
        """Waits for a look that goes on, for so many seconds at most."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _look(self, run: Path | None, live: History | None, placed: Path | None) -> None:
        if placed is not None:
            with contextlib.suppress(UserError):  # which is known then as well
                placed_run(placed)
        if run is not None:
            summary = self._reader.read(run)
            self._found = Seen(run, self._reader.list(run.parent), summary, read_report(run), *self._draw(run, live))

    def _draw(self, run: Path, live: History | None) -> tuple[plot.Array | None, images.Encoded | None]:
        """The plot, drawn again only when there is more to show."""
        drawn_of = (run, live.step, live.psnr.last) if live is not None else (run, _changed(run / METRICS))
        if drawn_of != self._drawn_of:
            history = History.read(run) if live is None else live
            picture = plot.draw(history) if history.step else None
            encoded = images.encode(picture, is_colour=True) if picture is not None else None
            self._drawn_of, self._drawn = drawn_of, (picture, encoded)
        return self._drawn


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
