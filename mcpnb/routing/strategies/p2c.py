"""`p2c`: two at random, the less loaded of them (power of two choices). The default.

Source: Mitzenmacher, "The power of two choices in randomized load balancing" (2001). The two are distinct:
drawing with replacement would sometimes compare the busiest server with itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy


class P2C(Strategy):
    """Two distinct eligible servers at random; the one with fewer calls in flight per weight. O(1).

    An idle server is preferred, so a new one is tried at once. A server that fails fast looks idle: filters
    (its connection's state, its breaker) have to take it out.
    """

    name: ClassVar[str] = "p2c"
    help: ClassVar[str] = "power of two choices"
    looks_at: ClassVar[str] = "in flight / weight"

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """The less loaded of two; a tie goes to the first drawn, which is random already."""
        n = len(eligible)
        if n == 1:
            self.compared = eligible
            return eligible[0]
        i = int(rng.random() * n)
        j = int(rng.random() * (n - 1))
        first, second = eligible[i], eligible[j + 1 if j >= i else j]
        self.compared = (first, second)
        return second if self.measure(second, now) < self.measure(first, now) else first

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - load has no age
        """Calls in flight per unit of weight."""
        return node.in_flight / node.weight
