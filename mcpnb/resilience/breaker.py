"""A circuit breaker: stop sending to a server that fails, and find out gently when it is well again.

    closed ──(5 faults in a row, or half of the last 100)──▶ open
    open ──(its time is over, or there is a new session)──▶ half_open
    half_open ──(2 successes)──▶ closed          half_open ──(1 fault)──▶ open, for twice as long

It owns the state of one server. It reads no clock and starts no timer: whoever asks says what time it is. An
attempt remembers the generation in which it was admitted; what it reports after the next change of state is
ignored, so that answers to old questions decide nothing.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Literal

from mcpnb.model import FAULTS, OutcomeKind

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long."""

    consecutive: int = 5
    """Faults in a row that open it."""
    rate: float = 0.5
    """Share of faults among the last `window` attempts that opens it."""
    window: int = 100
    minimum: int = 20
    """Attempts below which the share says nothing."""
    reset_after: float = 5.0
    """Seconds of the first opening; each further one lasts twice as long."""
    longest: float = 300.0
    """Seconds that an opening lasts at most, before jitter."""
    jitter: float = 0.5
    """Each opening lasts U(1 - jitter, 1 + jitter) times as long, so that clients do not probe together."""
    permits: int = 1
    """Probes at a time while half-open."""
    successes: int = 2
    """Probes that have to succeed before it closes."""

    def __post_init__(self) -> None:
        whole = (self.consecutive, self.window, self.minimum, self.permits, self.successes)
        if min(whole) < 1 or not 0 < self.rate <= 1 or not 0 <= self.jitter < 1 or self.reset_after <= 0:
            raise ValueError(f"a breaker needs counts of at least 1, 0 < rate <= 1, 0 <= jitter < 1: {self}")


class Breaker:
    """The breaker of one server."""

    __slots__ = (
        "_faults", "_out", "_policy", "_recent", "_rng", "_row", "_well", "generation", "opens", "reason",
        "state", "until",
    )  # fmt: skip

    def __init__(self, policy: BreakerPolicy, rng: random.Random) -> None:
        self._policy, self._rng = policy, rng
        self.state: BreakerState = "closed"
        self.reason = ""
        """Why it is not closed."""
        self.until = 0.0
        """Monotonic seconds at which an open breaker becomes half-open."""
        self.opens = 0
        """Openings since it was last closed."""
        self.generation = 0
        self._recent: deque[bool] = deque()  # True for a fault
        self._faults = self._row = self._out = self._well = 0

    @property
    def admits(self) -> bool:
        """Whether an attempt may be sent now."""
        return self.state == "closed" or (self.state == "half_open" and self._out < self._policy.permits)

    def admit(self) -> int:
        """An attempt is sent; its end has to be recorded under the generation that this returns."""
        if self.state == "half_open":
            self._out += 1
        return self.generation

    def record(self, kind: OutcomeKind, generation: int, now: float) -> bool:
        """An attempt ended. True when that changed the state.

        Tool errors count as successes: the server answered. Cancelled and rejected attempts count as nothing.
        """
        if generation != self.generation or self.state == "open":
            return False
        if self.state == "half_open":
            return self._probed(kind, now)
        if kind in {"cancelled", "rejected"}:
            return False
        self._remember(kind in FAULTS)
        why = self._too_bad()
        if why:
            self._open(why, now)
        return bool(why)

    def _probed(self, kind: OutcomeKind, now: float) -> bool:
        self._out -= 1
        if kind in FAULTS:
            self._open(f"a probe ended as {kind}", now)
            return True
        self._well += kind not in {"cancelled", "rejected"}
        if self._well < self._policy.successes:
            return False
        self.reset()
        return True

    def _remember(self, fault: bool) -> None:
        self._row = self._row + 1 if fault else 0
        self._recent.append(fault)
        self._faults += fault
        if len(self._recent) > self._policy.window:
            self._faults -= self._recent.popleft()

    def _too_bad(self) -> str:
        policy, seen = self._policy, len(self._recent)
        if self._row >= policy.consecutive:
            return f"{self._row} faults in a row"
        if seen >= policy.minimum and self._faults >= policy.rate * seen:
            return f"{self._faults} faults among the last {seen} attempts"
        return ""

    def _open(self, why: str, now: float) -> None:
        policy = self._policy
        self._change("open", why)
        self.opens += 1
        # 2**n overflows a float long after the longest opening is reached.
        length = min(policy.longest, policy.reset_after * 2.0 ** min(self.opens - 1, 60))
        self.until = now + length * self._rng.uniform(1 - policy.jitter, 1 + policy.jitter)

    def trip(self, now: float) -> None:
        """Open it by hand."""
        self._open("tripped by hand", now)

    def probe(self) -> bool:
        """An open breaker's time is over, or there is news of its server. True when it is half-open now."""
        if self.state != "open":
            return False
        self._change("half_open", "waits for probes")
        return True

    def reset(self) -> None:
        """Close it and forget everything."""
        self._change("closed", "")
        self.opens = 0

    def _change(self, state: BreakerState, why: str) -> None:
        self.state, self.reason = state, why
        self.generation += 1
        self._recent.clear()
        self._faults = self._row = self._out = self._well = 0
