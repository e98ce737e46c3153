"""`rendezvous`: every key has its own ranking of the servers, and goes to the first one that is up.

Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998), with the logarithmic
weights of Schindelhauer and Schomaker (2005). There is no table to grow: when a server goes, only its keys
move, and when it comes back, they return.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy
from mcpnb.routing.strategies.hashing import units

KEPT = 8
"""The places of a ranking that are kept; four times as many once all of these are out, and so on."""
CACHED = 1024
"""Keys whose ranking is kept; the least recently used goes first."""
_OUT = 64  # servers that may be out before those that are here have the rankings to themselves


class Rendezvous(Strategy):
    """The highest-ranked eligible server of the call's key, by weighted hash. O(n) for a new key, then O(1).

    The key is the call's affinity key, else its arguments, else its tool. Blind to load and failures: who is
    out is passed over in rank order, and one that joins takes over its share of the keys at once.
    """

    name: ClassVar[str] = "rendezvous"
    help: ClassVar[str] = "the same server for the same key"
    looks_at: ClassVar[str] = "place in the key's ranking"
    keyed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._known: dict[Node, None] = {}
        self._here: set[Node] = set()
        self._rankings: OrderedDict[str, list[Node]] = OrderedDict()

    def expected(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """A server that was never seen takes its places in the rankings."""
        if node not in self._known:
            self._known[node] = None
            self._rankings.clear()

    def added(self, node: Node, now: float) -> None:
        """The server gets the calls of its places."""
        self._here.add(node)
        self.expected(node, now)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - hashes have no age
        """The server keeps its places for a while and is passed over."""
        self._here.discard(node)
        if len(self._known) > 2 * len(self._here) + _OUT:
            self._known = {known: None for known in self._known if known in self._here}
            self._rankings.clear()

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - hashed
        """The first of the key's ranking that is here."""
        ranking = self._ranking(self.key)
        place = self._place(ranking)
        while place is None and len(ranking) < len(self._known):
            ranking = self._rankings[self.key] = rank(self.key, self._known, 4 * len(ranking))
            place = self._place(ranking)
        if place is None:
            raise LookupError("nobody who is eligible was added")
        self.compared = ranking[: place + 1]
        return ranking[place]

    def _place(self, ranking: Sequence[Node]) -> int | None:
        return next((place for place, node in enumerate(ranking) if node in self._here), None)

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - hashes have no age
        """The server's place for the current key, from 1; one more than are kept when it is further down."""
        ranking = self._rankings.get(self.key, [])
        return ranking.index(node) + 1 if node in ranking else len(ranking) + 1

    def _ranking(self, key: str) -> list[Node]:
        ranking = self._rankings.get(key)
        if ranking is None:
            ranking = self._rankings[key] = rank(key, self._known, KEPT)
            if len(self._rankings) > CACHED:
                self._rankings.popitem(last=False)
        else:
            self._rankings.move_to_end(key)
        return ranking


def rank(key: str, nodes: Iterable[Node], places: int) -> list[Node]:
    """The first servers of a key's ranking, best first; each is first for its weight's share of the keys."""
    unit = units(key)
    return heapq.nlargest(
        places, nodes, key=lambda node: (-node.weight / math.log(unit(node.name)), node.name)
    )
