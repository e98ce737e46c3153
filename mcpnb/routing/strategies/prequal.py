"""`prequal`: among servers that are not busier than most, the fastest; when all are busy, the least busy.

Source: Wydrowski et al., "Load is not what you should balance: introducing Prequal" (NSDI 2024): hot-cold
lexicographic choice (HCL) over a small pool of probes that are reused a few times. MCP servers answer no
probes, so a probe is what this client knows: its own requests in flight (RIF) and its own latency estimate.
As in the paper, the estimate is of calls that found about as many in flight as there are now. One average
over all would say of a server with a growing line how quick it was before, and draw everybody there.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from mcpnb.model import FAULTS, OutcomeKind
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.base import Parameter, Strategy
from mcpnb.routing.strategies.lesson import lesson
from mcpnb.routing.strategies.memory import Memory
from mcpnb.routing.strategies.sampling import shown

POOL = 16
"""Probes kept."""
PROBES = 3
"""Probes taken for each pick."""
REMOVED = 1
"""Probes removed at each pick: the oldest and the worst in turn, or the bad ones would fill the pool."""
RECENT = 128
"""RIF samples that the quantile is taken of."""
FAULT_SECONDS = 10.0
"""Seconds after a fault in which a server counts as hotter than any other: failing at once keeps it idle."""
_TAU = 10.0  # seconds after which a latency sample weighs 1/e


class Reading(NamedTuple):
    """What a probe says."""

    rif: float
    latency: float
    """Seconds; 0 when unknown."""


class _Seen:
    """What is known of a server: latencies by the RIF that calls found, calls out, and the last fault."""

    __slots__ = ("_averages", "_out", "fault")

    def __init__(self) -> None:
        self.fault = -math.inf  # when it failed, if it did since its last answer
        self._averages: dict[int, tuple[float, float]] = {}  # level → seconds, when they were updated
        self._out: list[tuple[float, int]] = []  # when each call out was sent and the RIF that it found

    def latency(self, rif: int) -> float | None:
        """Seconds that a call takes which finds so many in flight, or the nearest known; None without any."""
        if not self._averages:
            return None
        sought = level(rif)
        if sought not in self._averages:
            sought = min(self._averages, key=lambda known: abs(known - sought))
        return self._averages[sought][0]

    def sent(self, rif: int, now: float) -> None:
        """A call left that found so many in flight."""
        self._out.append((now, rif))

    def ended(self, sent: float) -> int:
        """The RIF that the call found which was sent about then; 0 for an unknown one."""
        out = self._out
        if not out:
            return 0
        at = min(bisect_left(out, (sent,)), len(out) - 1)
        if at and sent - out[at - 1][0] < out[at][0] - sent:  # differences of times are rounded
            at -= 1
        return out.pop(at)[1]

    def learn(self, rif: int, latency: float, now: float) -> None:
        """Take in an answer: the first one of its level as it is, later ones by their age."""
        average, at = self._averages.get(level(rif), (latency, now))
        keep = math.exp(-max(0.0, now - at) / _TAU)
        self._averages[level(rif)] = average * keep + latency * (1.0 - keep), now
        self.fault = -math.inf


def level(rif: int) -> int:
    """RIFs that are as good as equal: each its own up to 7, then four to a doubling."""
    if rif < 8:
        return rif
    doublings = rif.bit_length() - 3
    return 4 * doublings + (rif >> doublings)


_UNKNOWN = _Seen()


class _Probe:
    __slots__ = ("at", "latency", "node", "rif", "uses")

    def __init__(self, node: Node, reading: Reading, at: float, uses: float) -> None:
        self.node, self.at, self.uses = node, at, uses
        self.rif, self.latency = reading


class Recent:
    """The last RIF samples, sorted, so that a quantile is a look-up."""

    def __init__(self) -> None:
        self._order: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, rif: float) -> None:
        """Count a sample; the oldest goes."""
        if len(self._order) == RECENT:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        self._order.append(rif)
        insort(self._sorted, rif)

    def quantile(self, share: float) -> float:
        """The smallest sample that at least `share` of them do not exceed; infinite without samples."""
        if not self._sorted:
            return math.inf
        return self._sorted[max(0, math.ceil(share * len(self._sorted)) - 1)]


class Prequal(Strategy):
    """The cold probe with the lowest latency, else the hot one of lowest RIF, ties at random. O(pool).

    Cold start: an unknown server's latency counts as 0, so it is tried while it is cold, which a first call
    out soon ends; a pool of fewer than two picks at random. Failures: for 10 s after a fault a server is the
    hottest. Cancelled attempts teach nothing. Static weights are not looked at. Among fewer than seven
    servers the busiest is within the default quantile, so that latency alone decides, as its load lets it.
    """

    name: ClassVar[str] = "prequal"
    help: ClassVar[str] = "the fastest of those that are not busy"
    looks_at: ClassVar[str] = "latency estimate, s"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("quantile", 2**-0.25, 0.0, 1.0, "share of RIF samples up to which a server is cold"),
        Parameter("age", 1.0, 0.01, 60.0, "seconds that a probe is used", "s"),
        Parameter("delta", 1.0, 0.0, 16.0, "by how much the pool grows per pick: more reuses probes more"),
    )

    def __init__(self, quantile: float = 2**-0.25, age: float = 1.0, delta: float = 1.0) -> None:
        self._quantile, self._age, self._delta = quantile, age, delta
        self._seen = Memory[_Seen]()
        self._pool: dict[Node, _Probe] = {}  # the oldest first
        self._recent = Recent()
        self._oldest_next = True

    def added(self, node: Node, now: float) -> None:  # noqa: ARG002 - estimates carry their time
        """A server that comes back keeps what was learned."""
        self._seen.added(node)

    def removed(self, node: Node, now: float) -> None:  # noqa: ARG002 - estimates carry their time
        """The server's probe is void; what was learned stays for a while."""
        self._seen.removed(node)
        self._pool.pop(node, None)

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        """Probe a few servers, choose from the pool, and let the pool forget."""
        self._probe(eligible, now, rng)
        pool = list(self._pool.values())
        if len(pool) < 2:
            node = eligible[int(rng.random() * len(eligible))]
            self.compared = (node,)
            return node
        rng.shuffle(pool)  # ties at random
        threshold = self._recent.quantile(self._quantile)
        probe = pool[hcl([Reading(seen.rif, seen.latency) for seen in pool], threshold)]
        self.compared = shown(probe.node, [seen.node for seen in pool])
        self._use(probe)
        self._forget(threshold)
        return probe.node

    def measure(self, node: Node, now: float) -> float:  # noqa: ARG002 - an average stays until the next sample
        """Latency estimate in seconds for the calls in flight, 0 when unknown."""
        return self._seen.known.get(node, _UNKNOWN).latency(node.in_flight) or 0.0

    def started(self, node: Node, now: float) -> None:
        """Remember how busy the server was when it was asked."""
        self._known(node).sent(max(0, node.in_flight - 1), now)  # without this call

    def finished(self, node: Node, kind: OutcomeKind, latency: float, now: float) -> None:
        """Learn from an answer or a fault."""
        seen = self._known(node)
        rif = seen.ended(now - latency)
        seconds = lesson(kind, latency, seen.latency(rif), FAULT_SECONDS)
        if seconds is None:
            return
        if kind in FAULTS:
            seen.fault = now
            self._pool.pop(node, None)
        else:
            seen.learn(rif, seconds, now)

    def _known(self, node: Node) -> _Seen:
        return self._seen.known.get(node) or self._seen.put(node, _Seen())

    def _probe(self, eligible: Sequence[Node], now: float, rng: random.Random) -> None:
        for probe in [probe for probe in self._pool.values() if now - probe.at > self._age]:
            del self._pool[probe.node]
        n = len(eligible)
        uses = reuses(POOL, n, PROBES, REMOVED, self._delta)
        for node in rng.sample(eligible, min(PROBES, n)):
            self._pool.pop(node, None)
            self._pool[node] = _Probe(node, self._reading(node, now), now, uses)
        while len(self._pool) > POOL:
            del self._pool[next(iter(self._pool))]

    def _reading(self, node: Node, now: float) -> Reading:
        seen = self._seen.known.get(node, _UNKNOWN)
        latency = seen.latency(node.in_flight) or 0.0
        if now - seen.fault < FAULT_SECONDS:
            return Reading(math.inf, latency)
        self._recent.add(node.in_flight)
        return Reading(node.in_flight, latency)

    def _use(self, probe: _Probe) -> None:
        probe.rif += 1  # our own call, which the probe has not seen
        probe.uses -= 1
        if probe.uses < 1:
            del self._pool[probe.node]

    def _forget(self, threshold: float) -> None:
        if len(self._pool) <= 2:  # enough for the next pick to compare
            return
        pool = list(self._pool.values())
        oldest = self._oldest_next
        worst = (
            pool[0] if oldest else max(pool, key=lambda probe: _order(probe.rif, probe.latency, threshold))
        )
        self._oldest_next = not oldest
        del self._pool[worst.node]


def hcl(pool: Sequence[Reading], threshold: float) -> int:
    """Index of the choice: lowest latency of those with RIF up to the threshold, else lowest RIF."""
    return min(range(len(pool)), key=lambda i: _order(*pool[i], threshold))


def _order(rif: float, latency: float, threshold: float) -> tuple[bool, float]:
    hot = rif > threshold
    return hot, rif if hot else latency


def reuses(pool: int, servers: int, probes: float, removed: float, delta: float) -> float:
    """How often a probe may be used: max(1, (1 + delta) / ((1 - pool/servers) probes - removed)), eq. 1.

    The pool's share scales the probes alone, not what is removed. Without bound when probes bring no news,
    that is for servers not much more than the pool: age ends them.
    """
    fresh = (1.0 - pool / servers) * probes - removed
    return max(1.0, (1.0 + delta) / fresh) if fresh > 0.0 else math.inf
