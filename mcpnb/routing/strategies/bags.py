"""Servers kept ready to be drawn from: a `Bag` draws one at random, `Buckets` one that measures least.

Ties are left to chance. A first-in-the-list tie would turn one server that fails at once (and so is always
idle) into all of the traffic.
"""

from __future__ import annotations

import heapq

from mcpnb.routing.node import Node

_SLACK = 64
"""Stale values that may lie about before it pays to sweep them out."""


class Bag:
    """A set of servers as a list: O(1) to add, to remove, and to draw one at random."""

    __slots__ = ("nodes", "place")

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.place: dict[Node, int] = {}

    def add(self, node: Node) -> None:
        """Put a server in that is not in yet."""
        self.place[node] = len(self.nodes)
        self.nodes.append(node)

    def remove(self, node: Node) -> None:
        """Take a server out; the last one moves into the gap."""
        at, last = self.place.pop(node), self.nodes.pop()
        if last is not node:
            self.nodes[at] = last
            self.place[last] = at


class Buckets:
    """Servers by a number. Finding the lowest is O(1) while few numbers exist, else O(log of their count)."""

    __slots__ = ("_bags", "_heap", "_value")

    def __init__(self) -> None:
        self._value: dict[Node, float] = {}
        self._bags: dict[float, Bag] = {}
        self._heap: list[float] = []  # every number that has a bag, and some that had one

    def __contains__(self, node: Node) -> bool:
        return node in self._value

    def __len__(self) -> int:
        return len(self._value)

    def put(self, node: Node, value: float) -> None:
        """File a server under a number, wherever it was before."""
        if node in self._value:
            self._bags[self._value[node]].remove(node)
        bag = self._bags.get(value)
        if bag is None:
            bag = self._bags[value] = Bag()
            self._push(value)
        bag.add(node)
        self._value[node] = value

    def remove(self, node: Node) -> None:
        """Take a server out."""
        self._bags[self._value.pop(node)].remove(node)

    def lowest(self) -> list[Node]:
        """The servers with the lowest number; there has to be one."""
        while not (nodes := self._bags[self._heap[0]].nodes):
            del self._bags[heapq.heappop(self._heap)]
        return nodes

    def _push(self, value: float) -> None:
        if (
            len(self._heap) > 2 * len(self._value) + _SLACK
        ):  # empty ones are met only when they are the lowest
            self._bags = {number: bag for number, bag in self._bags.items() if bag.nodes or number == value}
            self._heap = list(self._bags)
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, value)
