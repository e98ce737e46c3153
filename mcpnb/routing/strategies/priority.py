"""`priority`: the highest group of servers that has anybody, and two choices inside it. Failover.

A group that comes back is trusted only after it has stayed for a while: a server that dies and returns every
second would otherwise take all of the traffic with it each time.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import ClassVar

from mcpnb.routing.node import BUSY, Node
from mcpnb.routing.strategies.bags import Bag
from mcpnb.routing.strategies.base import Parameter
from mcpnb.routing.strategies.p2c import P2C


class _Group(Bag):
    """The eligible servers of one priority."""

    __slots__ = ("emptied", "rank", "since")

    def __init__(self, priority: int) -> None:
        super().__init__()
        self.rank = -priority
        self.since = -math.inf
        """When somebody came back into the empty group; a group that was never left is trusted at once."""
        self.emptied: float | None = None


class Priority(P2C):
    """`p2c` within the highest priority that has an eligible server. O(1) while few priorities exist.

    When the highest group loses its last server, calls go to the next group at once. They return when the
    higher group has had a server for `hold` seconds without a break, or as soon as no other group is left.
    Inside a group the less loaded server is preferred; failing ones have to be taken out by filters.
    """

    name: ClassVar[str] = "priority"
    aliases: ClassVar[tuple[str, ...]] = ("failover",)
    help: ClassVar[str] = "highest priority that is up"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("hold", 5.0, 0.0, 3600.0, "seconds that a group must be back before it is used", "s"),
    )

    def __init__(self, hold: float = 5.0) -> None:
        self._hold = hold
        self._groups: dict[int, _Group] = {}  # by rank
        self._group: dict[Node, _Group] = {}  # who is here; its priority may change before it is taken out
        self._ranks: list[int] = []  # negated priorities of the groups that have somebody, ascending

    def added(self, node: Node, now: float) -> None:
        """Put the server into its group, which may have been empty."""
        priority = node.endpoint.priority
        group = self._group[node] = self._groups.setdefault(-priority, _Group(priority))
        if not group.nodes:
            insort(self._ranks, group.rank)
            # A retry hides the servers it has tried for one pick: away for no time was never away.
            if group.emptied is not None and group.emptied != now:
                group.since = now
        group.add(node)

    def removed(self, node: Node, now: float) -> None:
        """Take the server out; its group may be empty now."""
        group = self._group.pop(node)
        group.remove(node)
        if not group.nodes:
            group.emptied = None if node.blocked_only_by(BUSY) else now  # having much to do is no break
            del self._ranks[bisect_left(self._ranks, group.rank)]

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:  # noqa: ARG002 - kept in groups
        """Two choices in the highest group that is trusted."""
        return super().pick(self._trusted(now).nodes, now, rng)

    def _trusted(self, now: float) -> _Group:
        for rank in self._ranks:
            group = self._groups[rank]
            if group.since + self._hold <= now:
                return group
        return self._groups[self._ranks[0]]
