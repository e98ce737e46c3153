"""`c3`: the lowest R - 1/mu + q^3 / mu: the expected wait, with queues counted by their cube.

Source: Suresh et al., "C3: Cutting tail latency in cloud data stores via adaptive replica selection" (NSDI
2015). 1/mu is a service *time*; a well-known port once took the rate instead. MCP servers report neither
their service time nor their queue, so both are estimated from what this client sees.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.model import OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.lesson import UNKNOWN_SECONDS, lesson
from mcpnb.routing.strategies.memory import Memory
from mcpnb.routing.strategies.sampling import few, lowest, shown

FAULT_SECONDS = 5.0
"""Seconds that a fault counts as, at least: a server that fails at once must not look fast."""


class _Seen:
    """Averages of one server: response time, service time, queue; and when they were last updated."""

    __slots__ = ("at", "queue", "response", "service")

    def __init__(self, response: float, service: float, queue: float, at: float) -> None:
        self.response, self.service, self.queue, self.at = response, service, queue, at


class C3(Strategy):
    """The lowest score of all servers up to 64, of two random ones beyond. Ties at random.

    The queue is the number of calls that were still out at the server when it answered, the service time the
    response time over that queue and the call itself. Cold start: an unknown idle server comes before all
    others; with a first call out it counts as 1 s. Failures count as an answer after 5 s at least. Averages
    fade while nothing is heard, so a server that was bad is asked again. Cancelled attempts teach nothing.
    """

    name: ClassVar[str] = "c3"
    help: ClassVar[str] = "lowest expected wait, queues cubed"
    looks_at: ClassVar[str] = "C3 score, s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("clients", 1, 1, 10_000, "clients that send to the same servers"),
        Parameter("tau", 10.0, 0.1, 3600.0, "seconds after which a sample weighs 1/e", "s"),
    )

    def __init__(self, clients: float = 1.0, tau: float = 10.0) -> None:
        self._clients, self._tau = clients, tau
        self._seen = Memory[_Seen]()

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - averages carry their time
        """A server that comes back keeps what was learned."""
        self._seen.added(node)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - averages carry their time
        """What was learned stays for a while."""
        self._seen.removed(node)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """The server with the lowest score."""
        nodes = few(eligible, rng)
        node = lowest(nodes, lambda node: self.measure(node, now), rng)
        self.compared = shown(node, nodes)
        return node

    def measure(self, node: Node, now: float) -> float:
        """The score in seconds; below 0 for an unknown idle server."""
        seen = self._seen.known.get(node)
        if seen is None:
            if node.in_flight == 0:
                return -1.0
            return score(UNKNOWN_SECONDS, UNKNOWN_SECONDS, 0.0, node.in_flight, self._clients)
        keep = self._keep(seen, now)
        return score(
            seen.response * keep, seen.service * keep, seen.queue * keep, node.in_flight, self._clients
        )

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Learn from an answer or a fault."""
        seen = self._seen.known.get(node)
        response = lesson(kind, latency, seen and seen.response, FAULT_SECONDS)
        if response is None:
            return
        queue = max(0, node.in_flight - 1)  # without the one that ended
        service = response / (1 + queue)
        if seen is None:
            self._seen.put(node, _Seen(response, service, queue, now))
            return
        keep = self._keep(seen, now)
        seen.response = seen.response * keep + response * (1.0 - keep)
        seen.service = seen.service * keep + service * (1.0 - keep)
        seen.queue = seen.queue * keep + queue * (1.0 - keep)
        seen.at = now

    def _keep(self, seen: _Seen, now: float) -> float:
        return math.exp(-max(0.0, now - seen.at) / self._tau)


def score(response: float, service: float, queue: float, outstanding: float, clients: float) -> float:
    """R - 1/mu + q^3 / mu, with q = 1 + outstanding x clients + queue; times in and out in one unit."""
    estimate = 1.0 + outstanding * clients + queue
    return response - service + estimate**3 * service
