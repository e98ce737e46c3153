"""Asks strategies whom to send to: which strategy a call goes by, what it saw, and what if it misbehaves.

It owns the strategies in use, one object for each pool and name. It knows no retries, no deadlines and no
breakers: it is given a pool that somebody is eligible in.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from mcpnb.errors import StrategyError
from mcpnb.routing.call import Call
from mcpnb.routing.node import Node
from mcpnb.routing.pool import Pool
from mcpnb.routing.roster import Distances, Roster, distance
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.routing.strategies.random_choice import RandomChoice
from mcpnb.routing.strategies.rendezvous import Rendezvous

AFFINITY = "affinity"
"""The name under which an attempt is logged that went where its key belongs."""

_SEEN = 8
"""Candidates that an attempt remembers of those that the strategy compared."""

Seen = tuple[tuple[str, float], ...]


class Pick(NamedTuple):
    """A server, and how it came to be chosen."""

    node: Node
    strategy: Strategy
    """Whoever learns from the attempt."""
    name: str
    """What to log as the strategy."""
    saw: Seen
    note: str
    """What the explanation should say beside the numbers."""


class Picker:
    """The strategies in use."""

    def __init__(
        self,
        strategy: str | Strategy | StrategySpec,
        roster: Roster,
        rng: random.Random,
        *,
        home: str | None = None,
        distances: Distances | None = None,
    ) -> None:
        self.default = spec(strategy)
        self._roster, self._rng, self._home, self._distances = roster, rng, home, distances or {}
        self._specs: dict[str, StrategySpec] = {}
        self._keyed: dict[str, bool] = {}

    def use(self, choice: str | Strategy | StrategySpec, now: float) -> None:
        """Switch the default strategy: the next pick is made by it."""
        self.default = spec(choice)
        self._keyed.clear()
        self._forget("", now)

    def define(self, name: str, choice: str | Strategy | StrategySpec) -> None:
        """Let calls name a strategy with a state of its own."""
        self._specs[name] = spec(choice)
        self._keyed.clear()

    def undefine(self, name: str, now: float) -> None:
        """Drop a strategy made by `define` with all that it learned."""
        self._specs.pop(name, None)
        self._keyed.pop(name, None)
        self._forget(name, now)

    def _forget(self, name: str, now: float) -> None:
        for pool in self._roster.pools:
            pool.forget(name, now)
        self._roster.disinherit(name)

    def check(self, name: str) -> None:
        """Nothing, when a call may name this strategy.

        Raises:
            StrategyError: There is none of that name.
        """
        if name not in self._specs:
            spec(name)

    def keyed(self, name: str) -> bool:
        """Whether calls that name this strategy, or none, go by a key."""
        known = self._keyed.get(name)
        if known is None:
            try:
                known = self._chosen(name).build().keyed
            except Exception:  # noqa: BLE001 - a third party's strategy; the first pick says what is wrong
                known = False
            self._keyed[name] = known
        return known

    def strategy(self, pool: Pool, call: Call, now: float) -> Strategy:
        """The strategy of a call, with what it knows of this pool."""
        key = call.request.strategy or ""
        strategy = pool.strategy(key)
        if strategy is None:
            strategy = pool.adopt(key, self._built(key, pool, call), now)
        return strategy

    def _built(self, name: str, pool: Pool, call: Call) -> Strategy:
        """A fresh strategy that knows where its calls come from; `random` where it cannot be made."""
        chosen = self._chosen(name)
        try:
            strategy = chosen.build()
            self._locate(strategy, pool, call)
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything; the call goes on
            why = f"making it raised {type(problem).__name__}: {problem}; `random` picks instead"
            self._roster.complaints.name(chosen.name, why)
            return RandomChoice()
        return strategy

    def _chosen(self, name: str) -> StrategySpec:
        if not name:
            return self.default
        try:
            return self._specs.get(name) or spec(name)
        except StrategyError:  # dropped while the call was out: its next attempt still has to go somewhere
            return self.default

    def _locate(self, strategy: Strategy, pool: Pool, call: Call) -> None:
        """Tell a fresh strategy where its calls come from."""
        requirement = call.request.requirement
        home = self._home if requirement is None or requirement.region is None else requirement.region
        if home is not None:
            regions = {node.endpoint.region for node in pool.nodes} - {None}
            strategy.locate(home, {str(each): distance(home, each, self._distances) for each in regions})

    def pick(self, call: Call, pool: Pool, now: float) -> Pick:
        """One of the pool's eligible servers."""
        strategy = self.strategy(pool, call, now)
        call.looked_at = strategy.looks_at
        key = call.request.affinity
        if key is not None and not strategy.keyed:
            return self._stick(strategy, pool, key, now)
        key = key or call.request.key
        node = self._ask(strategy, pool, key or call.tool, now)
        measure, compared = strategy.measure, strategy.compared
        try:
            saw = tuple([(seen.name, measure(seen, now)) for seen in compared[:_SEEN]]) if compared else ()
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything
            self._roster.complaints.of(strategy, f"`measure` raised {problem!r}")
            saw = ()
        note = _passed_over(strategy, node) if strategy.keyed and key else ""
        return Pick(node, strategy, strategy.name or type(strategy).__name__, saw, note)

    def by_chance(self, call: Call, pool: Pool, nodes: list[Node], now: float) -> Pick:
        """Any of these, which no strategy may choose among."""
        strategy = self.strategy(pool, call, now)
        node = nodes[int(self._rng.random() * len(nodes))]
        return Pick(node, strategy, strategy.name or type(strategy).__name__, (), "")

    def _stick(self, strategy: Strategy, pool: Pool, key: str, now: float) -> Pick:
        """Where a key belongs; the fleet's strategy still learns from the attempt."""
        sticky = pool.strategy(AFFINITY)
        if sticky is None:
            sticky = pool.adopt(AFFINITY, Rendezvous(), now)
        node = self._ask(sticky, pool, key, now)
        return Pick(node, strategy, AFFINITY, (), _passed_over(sticky, node))

    def _ask(self, strategy: Strategy, pool: Pool, key: str, now: float) -> Node:
        """Ask the strategy; one that raises or invents a server is replaced by chance for this pick."""
        if strategy.keyed:
            strategy.key = key
        try:
            node = strategy.pick(pool.eligible, now, self._rng)
        except Exception as problem:  # noqa: BLE001 - a third party's strategy may raise anything; the call goes on
            return self._replace(strategy, f"it raised {type(problem).__name__}: {problem}", pool)
        # A third party's strategy may return anything.
        if not isinstance(node, Node) or not pool.may_take(node):  # pyright: ignore[reportUnnecessaryIsInstance]
            return self._replace(strategy, f"it picked {node!r}, which is not a candidate", pool)
        return node

    def _replace(self, strategy: Strategy, problem: str, pool: Pool) -> Node:
        self._roster.complaints.of(strategy, f"{problem}; `random` picks instead")
        strategy.compared = ()
        return pool.eligible[int(self._rng.random() * len(pool.eligible))]


def _passed_over(strategy: Strategy, node: Node) -> str:
    """Why a key did not go to the server that it belongs to."""
    first = strategy.compared[0] if strategy.compared else node
    if first is node:
        return ""
    return f"its key belongs to {first.name}, which is out ({first.unavailable or 'tried already'})"
