"""`bounded_hash`: the same server for the same key, as long as it has no more than its share of the load.

Source: Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads" (2018). Plain hashing lets
one hot key overload one server; here its calls go on to the next server that has room. That one is found in a
tree of loads: a hot key would otherwise walk past all the servers that it has filled itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.hashing import units
from mcpnb.routing.strategies.ring import Circle, Ring
from mcpnb.routing.strategies.sampling import lowest

_OUT = 64  # servers that may be out before those that are here have the ring to themselves
_UNIT = 1 << 64  # a weight of 1: whole numbers add up exactly, whatever comes and goes


class BoundedHash(Strategy):
    """The key's server on the ring; when it is full, the next in a circle that has room. O(log n).

    Full is who has `balance` x (calls in flight + 1) / servers, by weight and rounded up, so that somebody
    always has room. The key is the call's affinity key, else its arguments, else its tool; each enters the
    circle at a place of its own. Blind to latency and failures; a server that is out is passed over, one that
    joins takes over its share of the keys.
    """

    name: ClassVar[str] = "bounded_hash"
    help: ClassVar[str] = "the same server for the same key, unless it is full"
    looks_at: ClassVar[str] = "in flight / weight"
    keyed: ClassVar[bool] = True
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("balance", 1.25, 1.0, 100.0, "how far above the mean a server may be loaded"),
        Parameter("points", 100, 1, 1000, "places of each server on the ring"),
    )

    def __init__(self, balance: float = 1.25, points: int = 100) -> None:
        self._balance = balance
        self._ring, self._circle = Ring(int(points)), Circle()
        self._here: dict[Node, int] = {}  # with the calls in flight that `_total` counts
        self._shares: dict[
            Node, int
        ] = {}  # of those that are here; a weight may change before they are taken out
        self._total, self._weight = 0, 0

    def expected(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """A server has its places before it is up, so that no key moves when it comes."""
        self._ring.add(node)
        self._circle.pass_over(node)

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """Count the server's load, and give it its places if it has none."""
        self._here[node], self._shares[node] = node.in_flight, max(1, int(node.weight * _UNIT))
        self._total, self._weight = self._total + node.in_flight, self._weight + self._shares[node]
        self._ring.add(node)
        self._circle.put(node, node.in_flight / node.weight)
        node.watch(self._moved)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """The server keeps its places for a while and is passed over."""
        node.unwatch(self._moved)
        self._total, self._weight = self._total - self._here.pop(node), self._weight - self._shares.pop(node)
        self._circle.pass_over(node)
        if len(self._ring) > 2 * len(self._here) + _OUT:
            self._ring.keep(self._here)
            self._circle.keep(self._here)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """The key's server, or the first of its circle with room."""
        unit, limit = units(self.key), self._balance * (self._total + 1) * _UNIT / self._weight
        node = self._ring.after(unit(""))
        if node not in self._here or node.in_flight / node.weight >= limit:
            found = self._circle.below(limit, unit("circle"))
            # Somebody has room, unless a weight is too small to count.
            node = found or lowest(eligible, lambda node: self.measure(node, now), rng)
        self.compared = (node,)
        return node

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - load has no age
        """Calls in flight per unit of weight."""
        return node.in_flight / node.weight

    def _moved(self, node: Node) -> None:
        self._total += node.in_flight - self._here[node]
        self._here[node] = node.in_flight
        self._circle.put(node, node.in_flight / node.weight)
