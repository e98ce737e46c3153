"""After how long a call that has no answer yet is worth a second attempt elsewhere.

A fixed time, or the tool's own live p95: then about one call in twenty is hedged, whatever the tool is.
It owns the windows of latencies. It sends nothing, reads no clock and knows no budget.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from dataclasses import dataclass

_WINDOW = 256
"""Latencies per tool: enough for a p95 that holds still, few enough to follow a change."""
_TOOLS = 1024
"""Tools that are remembered; the one unused for longest goes first."""


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """When a second attempt is sent."""

    delay: float | None = None
    """Seconds after the first one; None takes a quantile of the tool's recent latencies."""
    quantile: float = 0.95
    minimum: int = 20
    """Latencies below which the quantile says nothing and nothing is hedged; 256 at most."""

    def __post_init__(self) -> None:
        if self.delay is not None and not 0 <= self.delay < math.inf:
            raise ValueError(f"a hedge's delay is in seconds, 0 or more: {self}")
        if not 0 < self.quantile < 1 or not 1 <= self.minimum <= _WINDOW:
            raise ValueError(f"a hedge needs 0 < quantile < 1 and 1 <= minimum <= {_WINDOW}: {self}")


class _Recent:
    """The last latencies of one tool, in the order of arrival and in that of size."""

    __slots__ = ("arrived", "ordered")

    def __init__(self) -> None:
        self.arrived: deque[float] = deque()
        self.ordered: list[float] = []

    def add(self, latency: float) -> None:
        # Shifting 256 floats costs less than any structure that avoids it, and reading is then free.
        self.arrived.append(latency)
        insort(self.ordered, latency)
        if len(self.arrived) > _WINDOW:
            del self.ordered[bisect_left(self.ordered, self.arrived.popleft())]

    def quantile(self, q: float) -> float:
        """By linear interpolation, as everywhere else in the metrics."""
        place = q * (len(self.ordered) - 1)
        below = int(place)
        low, high = self.ordered[below], self.ordered[min(below + 1, len(self.ordered) - 1)]
        return low + (high - low) * (place - below)


class HedgeDelay:
    """Learns from latencies how long to wait for each tool."""

    __slots__ = ("_policy", "_tools")

    def __init__(self, policy: HedgePolicy) -> None:
        self._policy = policy
        self._tools: OrderedDict[str, _Recent] = OrderedDict()

    def record(self, tool: str, latency: float) -> None:
        """How long a call's first attempt was out, in seconds.

        One that was cancelled because its hedge won counts too, with the time until then. Such an attempt is
        already beyond the delay, so the share of attempts beyond it comes out right. Learning from winners
        alone would pull the quantile down, hedge more, pull it further: twice as many hedges in the end.
        """
        if self._policy.delay is not None:
            return
        recent = self._tools.get(tool)
        if recent is None:
            recent = self._tools[tool] = _Recent()
            if len(self._tools) > _TOOLS:
                self._tools.popitem(last=False)
        else:
            self._tools.move_to_end(tool)
        recent.add(latency)

    def delay(self, tool: str) -> float | None:
        """Seconds after which to hedge a call of this tool; None: too little is known of it yet."""
        policy = self._policy
        if policy.delay is not None:
            return policy.delay
        recent = self._tools.get(tool)
        if recent is None or len(recent.ordered) < policy.minimum:
            return None
        return recent.quantile(policy.quantile)
