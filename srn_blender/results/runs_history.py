"""How loss and PSNR went while a run was trained: from its file, and from what the engine tells meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .runs import METRICS, metrics_of

MOST_POINTS = 4096
SPEED_SECONDS = 5.0  # over which the speed is measured

Curve = NDArray[np.float64]


class _Points:
    """Values by step, in rising order."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []

    def add(self, step: float, value: float) -> None:
        """Adds a point. Those after it go: a training that went on from its last checkpoint has taken them back."""
        while self._points and self._points[-1][0] >= step:
            self._points.pop()
        self._points.append((step, value))
        if len(self._points) > MOST_POINTS:
            self._points = self._points[:-1:2] + self._points[-1:]

    @property
    def last(self) -> float | None:
        return self._points[-1][1] if self._points else None

    @property
    def curve(self) -> Curve:
        """(points, 2): step, value. May be asked for from another thread."""
        return np.array(list(self._points), np.float64).reshape(-1, 2)


@dataclass
class History:
    """loss: whatever the preset minimises. psnr: in dB, over the validation views."""

    loss: _Points = field(default_factory=_Points)
    psnr: _Points = field(default_factory=_Points)
    step: int = 0
    _clock: list[tuple[float, int]] = field(default_factory=list)

    @classmethod
    def read(cls, run: Path) -> History:
        """What a run's metrics.jsonl says; nothing where there is none."""
        history = cls()
        try:
            lines = (run / METRICS).read_bytes().splitlines()
        except OSError:
            return history
        for line in lines:
            metrics = metrics_of(line)
            history._add(metrics.get("step"), metrics.get("loss"), metrics.get("psnr"))
        return history

    def tell(self, metrics: object, now: float | None = None) -> None:
        """Takes the metrics of a `job` notification (docs/protocol.md). now: in seconds."""
        if not isinstance(metrics, dict) or not isinstance(metrics.get("step"), int | float):
            return
        psnr = metrics.get("psnr")
        # A notification repeats the last measured one.
        self._add(metrics["step"], metrics.get("loss"), None if psnr == self.psnr.last else psnr)
        now = time.monotonic() if now is None else now
        self._clock = [(when, step) for when, step in self._clock if now - when < SPEED_SECONDS]
        self._clock.append((now, self.step))

    @property
    def speed(self) -> float | None:
        """Steps a second, None while that is not known."""
        (began, first), (ended, last) = (self._clock or [(0.0, 0)])[0], (self._clock or [(0.0, 0)])[-1]
        return (last - first) / (ended - began) if ended - began > 0.5 and last > first else None

    def _add(self, step: object, loss: object, psnr: object) -> None:
        if not isinstance(step, int | float):
            return
        self.step = int(step)
        for points, value in ((self.loss, loss), (self.psnr, psnr)):
            if isinstance(value, int | float) and np.isfinite(value):
                points.add(float(step), float(value))
