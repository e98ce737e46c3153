"""`random`: uniform, blind, O(1). The yardstick that the others have to beat."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Strategy


class RandomChoice(Strategy):
    """Any eligible server with the same probability. Blind to load, latency and failures."""

    name: ClassVar[str] = "random"
    help: ClassVar[str] = "any server, all alike"

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - blind
        """A uniform draw."""
        return eligible[int(rng.random() * len(eligible))]
