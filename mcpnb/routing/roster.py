"""The servers of a fleet and the pools they form: who may be picked for which calls.

It owns membership and eligibility. It knows no strategies, no breakers and no calls apart from those that
wait; what blocks a server is told to it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from mcpnb.model import Endpoint, Requirement
from mcpnb.resilience.rate import RateLimit
from mcpnb.routing.call import Call
from mcpnb.routing.complaints import Complaints
from mcpnb.routing.filters import refusal
from mcpnb.routing.node import Node
from mcpnb.routing.pool import Pool
from mcpnb.routing.strategies import Strategy

UNKNOWN_SERVER = "is not part of this fleet"

_REMEMBERED = 1024
_Pools = dict[tuple[Requirement | None, str], Pool]

_GROUPS = 4096
"""Groups of servers that have pools; the one unused for longest goes first."""
_DEMANDS = 512
"""Different demands on one group that have pools; the first one made goes first."""
_HEIRS = 64
"""Dissolved pools whose strategies wait for a successor."""


class _Heritage(NamedTuple):
    """What the strategies of a dissolved pool learned."""

    servers: frozenset[str]
    requirement: Requirement | None
    tool: str
    strategies: dict[str, Strategy]


Distances = Mapping[str, Mapping[str, float]]
"""Region → region → distance, in any unit. What is not declared one way is taken from the other way."""


class Roster:
    """Nodes by name, and pools by what calls ask for.

    Args:
        distances: How far regions are from each other.
        per_tool: Whether each tool has pools of its own.
    """

    def __init__(self, distances: Distances | None = None, *, per_tool: bool = False) -> None:
        self.complaints = Complaints()
        """Where to say that a strategy misbehaves."""
        self.nodes: dict[str, Node] = {}
        self.freed: list[Node] = []
        """Servers that became eligible while calls wait; whoever lets these in empties it."""
        self.lost: list[Pool] = []
        """Pools where calls wait and a server stopped being free some day; whoever looks empties it."""
        self.orphans: list[Call] = []
        """Calls that waited in a pool that is no more."""
        self.stirred = False
        """Whether any of these has something in it."""
        self.seat: Callable[[Pool], None] = _ignore
        """Told of each new pool, which may have to learn what blocks its servers for its tool."""
        self._distances, self._per_tool = distances or {}, per_tool
        self._joined = 0
        self._spent: dict[str, RateLimit] = {}
        """Of servers that left: what they may still be sent, until a new one would do as well."""
        self._groups: dict[tuple[str, ...], _Pools] = {}
        self._heritage: deque[_Heritage] = deque(maxlen=_HEIRS)
        self._recent: dict[int, tuple[tuple[str, ...], _Pools]] = {}

    # -- members

    def add(self, endpoint: Endpoint, now: float) -> Node:
        """A server joins, or changes its properties; the same node then, so that leases on it stay good."""
        known = self.nodes.get(endpoint.name)
        if known is None:
            self._joined += 1
            known = self.nodes[endpoint.name] = Node(
                endpoint, self._joined, self._spent.pop(endpoint.name, None)
            )
        else:
            known.become(endpoint)
        self._dissolve(endpoint.name, now)
        return known

    def remove(self, server: str, now: float) -> None:
        """A server leaves. Attempts that are out at it still end as usual."""
        node = self.nodes.get(server)
        if node is not None:
            self.block(node, "connection", "left the fleet", now)
            del self.nodes[server]
            self._spent = {name: rate for name, rate in self._spent.items() if not rate.full(now)}
            if node.rate is not None and not node.rate.full(now):
                self._spent[server] = node.rate
        self._dissolve(server, now)

    def block(self, node: Node, by: str, why: str, now: float) -> bool:
        """A filter takes a server out (`why` says why) or lets it in again (empty). True when it is news."""
        if not node.block(by, why):
            return False
        for pool in node.pools:
            pool.refresh(node, now)
            self.noted(pool, node)
        return True

    def noted(self, pool: Pool, node: Node) -> None:
        """Somebody may have to look after the calls that wait in a pool: one of its servers changed."""
        if pool.waiting:
            self.stirred = True
            if not pool.may_take(node):
                self.lost.append(pool)
            else:
                self.freed.append(node)

    # -- pools

    def pool(self, servers: tuple[str, ...], requirement: Requirement | None, tool: str, now: float) -> Pool:
        """The pool for calls of this kind."""
        # By identity first: the hash of ten thousand names, computed per call, would cost more than the call.
        known = self._recent.get(id(servers))
        pools = known[1] if known is not None and known[0] is servers else self._group(servers)
        by_tool = tool if self._per_tool or (requirement is not None and requirement.version) else ""
        pool = pools.get((requirement, by_tool))
        if pool is None:
            pool = pools[requirement, by_tool] = self._build(servers, requirement, by_tool)
            self.seat(pool)
            self._limit(pools)
            self._bequeath(pool, servers, requirement, by_tool, now)
        return pool

    def _bequeath(
        self, pool: Pool, servers: tuple[str, ...], requirement: Requirement | None, tool: str, now: float
    ) -> None:
        """Membership changed, and what strategies learned of those who stayed must not be lost with it."""
        for left in reversed(self._heritage):
            shared = len(left.servers.intersection(servers))
            if (left.requirement, left.tool) == (requirement, tool) and 2 * shared >= len(left.servers):
                self._heritage.remove(left)
                pool.inherit(left.strategies, now)
                return

    def disinherit(self, name: str) -> None:
        """A strategy is no longer wanted."""
        for left in self._heritage:
            left.strategies.pop(name, None)

    def _group(self, servers: tuple[str, ...]) -> _Pools:
        pools = self._groups.pop(servers, None)
        if pools is None:
            pools = {}
            self._forget_oldest()
        self._groups[servers] = pools  # at the end: the others were used before
        if len(self._recent) >= _REMEMBERED:
            self._recent.clear()
        self._recent[id(servers)] = (servers, pools)  # holding the tuple keeps its identity from being reused
        return pools

    def _limit(self, pools: _Pools) -> None:
        """Calls that demand something else each must not pile up pools."""
        if len(pools) > _DEMANDS:
            self.orphans += pools.pop(next(iter(pools))).dissolve(0.0)
            self.stirred = self.stirred or bool(self.orphans)

    def _forget_oldest(self) -> None:
        """Groups that membership has left behind must not pile up."""
        if len(self._groups) < _GROUPS:
            return
        for pool in self._groups.pop(next(iter(self._groups))).values():
            self.orphans += pool.dissolve(0.0)
        self.stirred = self.stirred or bool(self.orphans)
        self._recent.clear()

    def _build(self, servers: Iterable[str], requirement: Requirement | None, tool: str) -> Pool:
        nodes: list[Node] = []
        refused: dict[str, str] = {}
        for server in servers:
            node = self.nodes.get(server)
            why = UNKNOWN_SERVER
            if node is not None:
                why = refusal(requirement, node.endpoint, tool) if requirement else ""
            if node is None or why:
                refused[server] = why
            else:
                nodes.append(node)
        return Pool(
            nodes, refused, tool=tool if self._per_tool else "",
            complaints=self.complaints, distance=self._far_from(requirement),
        )  # fmt: skip

    def _far_from(self, requirement: Requirement | None) -> Callable[[Node], float] | None:
        if requirement is None or requirement.region is None or requirement.strict:
            return None
        return partial(self._distance, requirement.region)

    def _distance(self, home: str, node: Node) -> float:
        return distance(home, node.endpoint.region, self._distances)

    @property
    def pools(self) -> list[Pool]:
        """All pools there are."""
        return [pool for pools in self._groups.values() for pool in pools.values()]

    def _dissolve(self, server: str, now: float) -> None:
        """Drop the pools that name a server: they were built from what it was before."""
        for servers in [servers for servers in self._groups if server in servers]:
            for (requirement, tool), pool in self._groups.pop(servers).items():
                self.orphans += pool.dissolve(now)
                if pool.heritage:
                    self._heritage.append(_Heritage(frozenset(servers), requirement, tool, pool.heritage))
        self.stirred = self.stirred or bool(self.orphans)
        self._recent.clear()


def _ignore(_: Pool) -> None:
    """Nobody has anything to say about new pools."""


def distance(home: str, region: str | None, distances: Distances) -> float:
    """How far a region is from home: 0 at home, infinity where nothing is declared."""
    if region == home:
        return 0.0
    if region is None:
        return math.inf
    there = distances.get(home, {}).get(region)
    back = distances.get(region, {}).get(home)
    return there if there is not None else back if back is not None else math.inf
