"""How sharp a viewport's picture may be so that it comes in time; in plain Python."""

from __future__ import annotations

import math

# The seconds that a picture may take: while the view moves, then as soon as it stands still, and then all of it.
BUDGETS = (0.08, 0.8, math.inf)
FIRST_GUESS = 2e-6  # seconds a pixel, until one was measured
LEAST = 1 / 16  # of the full width and height
NEARLY_ALL = 0.8  # of the full width: what is so sharp may as well be whole
SHARE = 0.4  # of a new measurement in the running mean


class Pace:
    """What a pixel takes, learned from the pictures that came."""

    def __init__(self) -> None:
        self.seconds_per_pixel = FIRST_GUESS
        self._measured = False

    def learn(self, pixels: int, seconds: float) -> None:
        """Takes note that so many pixels took so long, from asking for them to having a picture."""
        measured = seconds / max(pixels, 1)
        share = SHARE if self._measured else 1.0
        self.seconds_per_pixel += share * (measured - self.seconds_per_pixel)
        self._measured = True

    def factor(self, pixels: int, level: int) -> float:
        """By how much width and height are to be smaller, 1 for not at all, where all of it has so many pixels."""
        whole = pixels * self.seconds_per_pixel
        if whole <= 0.0 or math.isinf(BUDGETS[level]):
            return 1.0
        factor = math.sqrt(BUDGETS[level] / whole)
        return 1.0 if factor >= NEARLY_ALL else max(factor, LEAST)
