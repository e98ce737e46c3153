"""`bounded_hash`: the same server for the same key, as long as it has no more than its share of the load.

Source: Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads" (2018). Plain hashing lets
one hot key overload one server; here its calls walk on along the ring when the server is full.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.hashing import units


class BoundedHash(Strategy):
    """The first server on the ring after the key that is here and below its capacity. O(log n) plus the walk.

    Capacity = `balance` x (calls in flight + 1) / servers, by weight and rounded up, so that somebody always
    has room. The key is the call's affinity key, else its tool. Blind to latency and failures; a server that
    is out is walked past, one that joins takes over its share of the keys. The ring is built at the first
    pick after an unknown server joined.
    """

    name: ClassVar[str] = "bounded_hash"
    help: ClassVar[str] = "the same server for the same key, unless it is full"
    looks_at: ClassVar[str] = "in flight / weight"
    keyed: ClassVar[bool] = True
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("balance", 1.25, 1.0, 100.0, "how far above the mean a server may be loaded"),
        Parameter("points", 100.0, 1.0, 1000.0, "places of each server on the ring"),
    )

    def __init__(self, balance: float = 1.25, points: float = 100.0) -> None:
        self._balance, self._points = balance, int(points)
        self._known: list[Node] = []
        self._seen: set[Node] = set()
        self._here: dict[Node, int] = {}  # with the calls in flight that `_total` counts
        self._total, self._weight = 0, 0.0
        self._ring: list[tuple[float, Node]] = []

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """Count the server's load, and give it its places if it never had any."""
        self._here[node] = node.in_flight
        self._total, self._weight = self._total + node.in_flight, self._weight + node.weight
        node.watch(self._moved)
        if node not in self._seen:
            self._seen.add(node)
            self._known.append(node)
            self._ring = []

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """The server keeps its places and is walked past."""
        node.unwatch(self._moved)
        self._total, self._weight = self._total - self._here.pop(node), self._weight - node.weight

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - no age
        """Walk from the key's place to the first server with room."""
        if not self._ring:
            self._ring = ring(self._known, self._points)
        limit = self._balance * (self._total + 1) / self._weight
        at = bisect_left(self._ring, units("key")(self.key), key=_place)
        for step in range(len(self._ring)):
            node = self._ring[(at + step) % len(self._ring)][1]
            if node in self._here and node.in_flight < math.ceil(limit * node.weight):
                self.compared = (node,)
                return node
        return eligible[int(rng.random() * len(eligible))]  # rounding only: the capacities exceed the load

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - load has no age
        """Calls in flight per unit of weight."""
        return node.in_flight / node.weight

    def _moved(self, node: Node) -> None:
        self._total += node.in_flight - self._here[node]
        self._here[node] = node.in_flight


def ring(nodes: Sequence[Node], points: int) -> list[tuple[float, Node]]:
    """Each server at `points` places of (0, 1), in their order."""
    places = [(units(node.name)(str(i)), node) for node in nodes for i in range(points)]
    return sorted(places, key=_place)


def _place(entry: tuple[float, Node]) -> float:
    return entry[0]
