"""How often a server may be called: a token bucket that keeps no level.

The state is one moment at which the bucket was full and the calls since then; when the next token is there
follows from these by one multiplication. Nothing is added up, so nothing drifts, and at the time that
`ready_at` names there is a token: whoever sleeps until then never has to sleep again for a rounding error.

It knows no servers and no queue; it reads no clock.
"""

from __future__ import annotations

import math


class RateLimit:
    """At most `burst + rate · t` calls in any `t` seconds.

    Args:
        rate: Calls per second, > 0.
        burst: Calls at once after a rest, >= 1; None is what a second brings, at least one.

    Raises:
        ValueError: `rate` or `burst` is out of bounds.
    """

    __slots__ = ("_burst", "_since", "_taken", "rate")

    def __init__(self, rate: float, burst: float | None = None) -> None:
        burst = max(1.0, rate) if burst is None else burst
        if not 0 < rate < math.inf or not 1 <= burst < math.inf:
            raise ValueError(f"a rate limit needs a rate > 0 and a burst >= 1, not {rate:g} and {burst:g}")
        self.rate, self._burst = rate, burst
        self._since = -math.inf  # when the bucket was full last
        self._taken = 0  # tokens since then

    def ready_at(self, now: float) -> float:
        """When the next token is there: `now` if one is there already. Monotonic seconds."""
        return max(now, self._next())

    def full(self, now: float) -> bool:
        """Whether it has all its tokens, so that a new one would do as well."""
        return now >= self._since + self._taken / self.rate

    def take(self, now: float) -> bool:
        """Take a token if one is there."""
        if now < self._next():
            return False
        # Later than, not at: with a burst of 1 every token of a busy bucket fills it, and a new beginning
        # at each of them would add up the roundings that this class exists to avoid.
        if now > self._since + self._taken / self.rate:
            self._since, self._taken = now, 0
        self._taken += 1
        return True

    def _next(self) -> float:
        missing = self._taken + 1 - self._burst
        return self._since + missing / self.rate if missing > 0 else self._since
