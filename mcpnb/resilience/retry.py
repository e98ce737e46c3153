"""When a failed attempt may be followed by another, and how soon.

Retries are decided in one place, never nested. They spend a budget, because retries that are free turn a
slow minute into an overload that feeds itself.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: U(0, min(cap, base · 2^i)) seconds before retry i = 0, 1, ... at the same server."""

    base: float = 0.1
    """Seconds."""
    cap: float = 5.0
    """Seconds."""

    def delay(self, retry: int, rng: random.Random) -> float:
        """Seconds to wait before retry number `retry` (from 0)."""
        # 2**retry overflows a float long after the cap is reached.
        return rng.uniform(0.0, min(self.cap, self.base * 2.0 ** min(retry, 60)))


class RetryBudget:
    """A token bucket: each call pays in `percent` of a retry, and `per_second` drip in; a retry takes one.

    In milli-tokens, so that sums stay exact. It starts full. Source: Finagle's RetryBudget.
    """

    __slots__ = ("_at", "_balance", "_deposit", "_drip", "_most")

    _RETRY = 1000
    """Milli-tokens that one retry costs."""

    def __init__(self, percent: float = 20.0, per_second: float = 10.0, span: float = 10.0) -> None:
        """Allow `percent` of calls plus `per_second` retries, saving up `span` seconds of the drip."""
        self._deposit = round(percent * 10)
        self._drip = per_second * self._RETRY
        self._most = round(per_second * span * self._RETRY)
        self._balance = self._most
        self._at: float | None = None

    def deposit(self) -> None:
        """A call arrived."""
        self._balance = min(self._balance + self._deposit, max(self._most, self._RETRY))

    def withdraw(self, now: float) -> bool:
        """Take one retry if the budget has it."""
        if self._at is not None:
            drip = int(self._drip * (now - self._at))
            if drip > 0:
                self._balance = min(self._balance + drip, max(self._most, self._RETRY))
                self._at = now
        else:
            self._at = now
        if self._balance < self._RETRY:
            return False
        self._balance -= self._RETRY
        return True
