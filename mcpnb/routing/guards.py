"""What takes servers out and lets them in again: breakers, outlier ejection, bulkheads and rate limits.

Each of them is an object of `resilience` that knows one server and no fleet; this room turns what they say
into blocks of nodes, and sets the alarms after which they have to be asked again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from mcpnb.model import Outcome
from mcpnb.resilience.breaker import Breaker
from mcpnb.resilience.outlier import OutlierDetector
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.actions import Action, BreakerChanged, Ejected
from mcpnb.routing.node import Node
from mcpnb.routing.pool import Pool
from mcpnb.routing.roster import Roster
from mcpnb.routing.timers import Timers


class Fuse:
    """A breaker and where it sits: on a server, or on one tool of a server."""

    __slots__ = ("breaker", "node", "tool")

    def __init__(self, breaker: Breaker, node: Node, tool: str) -> None:
        self.breaker, self.node, self.tool = breaker, node, tool


class Guards:
    """The protections of all servers."""

    def __init__(self, resilience: Resilience, roster: Roster, timers: Timers, rng: random.Random) -> None:
        self._policy, self._roster, self._timers, self._rng = resilience.breaker, roster, timers, rng
        self._per_tool = self._policy is not None and self._policy.per_tool
        self._fuses: dict[str, dict[str, Fuse]] = {}
        self._outliers = None if resilience.outlier is None else OutlierDetector(resilience.outlier)
        self._interval = None if resilience.outlier is None else resilience.outlier.interval
        self._sweeping = False
        if self._per_tool:
            roster.seat = self._seat

    # -- leases

    def lease(self, node: Node, tool: str, now: float) -> tuple[Fuse | None, int]:
        """An attempt leaves for a server: which fuse judges its end, and under which generation."""
        node.lease()
        if node.in_flight >= node.limit:
            self._measure(node, now)
        if node.rate is not None:
            self._spend(node, now)
        if self._policy is None:
            return None, 0
        fuse = self._fuse(node, tool)
        generation = fuse.breaker.admit()
        if fuse.breaker.state != "closed":
            self._gate(fuse, now)
        return fuse, generation

    def release(
        self,
        node: Node,
        fuse: Fuse | None,
        generation: int,
        outcome: Outcome,
        now: float,
        actions: list[Action],
    ) -> None:
        """An attempt ended."""
        node.release()
        if node.unavailable:
            self._measure(node, now)
        if self._outliers is not None:
            self._watch(node, outcome, now)
        if fuse is not None:
            self._judge(fuse, generation, outcome, now, actions)

    def sized(self, node: Node, now: float) -> None:
        """A server joined, or has other limits now."""
        if self._policy is not None and not self._per_tool:
            self._fuse(node, "")
        self._measure(node, now)
        self._refill(node, now)
        self._throttle(node, now)

    def _measure(self, node: Node, now: float) -> None:
        """Make eligibility follow the free places."""
        if node.in_flight >= node.limit:
            self._roster.block(node, "full", f"full: {node.in_flight} of {node.limit:g} places taken", now)
        else:
            self._roster.block(node, "full", "", now)

    def _spend(self, node: Node, now: float) -> None:
        """Take from the rate limit."""
        if node.rate is not None:
            node.rate.take(now)
            self._throttle(node, now)

    def _throttle(self, node: Node, now: float) -> None:
        """Shut the door of a server that may be sent nothing now, until it may."""
        ready = now if node.rate is None else node.rate.ready_at(now)
        if ready > now:
            self._roster.block(node, "rate", "its rate limit is reached", now)
            self._timers.set(ready, lambda at, _: self._refill(node, at))

    def _refill(self, node: Node, now: float) -> None:
        if node.rate is None or node.rate.ready_at(now) <= now:
            self._roster.block(node, "rate", "", now)

    # -- circuit breakers

    def _fuse(self, node: Node, tool: str) -> Fuse:
        fuses = self._fuses.get(node.name)
        if fuses is None:
            fuses = self._fuses[node.name] = {}
        key = tool if self._per_tool else ""
        fuse = fuses.get(key)
        if fuse is None or fuse.node is not node:
            assert self._policy is not None  # noqa: S101 - whoever asks has looked
            fuse = fuses[key] = Fuse(Breaker(self._policy, self._rng), node, key)
        return fuse

    def breakers(self, server: str) -> Mapping[str, Breaker]:
        """Tool → breaker; the empty name is the server's own."""
        if server not in self._roster.nodes:
            return {}
        return {fuse.tool: fuse.breaker for fuse in self._of(server)}

    def _of(self, server: str, tool: str | None = None) -> Iterator[Fuse]:
        fuses = self._fuses.get(server, {})
        yield from (fuse for fuse in list(fuses.values()) if tool is None or fuse.tool in {tool, ""})

    def trip(self, server: str, tool: str | None, now: float, actions: list[Action]) -> None:
        """Open breakers by hand."""
        node = self._roster.nodes.get(server)
        if node is None or self._policy is None:
            return
        if tool is not None or not self._per_tool:
            self._fuse(node, tool or "")
        for fuse in self._of(server, tool):
            fuse.breaker.trip(now)
            self._changed(fuse, now, actions)

    def reset(self, server: str, tool: str | None, now: float, actions: list[Action]) -> None:
        """Close breakers by hand and forget what they counted."""
        for fuse in self._of(server, tool):
            was = fuse.breaker.state
            fuse.breaker.reset()
            if was != "closed":
                self._changed(fuse, now, actions)

    def renewed(self, node: Node, now: float, actions: list[Action]) -> None:
        """A server has a new session: a reason to probe at once instead of sitting an opening out."""
        for fuse in self._of(node.name):
            if fuse.breaker.probe():
                self._changed(fuse, now, actions)

    def forget(self, server: str) -> None:
        """A server left."""
        self._fuses.pop(server, None)
        if self._outliers is not None:
            self._outliers.forget(server)

    def _judge(
        self, fuse: Fuse, generation: int, outcome: Outcome, now: float, actions: list[Action]
    ) -> None:
        if self._fuses.get(fuse.node.name, {}).get(fuse.tool) is not fuse:
            return  # its server left
        breaker, policy = fuse.breaker, self._policy
        fault = None if policy is None or policy.failure is None else policy.counts(outcome)
        if breaker.record(outcome.kind, generation, now, fault=fault):
            self._changed(fuse, now, actions)
        elif breaker.state == "half_open":
            self._gate(fuse, now)

    def _changed(self, fuse: Fuse, now: float, actions: list[Action]) -> None:
        """A breaker changed its state: let the pools know, and set the alarm for its next probe."""
        breaker = fuse.breaker
        if breaker.state == "open":
            self._timers.set(breaker.until, lambda at, todo: self._probe(fuse, at, todo))
        self._gate(fuse, now)
        actions.append(BreakerChanged(fuse.node.name, breaker.state, breaker.reason, fuse.tool))

    def _probe(self, fuse: Fuse, now: float, actions: list[Action]) -> None:
        """The time of an opening is over, unless it was opened anew since the alarm was set."""
        here = self._fuses.get(fuse.node.name, {}).get(fuse.tool) is fuse
        if here and now >= fuse.breaker.until and fuse.breaker.probe():
            self._changed(fuse, now, actions)

    def _gate(self, fuse: Fuse, now: float) -> None:
        """Make eligibility follow what the breaker admits."""
        node, why = fuse.node, _objection(fuse.breaker)
        if not self._per_tool:
            self._roster.block(node, "breaker", why, now)
            return
        for pool in node.pools:
            if pool.tool == fuse.tool:
                pool.shut(node, why, now)
                self._roster.noted(pool, node)

    def _seat(self, pool: Pool) -> None:
        """A new pool for one tool learns which of its servers' breakers are in the way."""
        for node in pool.nodes:
            fuse = self._fuses.get(node.name, {}).get(pool.tool)
            if fuse is not None and (why := _objection(fuse.breaker)):
                pool.shut(node, why, 0.0)

    # -- outliers

    def _watch(self, node: Node, outcome: Outcome, now: float) -> None:
        """Count for the running interval; the first count begins one: an idle fleet sets no alarms."""
        if self._outliers is None or self._interval is None:
            return
        self._outliers.record(node.name, outcome.kind)
        if not self._sweeping:
            self._sweeping = True
            self._timers.set(now + self._interval, self._sweep)

    def _sweep(self, now: float, actions: list[Action]) -> None:
        self._sweeping = False
        if self._outliers is None or self._interval is None:
            return
        for ejection in self._outliers.sweep(now, tuple(self._roster.nodes)):
            out = ejection.until is not None
            node = self._roster.nodes[ejection.server]
            self._roster.block(node, "outlier", f"ejected: {ejection.reason}" if out else "", now)
            actions.append(Ejected(ejection.server, out, ejection.reason))
        if any(node.ejected for node in self._roster.nodes.values()):
            self._sweeping = True
            self._timers.set(now + self._interval, self._sweep)


def _objection(breaker: Breaker) -> str:
    """Why a breaker admits nothing now; empty when it does."""
    return "" if breaker.admits else f"breaker {breaker.state.replace('_', '-')}: {breaker.reason}"
