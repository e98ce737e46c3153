"""Servers at hashed places: a `Ring` knows whose a key is, a `Circle` who comes next and has room."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from math import inf

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.hashing import places

PLACES = 1 << 17
"""Places on a ring, at most: beyond, each server gets half as many, and half again."""


class Ring:
    """Servers at places of (0, 1), several for each. What lies before a place belongs to its server."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._nodes: dict[Node, None] = {}
        self._new: list[Node] = []  # those that have no places yet
        self._owner: dict[float, Node] = {}
        self._places: list[float] = []

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, node: Node) -> None:
        """A server takes its places, if it is not there already."""
        if node not in self._nodes:
            self._nodes[node] = None
            self._new.append(node)

    def keep(self, nodes: Iterable[Node]) -> None:
        """Only these of the servers keep their places."""
        stay = set(nodes)
        self._nodes = {node: None for node in self._nodes if node in stay}
        self._new = [node for node in self._new if node in stay]
        self._owner = {place: node for place, node in self._owner.items() if node in stay}
        self._places = sorted(self._owner)

    def after(self, place: float) -> Node:
        """The first server at or after a place; there has to be one."""
        if self._new:
            self._enter()
        at = bisect_left(self._places, place)
        return self._owner[self._places[at if at < len(self._places) else 0]]

    def shares(self) -> dict[Node, float]:
        """How much of the ring belongs to each server; 1 in all."""
        if self._new:
            self._enter()
        shares, before = dict.fromkeys(self._nodes, 0.0), self._places[-1] - 1.0
        for place in self._places:
            shares[self._owner[place]] += place - before
            before = place
        return shares

    def _enter(self) -> None:
        while self._points > 1 and self._points * len(self._nodes) > PLACES:
            self._points //= 2
            self._new, self._owner, self._places = list(self._nodes), {}, []
        for node in self._new:
            own = places(node.name, self._points)
            self._owner.update(dict.fromkeys(own, node))
            self._places += own
        self._places.sort()  # merges what is sorted already
        self._new = []


class Circle:
    """Servers in the order of one hashed place each, and the next whose load is below a limit. O(log n)."""

    def __init__(self) -> None:
        self._loads: dict[Node, float] = {}
        self._at: dict[Node, int] = {}
        self._nodes: list[Node] = []
        self._places: list[float] = []
        self._row = Row([])

    def put(self, node: Node, load: float) -> None:
        """A server has that load; an unknown one takes its place before the next question."""
        self._loads[node] = load
        at = self._at.get(node)
        if at is not None:
            self._row.put(at, load)

    def pass_over(self, node: Node) -> None:
        """A server is not to be found until it has a load again."""
        self.put(node, inf)

    def keep(self, nodes: Iterable[Node]) -> None:
        """Only these of the servers keep their places."""
        self._loads = {node: self._loads[node] for node in nodes}
        self._at, self._nodes = {}, []

    def below(self, limit: float, place: float) -> Node | None:
        """The first server at or after a place, and round again, with a load below the limit."""
        if len(self._nodes) < len(self._loads):
            self._arrange()
        start = bisect_left(self._places, place)
        at = self._row.below(limit, start)
        return None if at is None else self._nodes[at]

    def _arrange(self) -> None:
        placed = sorted((places(node.name, 1)[0], node.index, node) for node in self._loads)
        self._places, self._nodes = [place for place, _, _ in placed], [node for _, _, node in placed]
        self._at = {node: at for at, node in enumerate(self._nodes)}
        self._row = Row([self._loads[node] for node in self._nodes])


class Row:
    """Numbers in a row, under a tree that holds the least of each half, quarter and so on."""

    def __init__(self, values: list[float]) -> None:
        self._size = size = 1 << max(0, len(values) - 1).bit_length()
        self._least = [inf] * size + values + [inf] * (size - len(values))
        for i in range(size - 1, 0, -1):
            self._least[i] = min(self._least[2 * i], self._least[2 * i + 1])

    def put(self, at: int, value: float) -> None:
        """Replace a number."""
        least, i = self._least, at + self._size
        least[i] = value
        while i > 1:
            other = least[i ^ 1]
            low = value if value < other else other  # noqa: FURB136 - twice as fast as min()
            i >>= 1
            if least[i] == low:
                return
            least[i] = value = low

    def below(self, limit: float, start: int) -> int | None:
        """The place of the first number below the limit, from a place on and then from the first."""
        at = self._from(limit, start)
        return self._from(limit, 0) if at is None else at

    def _from(self, limit: float, start: int) -> int | None:
        least, size, i = self._least, self._size, start + self._size
        if start >= size:
            return None
        while not least[i] < limit:
            while i & 1:  # nobody here, and nobody to the right under the same parent
                i >>= 1
            if i == 0:
                return None
            i += 1
        while i < size:
            i *= 2
            if not least[i] < limit:
                i += 1
        return i - size
