"""A circuit breaker: stop sending to a server that fails, and find out gently when it is well again.

    closed ──(5 faults in a row, half of the last 100, or a rule of the caller's)──▶ open
    open ──(its time is over, or there is a new session)──▶ half_open
    half_open ──(2 successes)──▶ closed          half_open ──(1 fault)──▶ open, for twice as long

It owns the state of one server, or of one tool there. It reads no clock and starts no timer: whoever asks
says what time it is. An attempt remembers the generation in which it was admitted; what it reports after the
next change of state is ignored, so that answers to old questions decide nothing.
"""

from __future__ import annotations

import math
import random
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mcpnb.model import FAULTS, Outcome, OutcomeKind

BreakerState = Literal["closed", "open", "half_open"]

_NOTHING: frozenset[str] = frozenset({"cancelled", "rejected"})
"""Ends of attempts that say nothing about the server."""


@dataclass(frozen=True, slots=True)
class BreakerCounts:
    """What a closed breaker has counted, for a rule of the caller's."""

    attempts: int
    """Among the last `window`."""
    faults: int
    """Of these."""
    in_a_row: int
    """Faults since the last success."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long."""

    consecutive_failures: int = 5
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
    half_open_permits: int = 1
    """Probes at a time while half-open."""
    success_threshold: int = 2
    """Probes that have to succeed before it closes."""
    per_tool: bool = False
    """One breaker per server and tool, for servers whose tools fail independently; else one per server."""
    failure: Callable[[Outcome], bool] | None = None
    """What counts as a fault, instead of timeouts, disconnections and refusals. It is not asked about
    cancelled and rejected attempts, which count as nothing."""
    opens: Callable[[BreakerCounts], bool] | None = None
    """Opens a closed breaker too; asked after each attempt that counts."""
    _warned: set[str] = field(default_factory=set[str], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole = (
            self.consecutive_failures, self.window, self.minimum, self.half_open_permits,
            self.success_threshold,
        )  # fmt: skip
        if min(whole) < 1 or not 0 < self.rate <= 1 or not 0 <= self.jitter < 1:
            raise ValueError(f"a breaker needs counts of at least 1, 0 < rate <= 1, 0 <= jitter < 1: {self}")
        if not 0 < self.reset_after < math.inf or not 0 < self.longest < math.inf:
            raise ValueError(f"a breaker needs finite times above 0: {self}")
        if self.minimum > self.window:
            raise ValueError(
                f"a breaker that remembers {self.window} attempts never has {self.minimum}: {self}"
            )

    def counts(self, outcome: Outcome) -> bool:
        """Whether an attempt that ended so is a fault of the server."""
        usual = outcome.kind in FAULTS
        if self.failure is None or outcome.kind in _NOTHING:
            return usual
        try:
            return bool(self.failure(outcome))
        except Exception as problem:  # noqa: BLE001 - a caller's rule may raise anything; the call goes on
            self._warn("failure", problem, "the usual rule decides")
            return usual

    def objects(self, counts: BreakerCounts) -> bool:
        """Whether the caller's rule opens a breaker that has counted this."""
        if self.opens is None:
            return False
        try:
            return bool(self.opens(counts))
        except Exception as problem:  # noqa: BLE001 - a caller's rule may raise anything; the call goes on
            self._warn("opens", problem, "it opens nothing then")
            return False

    def _warn(self, rule: str, problem: Exception, instead: str) -> None:
        if rule not in self._warned:
            self._warned.add(rule)
            note = f"the breaker rule `{rule}` raised {type(problem).__name__}: {problem}; {instead}"
            warnings.warn(note, RuntimeWarning, stacklevel=3)


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
        return self.state == "closed" or (
            self.state == "half_open" and self._out < self._policy.half_open_permits
        )

    def admit(self) -> int:
        """An attempt is sent; its end has to be recorded under the generation that this returns."""
        if self.state == "half_open":
            self._out += 1
        return self.generation

    def record(self, kind: OutcomeKind, generation: int, now: float, *, fault: bool | None = None) -> bool:
        """An attempt ended. True when that changed the state.

        Tool errors count as successes: the server answered. `fault` decides otherwise (see
        `BreakerPolicy.counts`). Cancelled and rejected attempts count as nothing.
        """
        if generation != self.generation or self.state == "open":
            return False
        bad = kind in FAULTS if fault is None else fault
        if self.state == "half_open":
            return self._probed(kind, bad, now)
        if kind in _NOTHING:
            return False
        self._remember(bad)
        why = self._too_bad()
        if why:
            self._open(why, now)
        return bool(why)

    def _probed(self, kind: OutcomeKind, fault: bool, now: float) -> bool:
        self._out -= 1
        if kind in _NOTHING:
            return False
        if fault:
            self._open(f"a probe ended as {kind}", now)
            return True
        self._well += 1
        if self._well < self._policy.success_threshold:
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
        if self._row >= policy.consecutive_failures:
            return f"{self._row} faults in a row"
        if seen >= policy.minimum and self._faults >= policy.rate * seen:
            return f"{self._faults} faults among the last {seen} attempts"
        if policy.opens is not None and policy.objects(BreakerCounts(seen, self._faults, self._row)):
            return f"a rule of its policy, at {self._faults} faults among the last {seen} attempts"
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
