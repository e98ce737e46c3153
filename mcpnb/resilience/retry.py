"""When a failed attempt may be followed by another, and how soon.

Retries are decided in one place, never nested. They spend a budget, because retries that are free turn a
slow minute into an overload that feeds itself. Hedges spend the same one. A server that says when it wants to
be asked again gets no retry before; a call that has no time for that ends at once.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass

_SLOTS = 10
"""Parts of a span in which payments expire together."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: U(0, min(cap, base · 2^i)) seconds before retry i = 0, 1, ... at the same server."""

    base: float = 0.1
    """Seconds."""
    cap: float = 5.0
    """Seconds."""

    def __post_init__(self) -> None:
        if not 0 <= self.base < math.inf or not 0 <= self.cap < math.inf:
            raise ValueError(f"a backoff needs finite seconds of at least 0: {self}")

    def delay(self, retry: int, rng: random.Random) -> float:
        """Seconds to wait before retry number `retry` (from 0)."""
        # 2**retry overflows a float long after the cap is reached.
        return rng.uniform(0.0, min(self.cap, self.base * 2.0 ** min(retry, 60)))


class RetryBudget:
    """What retries and hedges may cost: each takes one, a call pays `percent` of one, `per_second` drip in.

    A payment can be spent for `span` seconds (up to a tenth longer); the drip fills a reserve that starts
    full and saves up `span` seconds of itself. So a burst of calls brings the budget for its own retries,
    and a quiet hour does not save up for a storm. In whole milli-tokens: sums stay exact.

    Source: Finagle's RetryBudget. There a spent reserve comes back all at once, `span` seconds later; here it
    drips, which comes to the same in the long run.
    """

    __slots__ = (
        "_begun", "_deposit", "_drip", "_dripped", "_most", "_paid", "_paid_in", "_reserve", "_slot",
        "_width",
    )  # fmt: skip

    _RETRY = 1000
    """Milli-tokens that one retry costs."""

    def __init__(self, percent: float = 20.0, per_second: float = 10.0, span: float = 10.0) -> None:
        """Allow `percent` of calls plus `per_second` retries, each spent within `span` seconds.

        Raises:
            ValueError: A number is out of bounds.
        """
        if not 0 <= percent < math.inf or not 0 <= per_second < math.inf or not 0 < span < math.inf:
            raise ValueError(
                f"a retry budget needs percent >= 0, per_second >= 0 and span > 0, "
                f"not {percent:g}, {per_second:g} and {span:g}"
            )
        self._deposit = round(percent * self._RETRY / 100)
        self._drip = per_second * self._RETRY
        self._reserve = round(self._drip * span)
        # A drip that brings less than one retry in a span still brings one in the end.
        self._most = max(self._reserve, self._RETRY) if self._drip else 0
        self._begun: float | None = None
        self._dripped = 0  # since it began: what dripped in is a difference of totals, so no part is lost
        self._paid: deque[list[int]] = deque()  # [slot of time, what is left of its payments], oldest first
        self._paid_in = 0
        self._slot, self._width = 0, span / _SLOTS

    @property
    def balance(self) -> float:
        """Retries that may be taken, as of the time that it was told last."""
        return (self._paid_in + self._reserve) / self._RETRY

    def deposit(self, now: float) -> None:
        """A call arrived."""
        self._expire(now)
        if not self._deposit:
            return
        paid = self._paid
        if paid and paid[-1][0] == self._slot:
            paid[-1][1] += self._deposit
        else:
            paid.append([self._slot, self._deposit])
        self._paid_in += self._deposit

    def withdraw(self, now: float) -> bool:
        """Take one retry if the budget has it."""
        self._expire(now)
        self._fill(now)
        if self._paid_in + self._reserve < self._RETRY:
            return False
        left = self._RETRY
        while left and self._paid:  # what expires first is spent first
            part = min(left, self._paid[0][1])
            left -= part
            self._paid[0][1] -= part
            self._paid_in -= part
            if not self._paid[0][1]:
                self._paid.popleft()
        self._reserve -= left
        return True

    def _expire(self, now: float) -> None:
        """Drop what was paid in too long ago."""
        slot = int(now / self._width)
        if slot <= self._slot:
            return
        self._slot = slot
        while self._paid and slot - self._paid[0][0] > _SLOTS:
            self._paid_in -= self._paid.popleft()[1]

    def _fill(self, now: float) -> None:
        """Let drip in what has dripped since it was filled last."""
        if self._begun is None:
            self._begun = now
        total = int(self._drip * (now - self._begun))
        if total > self._dripped:
            self._reserve = min(self._most, self._reserve + total - self._dripped)
            self._dripped = total


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Whether, how often and how soon a failed call is sent again."""

    retries: int = 2
    """Attempts after the first, at most; what a call says itself goes first."""
    backoff: Backoff = Backoff()
    """How long to wait before the same server is asked again; another one is asked at once."""
    budgeted: bool = True
    """False: retries are free, apart from their number."""
    budget_percent: float = 20.0
    """Retries per hundred calls."""
    budget_per_second: float = 10.0
    """Retries per second on top."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"a retry policy needs retries >= 0: {self}")
        self.new_budget()  # says what is wrong with its numbers

    def new_budget(self) -> RetryBudget | None:
        """A full budget for one fleet; None when retries are free."""
        return RetryBudget(self.budget_percent, self.budget_per_second) if self.budgeted else None
