"""What a dispatcher is told of servers and strategies, and what it can be asked of them.

It owns roster, guards and picker, which the calls share. It knows no call: whoever drives those says what
follows when servers get free.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from mcpnb.model import Endpoint
from mcpnb.resilience.breaker import Breaker
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.actions import Action, WaitUntil
from mcpnb.routing.guards import Guards
from mcpnb.routing.picker import Picker
from mcpnb.routing.roster import Distances, Roster
from mcpnb.routing.strategies import Strategy, StrategySpec
from mcpnb.routing.timers import Timers


class Servers:
    """The servers of a dispatcher and the strategies that choose among them. Arguments: see `Dispatcher`."""

    def __init__(
        self,
        strategy: str | StrategySpec,
        rng: random.Random,
        resilience: Resilience,
        home: str | None,
        distances: Distances | None,
    ) -> None:
        breaker = resilience.breaker
        self._rng, self._timers = rng, Timers()
        self._roster = Roster(distances, per_tool=breaker is not None and breaker.per_tool)
        self._guards = Guards(resilience, self._roster, self._timers, rng)
        self._picker = Picker(strategy, self._roster, rng, home=home, distances=distances)

    def _admit(self, now: float, actions: list[Action]) -> None:
        """Servers got free, or will not: look after the calls that wait."""
        raise NotImplementedError

    # -- servers

    def add(self, endpoint: Endpoint, *, unavailable: str = "", now: float = 0.0) -> list[Action]:
        """A server joins, or changes its properties. `unavailable` says why it takes no calls yet."""
        node = self._roster.add(endpoint, now)
        self._guards.sized(node, now)
        actions: list[Action] = []
        if self._roster.block(node, "connection", unavailable, now) and not unavailable:
            self._guards.renewed(node, now, actions)
        return self._announce(actions, now)

    def remove(self, server: str, now: float) -> list[Action]:
        """A server leaves. Attempts that are out at it still end as usual."""
        self._roster.remove(server, now)
        self._guards.forget(server)
        return self._announce([], now)

    def mark(self, server: str, unavailable: str, now: float) -> list[Action]:
        """A server takes calls from now on (empty text), or does not and why."""
        node = self._roster.nodes.get(server)
        actions: list[Action] = []
        if node is None:
            return actions
        if self._roster.block(node, "connection", unavailable, now) and not unavailable:
            self._guards.renewed(node, now, actions)
        return self._announce(actions, now)

    def endpoint(self, server: str) -> Endpoint | None:
        """What is known of a server; None for an unknown one."""
        node = self._roster.nodes.get(server)
        return None if node is None else node.endpoint

    def in_flight(self, server: str) -> int:
        """Attempts that are out at a server; 0 for an unknown one."""
        node = self._roster.nodes.get(server)
        return 0 if node is None else node.in_flight

    def queued(self, server: str) -> int:
        """Calls that wait and could go to this server; 0 for an unknown one."""
        node = self._roster.nodes.get(server)
        return 0 if node is None else sum(len(pool.waiting or ()) for pool in node.pools)

    def breaker(self, server: str) -> Breaker | None:
        """A server's breaker, to look at: the worst where each tool has its own; None when it has none."""
        worst = {"open": 0, "half_open": 1, "closed": 2}
        found = self._guards.breakers(server).values()
        return min(found, key=lambda breaker: worst[breaker.state], default=None)

    def breakers(self, server: str) -> Mapping[str, Breaker]:
        """A server's breakers by tool; the empty name is the server's own."""
        return self._guards.breakers(server)

    def trip(self, server: str, now: float, tool: str | None = None) -> list[Action]:
        """Open a server's breaker by hand; with `tool`, only that tool's where each has its own."""
        actions: list[Action] = []
        self._guards.trip(server, tool, now, actions)
        return self._announce(actions, now)

    def reset(self, server: str, now: float, tool: str | None = None) -> list[Action]:
        """Close a server's breaker by hand and forget what it counted."""
        actions: list[Action] = []
        self._guards.reset(server, tool, now, actions)
        return self._announce(actions, now)

    # -- strategies

    @property
    def strategy(self) -> StrategySpec:
        """The strategy of calls that name no other."""
        return self._picker.default

    def use(self, choice: str | Strategy | StrategySpec, now: float) -> None:
        """Switch the default strategy, also for calls that are running: their next pick is made by it."""
        self._picker.use(choice, now)

    def define(self, name: str, choice: str | Strategy | StrategySpec) -> None:
        """Let requests name a strategy with a state of its own (`Request.strategy`)."""
        self._picker.define(name, choice)

    def keyed(self, name: str | None) -> bool:
        """Whether calls that name this strategy, or none, go by what they ask (`Request.key`)."""
        return self._picker.keyed(name or "")

    def undefine(self, name: str, now: float) -> None:
        """Drop a strategy made by `define` with all that it learned."""
        self._picker.undefine(name, now)

    # -- what follows

    def _announce(self, actions: list[Action], now: float) -> list[Action]:
        if self._roster.stirred:
            self._admit(now, actions)
        at = self._timers.next()
        if at is not None:
            actions.append(WaitUntil(at))
        return actions
