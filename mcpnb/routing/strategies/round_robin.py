"""`round_robin`: one after the other, from a random start, O(log n) at worst.

The position is the last server's place in the order of joining, not a count: servers that come and go do not
send everybody back to the start (which overloads the first ones).
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy

_index = attrgetter("index")


class RoundRobin(Strategy):
    """Each eligible server in turn. Blind to load, latency and failures."""

    name: ClassVar[str] = "round_robin"
    help: ClassVar[str] = "one after the other"

    def __init__(self) -> None:
        self._last: Node | None = None
        self._position = 0

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - blind
        """The next in the order of joining."""
        position = self._next(eligible, rng)
        self._position, self._last = position, eligible[position]
        return self._last

    def _next(self, eligible: Sequence[Node], rng: random.Random) -> int:
        if self._last is None:
            return int(rng.random() * len(eligible))
        at = self._position
        if at < len(eligible) and eligible[at] is self._last:  # nobody came or went before it
            return (at + 1) % len(eligible)
        return bisect_right(eligible, self._last.index, key=_index) % len(eligible)
