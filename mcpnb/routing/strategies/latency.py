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

from mcpnb.model import FAULTS, OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy

FAULT_LATENCY = 5.0
"""Seconds that a fault counts as: a server that fails at once must not look fast."""


class Latency(Strategy):
    """Lowest time-decayed average latency, exploring a random server with probability ε.

    A server without samples comes before all others, so that each is sampled once before it is judged; but
    one that was asked and has not answered yet is not asked again while another is known, or a slow one would
    be flooded exactly until it is known to be slow. Cancelled attempts teach nothing.
    """

    name: ClassVar[str] = "latency"
    aliases: ClassVar[tuple[str, ...]] = ("latency_based",)
    help: ClassVar[str] = "lowest recent latency"
    looks_at: ClassVar[str] = "average latency, s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("epsilon", 0.05, 0.0, 1.0, "share of calls that explore a random server"),
        Parameter("tau", 10.0, 0.1, 3600.0, "seconds after which a sample weighs 1/e"),
    )

    def __init__(self, epsilon: float = 0.05, tau: float = 10.0) -> None:
        self._epsilon, self._tau = epsilon, tau
        self._average: dict[str, tuple[float, float]] = {}  # name → (seconds, when it was last updated)
        self._asked: Counter[str] = Counter()  # attempts out at servers that have no sample

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """An unknown server, else by chance any, else the fastest."""
        self.compared = eligible
        known = [node for node in eligible if node.name in self._average]
        if len(known) < len(eligible):
            unknown = [node for node in eligible if node.name not in self._average]
            first = min(unknown, key=lambda node: (self._asked[node.name], rng.random()))
            if not known or not self._asked[first.name]:
                return first
        if rng.random() < self._epsilon:
            return known[int(rng.random() * len(known))]
        return min(known, key=lambda node: (self.measure(node, now), rng.random()))

    def started(self, node: Node, now: float) -> None:  # noqa: ARG002 - only that it was asked counts
        """Remember that an unknown server was asked."""
        if node.name not in self._average:
            self._asked[node.name] += 1

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - an average stays until the next sample
        """Average latency in seconds, 0 when it was never sampled."""
        return self._average.get(node.name, (0.0, 0.0))[0]

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Learn from an answer or a fault."""
        if node.name in self._asked:
            self._asked[node.name] -= 1
        if kind in {"cancelled", "rejected"}:
            return
        sample = max(latency, FAULT_LATENCY) if kind in FAULTS else latency
        known = self._average.get(node.name)
        if known is None:
            del self._asked[node.name]
            self._average[node.name] = (sample, now)
            return
        average, at = known
        keep = math.exp(-max(0.0, now - at) / self._tau)
        self._average[node.name] = (average * keep + sample * (1.0 - keep), now)
