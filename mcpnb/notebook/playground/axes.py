"""Where values lie in a picture, and which round ones are written beside it. Nothing is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Frame(NamedTuple):
    """Where the plot lies: percent from left to right, pixels from top to bottom."""

    left: float
    width: float
    top: float
    height: float

    def x(self, share: float) -> float:
        """Percent of a place between 0 (left) and 1 (right)."""
        return self.left + self.width * share

    def y(self, share: float) -> float:
        """Pixels of a place between 0 (bottom) and 1 (top)."""
        return self.top + self.height * (1 - share)


class Axis(NamedTuple):
    """Values on a line from 0 to 1."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies; NaN where it is none or cannot be shown."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else math.nan
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values on it."""
        if self.log:
            return _log_ticks(self.low, self.high, about)
        step = _round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        return [step * k for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if rough <= step * power * (1 + 1e-9))


def _log_ticks(low: float, high: float, about: int) -> list[float]:
    """Powers of ten; between them 3, or 2 and 5, as long as they are no more than about so many."""
    decades = math.log10(high / low)
    steps = (1.0,) if 2 * decades > about else (1.0, 3.0) if 3.5 * decades > about else (1.0, 2.0, 5.0)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high * 1.001
    ]


def covering(values: Iterable[float], *, wide: float = 6.0) -> Axis:
    """An axis for figures above zero: from zero, or logarithmic when they differ many times."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    if not known:
        return Axis(0.0, 1.0)
    low, high = min(known), max(known)
    return Axis(low / 1.25, high * 1.25, log=True) if high > wide * low else Axis(0.0, high * 1.1)
