"""`least_request`: the server with the fewest calls in flight per weight, ties at random.

Servers are kept in buckets by load, so that a pick looks at the lowest bucket only. A first-in-the-list tie
would turn one server that fails at once (and so is always idle) into all of the traffic.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy


class _Bucket:
    """Servers of one load: O(1) to add, to remove, and to draw one at random."""

    __slots__ = ("nodes", "place")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.place: dict[Node, int] = {}

    def add(self, node: Node) -> None:
        self.place[node] = len(self.nodes)
        self.nodes.append(node)

    def remove(self, node: Node) -> None:
        at, last = self.place.pop(node), self.nodes.pop()
        if last is not node:
            self.nodes[at] = last
            self.place[last] = at


class LeastRequest(Strategy):
    """The least loaded eligible server. O(1) while few distinct loads exist, else O(log of their number).

    An idle server is preferred, so a new one is tried at once; one that fails fast looks idle and has to be
    taken out by filters.
    """

    name: ClassVar[str] = "least_request"
    aliases: ClassVar[tuple[str, ...]] = ("least_connections", "load_balanced")
    help: ClassVar[str] = "fewest calls in flight"
    looks_at: ClassVar[str] = "in flight / weight"

    def __init__(self) -> None:
        self._load: dict[Node, float] = {}
        self._buckets: dict[float, _Bucket] = {}
        self._loads: list[float] = []  # a heap of the buckets' loads; empty buckets leave it when met

    def added(self, node: Node, now: float) -> None:
        """Put the server into its bucket and follow its load."""
        self._place(node, self.measure(node, now))
        node.watch(self._moved)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - load has no age
        """Take the server out."""
        node.unwatch(self._moved)
        self._buckets[self._load.pop(node)].remove(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - kept in buckets
        """One of the lowest bucket, at random."""
        lowest = self._lowest()
        node = lowest[int(rng.random() * len(lowest))]
        self.compared = (node,)
        return node

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - load has no age
        """Calls in flight per unit of weight."""
        return node.in_flight / node.weight

    def _moved(self, node: Node) -> None:
        self._buckets[self._load[node]].remove(node)
        self._place(node, node.in_flight / node.weight)

    def _place(self, node: Node, load: float) -> None:
        bucket = self._buckets.get(load)
        if bucket is None:
            bucket = self._buckets[load] = _Bucket()
            heapq.heappush(self._loads, load)
        bucket.add(node)
        self._load[node] = load

    def _lowest(self) -> list[Node]:
        while not (nodes := self._buckets[self._loads[0]].nodes):
            del self._buckets[heapq.heappop(self._loads)]
        return nodes
