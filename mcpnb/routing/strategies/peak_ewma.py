"""`peak_ewma`: two at random, the one with the lower latency estimate times the calls out. O(1).

Source: Finagle `PeakEwma`, tower `balance` with `load/peak_ewma.rs`. The estimate rises to a slow answer at
once and falls with time. It also falls while nothing is heard: otherwise a server that was slow once would
never be asked again.
"""

from __future__ import annotations

import math
from typing import ClassVar

from mcpnb.model import FAULTS, OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter
from mcpnb.routing.strategies.lesson import lesson
from mcpnb.routing.strategies.memory import Memory
from mcpnb.routing.strategies.p2c import P2C

PENALTY_TAU = 10.0
"""Seconds after which a fault's penalty has fallen to 1/e."""


class _Peak:
    """What is known of one server: the estimate and the penalty, each with the time it was set."""

    __slots__ = ("at", "fault", "fault_at", "sampled", "seconds")

    def __init__(self, seconds: float, at: float) -> None:
        self.seconds, self.at = seconds, at
        self.fault, self.fault_at = 0.0, at
        self.sampled = False


class PeakEwma(P2C):
    """The cheaper of two distinct servers, where cost = latency estimate x (calls in flight + 1), in seconds.

    Cold start: an unknown server is worth `default` seconds, falling with time, so that it is tried and not
    flooded. Failures: a fault adds `penalty` seconds that fade over 10 s; it can raise the estimate and never
    lowers it. Cancelled attempts teach nothing. Static weights are not looked at.
    """

    name: ClassVar[str] = "peak_ewma"
    help: ClassVar[str] = "two choices by peak-sensitive latency times load"
    looks_at: ClassVar[str] = "latency estimate x (in flight + 1), s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("tau", 10.0, 0.1, 3600.0, "seconds after which a sample weighs 1/e", "s"),
        Parameter("default", 1.0, 0.0, 60.0, "seconds that an unknown server is worth", "s"),
        Parameter("penalty", 5.0, 0.0, 3600.0, "seconds that a fault adds, fading over 10 s", "s"),
    )

    def __init__(self, tau: float = 10.0, default: float = 1.0, penalty: float = 5.0) -> None:
        self._tau, self._default, self._penalty = tau, default, penalty
        self._peaks = Memory[_Peak]()

    def added(self, node: Node, now: float) -> None:
        """Start the unknown server's clock; one that comes back keeps what was learned."""
        self._peaks.added(node)
        self._peak(node, now)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - estimates carry their time
        """What was learned stays for a while."""
        self._peaks.removed(node)

    def measure(self, node: Node, now: float) -> float:
        """Cost in seconds."""
        peak = self._peaks.known.get(node)
        if peak is None:
            return self._default * (node.in_flight + 1)
        cost = peak.seconds * _fade(now - peak.at, self._tau)
        if peak.fault:
            cost += peak.fault * _fade(now - peak.fault_at, PENALTY_TAU)
        return cost * (node.in_flight + 1)

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Learn from an answer or a fault."""
        peak = self._peak(node, now)
        seconds = lesson(kind, latency, peak.seconds, latency)
        if seconds is None:
            return
        if kind in FAULTS:
            peak.fault, peak.fault_at = self._penalty, now
            if latency <= peak.seconds:
                return
        self._learn(peak, seconds, now)

    def _peak(self, node: Node, now: float) -> _Peak:
        return self._peaks.known.get(node) or self._peaks.put(node, _Peak(self._default, now))

    def _learn(self, peak: _Peak, latency: float, now: float) -> None:
        if not peak.sampled or latency > peak.seconds:
            peak.seconds = latency
        else:
            keep = _fade(now - peak.at, self._tau)
            peak.seconds = peak.seconds * keep + latency * (1.0 - keep)
        peak.at, peak.sampled = now, True


def _fade(age: float, tau: float) -> float:
    return math.exp(-max(0.0, age) / tau)
