"""`thompson`: draws from what is believed of each server, and takes the cheapest draw.

Source: Thompson, "On the likelihood that one unknown probability exceeds another" (1933). Success is
Beta-distributed, the latency's rate Gamma-distributed. Beliefs fade, so that a server that changed is asked
again. The cost counts the calls in flight: a reward that ignores its own load sends everything to one server.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.model import OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.sampling import few, lowest, shown
from mcpnb.routing.strategies.tally import Tallies

PRIOR_SUCCESSES, PRIOR_FAULTS = 2.0, 1.0
PRIOR_ANSWERS, PRIOR_SECONDS = 1.0, 0.01
"""What is believed without samples: mostly successful and fast, so that an unknown server is tried."""


LEAST_RATE = 1e-9
"""Answers a second that a draw is taken for at least: a draw of 0, rare as it is, would divide by it."""


class Thompson(Strategy):
    """The lowest drawn cost of all servers up to 64, of two random ones beyond.

    Cost = (drawn latency + `penalty` x drawn failure rate) x (calls in flight + 1), in seconds. Cold start:
    the prior is optimistic and weak. Failures raise the failure rate and say nothing of latency. Cancelled
    attempts teach nothing. Static weights are not looked at.
    """

    name: ClassVar[str] = "thompson"
    help: ClassVar[str] = "a bandit on success and latency"
    looks_at: ClassVar[str] = "drawn cost, s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("tau", 30.0, 0.1, 3600.0, "seconds after which a sample weighs 1/e", "s"),
        Parameter("penalty", 5.0, 0.0, 3600.0, "seconds that a fault costs", "s"),
    )

    def __init__(self, tau: float = 30.0, penalty: float = 5.0) -> None:
        self._penalty = penalty
        self._tallies = Tallies(tau)
        self._drawn: dict[Node, float] = {}

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - beliefs carry their time
        """A server that comes back keeps what was learned."""
        self._tallies.added(node)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - beliefs carry their time
        """What was learned stays for a while."""
        self._tallies.removed(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """The server with the lowest draw."""
        nodes = few(eligible, rng)
        self._drawn = {node: self._draw(node, now, rng) for node in nodes}
        node = lowest(nodes, self._drawn.__getitem__, rng)
        self.compared = shown(node, nodes)
        return node

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - as of the last pick
        """The cost drawn at the last pick, 0 when there was none."""
        return self._drawn.get(node, 0.0)

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Count an answer or a fault."""
        self._tallies.add(node, kind, latency, now)

    def _draw(self, node: Node, now: float, rng: random.Random) -> float:
        answers, faults, seconds = self._tallies.read(node, now)
        failing = rng.betavariate(PRIOR_FAULTS + faults, PRIOR_SUCCESSES + answers)
        rate = rng.gammavariate(PRIOR_ANSWERS + answers, 1.0 / (PRIOR_SECONDS + seconds))
        return (1.0 / max(rate, LEAST_RATE) + self._penalty * failing) * (node.in_flight + 1)
