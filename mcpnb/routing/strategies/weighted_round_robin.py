"""`weighted_round_robin`: each server in turn, as often as its weight says, spread evenly.

Up to 64 servers: the smooth sequence of nginx (commit 52327e0), O(n). Beyond: the static stride of grpc-go
(`weightedroundrobin/scheduler.go`, gRFC A58), O(1) on average times the heaviest weight over the mean one.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy
from mcpnb.routing.strategies.sampling import SCAN, lowest

FULL = 65535
"""The heaviest server's weight in the stride: sixteen bits, as in grpc-go."""
_OFFSET = FULL // 2  # neighbours of one weight are skipped in different rounds

_index = attrgetter("index")


class Smooth:
    """`current += weight` for all, take the largest, and charge it the sum of the weights.

    The first pick is one of the heaviest at random, and ties go on from there in the order of joining. The
    sequence is blind, so a tie cannot attract traffic; a fixed start would overload the first servers
    whenever the sequence is built anew.
    """

    def __init__(self) -> None:
        self._current: dict[Node, float] = {}
        self._first: Node | None = None

    def next(self, eligible: Sequence[Node], rng: random.Random) -> Node:
        """The next server of the sequence."""
        if self._first is None:
            self._first = lowest(eligible, lambda node: -node.weight, rng)
        at = bisect_left(eligible, self._first.index, key=_index)
        current = self._current
        for node in eligible:
            current[node] = current.get(node, 0.0) + node.weight
        best = max((*eligible[at:], *eligible[:at]), key=current.__getitem__)
        current[best] -= sum(node.weight for node in eligible)
        return best


class Stride:
    """Go round and round; in each round a server is skipped so often that its weight's share remains.

    A server's place in the pattern depends on its order of joining, which does not shift when others leave.
    """

    def __init__(self, position: int = 0, generation: int = 0) -> None:
        self._position, self._generation = position, generation
        self._last: Node | None = None

    def next(self, eligible: Sequence[Node], heaviest: float) -> Node:
        """The next server that is not skipped; the heaviest never is."""
        self._find(eligible)
        while True:
            if self._position >= len(eligible):
                self._position, self._generation = 0, self._generation + 1
            node = eligible[self._position]
            self._position += 1
            weight = max(1, min(FULL, round(FULL * node.weight / heaviest)))
            if (weight * self._generation + _OFFSET * node.index) % FULL >= FULL - weight:
                self._last = node
                return node

    def _find(self, eligible: Sequence[Node]) -> None:
        """Go on behind the last server, also when others came or went before it."""
        at, last = self._position, self._last
        if last is not None and not (0 < at <= len(eligible) and eligible[at - 1] is last):
            self._position = bisect_right(eligible, last.index, key=_index)


class WeightedRoundRobin(Strategy):
    """Each eligible server in turn, in proportion to its weight. Blind to load, latency and failures."""

    name: ClassVar[str] = "weighted_round_robin"
    help: ClassVar[str] = "one after the other, by weight"

    def __init__(self) -> None:
        self._smooth = Smooth()
        self._stride: Stride | None = None
        self._heaviest = 0.0

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - blind
        """Scale the stride to the heaviest server seen; when it leaves, more are skipped and shares stay."""
        self._heaviest = max(self._heaviest, node.weight)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - blind
        """The next of the sequence."""
        if len(eligible) <= SCAN:
            return self._smooth.next(eligible, rng)
        if self._stride is None:  # clients that start together must not walk together
            self._stride = Stride(int(rng.random() * len(eligible)), int(rng.random() * FULL))
        return self._stride.next(eligible, self._heaviest)
