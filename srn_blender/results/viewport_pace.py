"""How sharp a viewport's picture may be so that it comes in time; in plain Python."""

from __future__ import annotations

import math

# The seconds that a picture may take: while the view moves, then as soon as it stands still, and then all of it.
BUDGETS = (0.08, 0.8, math.inf)
FIRST_GUESS = 2e-6  # seconds a pixel, until one was measured
OVERHEAD = 0.005  # seconds that any picture takes, however small
LEAST = 1 / 8  # of the full width and height
NEARLY_ALL = 0.8  # of the full width: what is so sharp may as well be whole
KEPT = 0.6  # of what earlier pictures count, when one more comes


class Pace:
    """What a pixel takes, learned from the pictures that came; large ones tell more of it than small ones."""

    def __init__(self) -> None:
        self._pixels, self._seconds = 1.0, FIRST_GUESS

    @property
    def seconds_per_pixel(self) -> float:
        return self._seconds / self._pixels

    def learn(self, pixels: int, seconds: float) -> None:
        """Takes note that so many pixels took so long."""
        self._pixels = KEPT * self._pixels + pixels
        self._seconds = KEPT * self._seconds + max(seconds - OVERHEAD, 0.0)

    def factor(self, pixels: int, level: int) -> float:
        """By how much width and height are to be smaller, 1 for not at all, where all of it has so many pixels."""
        whole = pixels * self.seconds_per_pixel
        if whole <= 0.0 or math.isinf(BUDGETS[level]):
            return 1.0
        factor = math.sqrt(BUDGETS[level] / whole)
        return 1.0 if factor >= NEARLY_ALL else max(factor, LEAST)
