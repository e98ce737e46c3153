"""`latency`: the server with the lowest recent latency, now and then another one to keep knowing them all.

What is learned decays with time, not with the number of calls. A server that was never asked is asked first;
one that was slow is asked again by chance, or it would never be measured again.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.model import OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.bags import Buckets
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.lesson import lesson
from mcpnb.routing.strategies.memory import Memory
from mcpnb.routing.strategies.sampling import SCAN, shown

FAULT_LATENCY = 5.0
"""Seconds that a fault counts as: a server that fails at once must not look fast."""


class Latency(Strategy):
    """Lowest time-decayed average latency, a random server with probability ε. O(log n), ties at random.

    A server without samples comes before all others, so that each is sampled once before it is judged; but
    one that was asked and has not answered yet is not asked again while another is known, or a slow one would
    be flooded exactly until it is known to be slow. Cancelled attempts teach nothing. Blind to load.
    """

    name: ClassVar[str] = "latency"
    aliases: ClassVar[tuple[str, ...]] = ("latency_based",)
    help: ClassVar[str] = "lowest recent latency"
    looks_at: ClassVar[str] = "average latency, s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("epsilon", 0.05, 0.0, 1.0, "share of calls that explore a random server"),
        Parameter("tau", 10.0, 0.1, 3600.0, "seconds after which a sample weighs 1/e", "s"),
    )

    def __init__(self, epsilon: float = 0.05, tau: float = 10.0) -> None:
        self._epsilon, self._tau = epsilon, tau
        self._average = Memory[tuple[float, float]]()  # seconds, when they were last updated
        self._asked: Counter[Node] = Counter()  # attempts that are out
        self._fastest = Buckets()  # who is here, by average
        self._unknown = Buckets()  # who is here and was never sampled, by attempts that are out

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - an average stays until the next sample
        """Put the server where what is known of it belongs."""
        self._average.added(node)
        known = self._average.known.get(node)
        if known is None:
            self._unknown.put(node, self._asked[node])
        else:
            self._fastest.put(node, known[0])

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - an average stays until the next sample
        """Take the server out; what was learned stays."""
        self._average.removed(node)
        (self._unknown if node in self._unknown else self._fastest).remove(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - kept in buckets
        """An unknown server, else by chance any, else the fastest."""
        nodes = self._unasked()
        if not nodes:
            nodes = eligible if rng.random() < self._epsilon else self._fastest.lowest()
        node = nodes[int(rng.random() * len(nodes))]
        self.compared = shown(node, eligible) if len(eligible) <= SCAN else (node,)
        return node

    def _unasked(self) -> Sequence[Node]:
        """Unknown servers whose turn it is: nobody has asked them yet, or there is nobody else."""
        if not len(self._unknown):
            return ()
        nodes = self._unknown.lowest()
        return nodes if not len(self._fastest) or not self._asked[nodes[0]] else ()

    def started(self, node: Node, now: float) -> None:  # noqa: ARG002 - only that it was asked counts
        """Remember that the server was asked."""
        self._ask(node, 1)

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - an average stays until the next sample
        """Average latency in seconds, 0 when it was never sampled."""
        return self._average.known.get(node, (0.0, 0.0))[0]

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Learn from an answer or a fault."""
        self._ask(node, -1)
        known = self._average.known.get(node)
        sample = lesson(kind, latency, known and known[0], FAULT_LATENCY)
        if sample is None:
            return
        average, at = known or (sample, now)
        keep = math.exp(-max(0.0, now - at) / self._tau)
        average = average * keep + sample * (1.0 - keep)
        self._average.put(node, (average, now))
        if node in self._unknown:
            self._unknown.remove(node)
            self._fastest.put(node, average)
        elif node in self._fastest:
            self._fastest.put(node, average)

    def _ask(self, node: Node, change: int) -> None:
        asked = max(0, self._asked[node] + change)
        if asked:
            self._asked[node] = asked
        else:
            self._asked.pop(node, None)
        if node in self._unknown:
            self._unknown.put(node, asked)
