"""`weighted_round_robin`: each server in turn, as often as its weight says, spread evenly.

Up to 64 servers: the smooth sequence of nginx (commit 52327e0), O(n). Beyond: the static stride of grpc-go
(`weightedroundrobin/scheduler.go`, gRFC A58) among servers of similar weight, and the smooth sequence among
these tiers. One stride over all would skip nearly everybody when one server outweighs the rest.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from math import frexp
from operator import attrgetter
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy
from mcpnb.routing.strategies.memory import Memory
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
        self.current = Memory[float]()
        self._first: Node | None = None

    def next(self, eligible: Sequence[Node], rng: random.Random) -> Node:
        """The next server of the sequence."""
        if self._first is None:
            self._first = lowest(eligible, lambda node: -node.weight, rng)
        at = bisect_left(eligible, self._first.index, key=_index)
        current = self.current.known
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


class _Tier:
    """Servers whose weights lie within a factor of two, in the order of joining."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.weight = 0.0
        self.heaviest = 0.0
        """Of all that were ever here: at most twice what it is now."""
        self.current = 0.0
        self.stride: Stride | None = None


class Tiers:
    """Servers by the order of magnitude of their weights. O(1) on average while few magnitudes exist."""

    def __init__(self) -> None:
        self._tiers: dict[int, _Tier] = {}
        self._tier: dict[
            Node, tuple[_Tier, float]
        ] = {}  # who is here; a weight may change before it is taken out

    def add(self, node: Node) -> None:
        """Put a server to those of similar weight."""
        tier = self._tiers.setdefault(frexp(node.weight)[1], _Tier())
        self._tier[node] = tier, node.weight
        insort(tier.nodes, node, key=_index)
        tier.weight += node.weight
        tier.heaviest = max(tier.heaviest, node.weight)

    def remove(self, node: Node) -> None:
        """Take a server out."""
        tier, weight = self._tier.pop(node)
        del tier.nodes[bisect_left(tier.nodes, node.index, key=_index)]
        tier.weight = tier.weight - weight if tier.nodes else 0.0

    def next(self, rng: random.Random) -> Node:
        """The tier whose turn it is, and its next server."""
        tier = self._turn(rng)
        if tier.stride is None:  # clients that start together must not walk together
            tier.stride = Stride(int(rng.random() * len(tier.nodes)), int(rng.random() * FULL))
        return tier.stride.next(tier.nodes, tier.heaviest)

    def _turn(self, rng: random.Random) -> _Tier:
        tiers = [tier for tier in self._tiers.values() if tier.nodes]
        if len(tiers) == 1:
            return tiers[0]
        weights = [tier.weight for tier in tiers]
        for tier in tiers:
            tier.current += tier.weight
        fresh = all(tier.stride is None for tier in tiers)  # nor start with the same tier
        best = rng.choices(tiers, weights)[0] if fresh else max(tiers, key=_current)
        best.current -= sum(weights)
        return best


_current = attrgetter("current")


class WeightedRoundRobin(Strategy):
    """Each eligible server in turn, in proportion to its weight. Blind to load, latency and failures."""

    name: ClassVar[str] = "weighted_round_robin"
    help: ClassVar[str] = "one after the other, by weight"

    def __init__(self) -> None:
        self._smooth, self._tiers = Smooth(), Tiers()

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - blind
        """The server takes its place in both sequences."""
        self._smooth.current.added(node)
        self._tiers.add(node)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - blind
        """The server is passed over; what it is owed stays for a while."""
        self._smooth.current.removed(node)
        self._tiers.remove(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - blind
        """The next of the sequence."""
        return self._smooth.next(eligible, rng) if len(eligible) <= SCAN else self._tiers.next(rng)
