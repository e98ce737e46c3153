"""How a server did lately: answers, faults and seconds, each fading with time and not with the calls."""

from __future__ import annotations

import math
from typing import NamedTuple

from mcpnb.model import FAULTS, OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.lesson import lesson
from mcpnb.routing.strategies.memory import Memory


class Tally(NamedTuple):
    """Faded sums over the attempts at one server."""

    answers: float = 0.0
    faults: float = 0.0
    seconds: float = 0.0
    """What the answers took, all together."""


_NOTHING = Tally(), 0.0


class Tallies:
    """One tally per server. A sample weighs 1/e after `tau` seconds.

    Cancelled and rejected attempts count as nothing. A fault counts as a fault and its time as nothing, so a
    server that fails at once does not look fast.
    """

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._tallies = Memory[tuple[Tally, float]]()  # with the time of the last sample

    def added(self, node: Node) -> None:
        """A server that comes back keeps its sums."""
        self._tallies.added(node)

    def removed(self, node: Node) -> None:
        """Its sums stay for a while."""
        self._tallies.removed(node)

    def last(self, node: Node) -> Tally:
        """The sums as they were at the last sample. They fade alike: their ratios are still the same."""
        return self._tallies.known.get(node, _NOTHING)[0]

    def read(self, node: Node, now: float) -> Tally:
        """The sums as they are now; zeros for a server that was never heard of."""
        tally, at = self._tallies.known.get(node, (_NOTHING[0], now))
        keep = math.exp(-max(0.0, now - at) / self._tau)
        return Tally(tally.answers * keep, tally.faults * keep, tally.seconds * keep)

    def add(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Count an attempt that ended after `latency` seconds."""
        answers, faults, seconds = self.read(node, now)
        took = lesson(kind, latency, seconds / answers if answers else None, latency)
        if took is None:
            return
        if kind in FAULTS:
            faults += 1.0
        else:
            answers, seconds = answers + 1.0, seconds + took
        self._tallies.put(node, (Tally(answers, faults, seconds), now))
