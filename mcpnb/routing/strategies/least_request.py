"""`least_request`: the server with the fewest calls in flight per weight, ties at random.

Servers are kept in buckets by load, so that a pick looks at the lowest bucket only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.bags import Buckets
from mcpnb.routing.strategies.base import Strategy


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
        self._loads = Buckets()

    def added(self, node: Node, now: float) -> None:
        """Put the server into its bucket and follow its load."""
        self._loads.put(node, self.measure(node, now))
        node.watch(self._moved)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - load has no age
        """Take the server out."""
        node.unwatch(self._moved)
        self._loads.remove(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - kept in buckets
        """One of the lowest bucket, at random."""
        lowest = self._loads.lowest()
        node = lowest[int(rng.random() * len(lowest))]
        self.compared = (node,)
        return node

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - load has no age
        """Calls in flight per unit of weight."""
        return node.in_flight / node.weight

    def _moved(self, node: Node) -> None:
        self._loads.put(node, node.in_flight / node.weight)
