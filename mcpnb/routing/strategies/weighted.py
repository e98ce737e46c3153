"""`weighted`: at random, in proportion to weight x success rate / latency. O(1).

The weights are read anew at a fixed interval and kept in an alias table (Walker 1977, Vose 1991). Servers
without samples get the mean of the others, as in gRFC A58.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.model import OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.sampling import SCAN
from mcpnb.routing.strategies.tally import Tallies

SHORTEST = 1e-6
"""Seconds below which latencies are all the same."""
_DRAWS = 8  # of servers that are out, before the table is made anew


class Weighted(Strategy):
    """A draw by weight x success rate / latency, both over the last `tau` seconds or so.

    Cold start: an unknown server counts as the mean of the known ones; while fewer than two are known, only
    the static weights count. Failures lower the success rate. Nobody falls below `floor` times the mean, so
    a server that recovers is noticed. Cancelled attempts teach nothing. Blind to load.
    """

    name: ClassVar[str] = "weighted"
    help: ClassVar[str] = "at random, by weight, success and speed"
    looks_at: ClassVar[str] = "1 / (weight x success rate / latency), s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("interval", 1.0, 0.01, 3600.0, "seconds between two readings of the weights", "s"),
        Parameter("tau", 30.0, 0.1, 3600.0, "seconds after which a sample weighs 1/e", "s"),
        Parameter("floor", 0.05, 0.001, 1.0, "least weight of a server, as a share of the mean"),
    )

    def __init__(self, interval: float = 1.0, tau: float = 30.0, floor: float = 0.05) -> None:
        self._interval, self._floor = interval, floor
        self._tallies = Tallies(tau)
        self._here: set[Node] = set()
        self._weights: dict[Node, float] = {}
        self._table = AliasTable((), ())
        self._due = float("-inf")
        self._picks = 0  # since the last reading

    def added(self, node: Node, now: float) -> None:
        """A server that the table lacks makes it due."""
        self._here.add(node)
        self._tallies.added(node)
        if node not in self._weights:
            self._due = now

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - it stays in the table and is passed over
        """The server is not drawn any more."""
        self._here.discard(node)
        self._tallies.removed(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """A draw from the table, which is made anew when it is due or draws nobody who is here."""
        self._picks += 1
        if now >= self._due and self._picks >= self._patience(len(eligible)):
            self._read(eligible, now)
        for _ in range(_DRAWS):
            node = self._table.draw(rng)
            if node in self._here:
                break
        else:
            self._read(eligible, now)
            node = self._table.draw(rng)
        self.compared = (node,)
        return node

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - as of the last reading
        """One over the weight at the last reading, 0 when it was not read yet."""
        weight = self._weights.get(node)
        return 0.0 if weight is None else 1.0 / weight

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Count an answer or a fault."""
        self._tallies.add(node, kind, latency, now)

    def _read(self, eligible: Sequence[Node], now: float) -> None:
        qualities = filled([self._quality(node) for node in eligible], self._floor)
        weights = [node.weight * quality for node, quality in zip(eligible, qualities, strict=True)]
        self._weights = dict(zip(eligible, weights, strict=True))
        self._table = AliasTable(eligible, weights)
        self._due, self._picks = now + self._interval, 0

    def _patience(self, count: int) -> int:
        """Picks that a reading has to last: it looks at every server, and a pick must not, on average."""
        grown = 4 * count > 5 * len(self._weights)  # since the last reading, by a quarter
        return 0 if count <= SCAN or grown else count // 2

    def _quality(self, node: Node) -> float | None:
        answers, faults, seconds = self._tallies.last(node)
        if answers == 0.0:
            return 0.0 if faults else None
        return answers / (answers + faults) / max(seconds / answers, SHORTEST)


def filled(qualities: Sequence[float | None], floor: float) -> list[float]:
    """Qualities with the unknown ones at the mean of the known, and none below `floor` times that mean."""
    known = [quality for quality in qualities if quality is not None]
    mean = sum(known) / len(known) if known else 0.0
    if len(known) < 2 or mean == 0.0:
        return [1.0] * len(qualities)
    return [mean if quality is None else max(quality, floor * mean) for quality in qualities]


class AliasTable:
    """Draws in proportion to weights: O(n) to build, O(1) to draw."""

    def __init__(self, nodes: Sequence[Node], weights: Sequence[float]) -> None:
        self._nodes = tuple(nodes)
        mean = sum(weights) / len(weights) if weights else 0.0
        self._chance = [weight / mean for weight in weights]
        self._alias = list(range(len(weights)))
        small = [i for i, chance in enumerate(self._chance) if chance < 1.0]
        large = [i for i, chance in enumerate(self._chance) if chance >= 1.0]
        while small and large:
            poor, rich = small.pop(), large[-1]
            self._alias[poor] = rich
            self._chance[rich] -= 1.0 - self._chance[poor]
            if self._chance[rich] < 1.0:
                small.append(large.pop())

    def draw(self, rng: random.Random) -> Node:
        """One of the servers."""
        place = rng.random() * len(self._nodes)
        i = int(place)
        return self._nodes[i if place - i < self._chance[i] else self._alias[i]]
