"""A server as routing sees it: the endpoint, the counters that live beside it, and why it takes no calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from mcpnb.model import Endpoint
from mcpnb.resilience.rate import RateLimit

if TYPE_CHECKING:
    from mcpnb.routing.pool import Pool

SHUT_OUT = frozenset({"breaker", "outlier"})
"""Blocks that judge a server by its past; panic ignores them."""
BUSY = frozenset({"full", "rate"})
"""Blocks that pass by themselves: calls may wait for their end."""


class Node:
    """One endpoint with its live counters.

    Attributes:
        index: The order of joining. It never changes, so sorting by it is a stable order.
        in_flight: Leases out: +1 when an attempt is sent, -1 exactly once when it ends, whatever the end.
        limit: Leases that may be out at once.
        rate: What it may be sent per second, if that is bounded.
        unavailable: Why it takes no calls; empty when it does.
        pools: The pools it belongs to.
    """

    __slots__ = (
        "_blocks", "_watchers", "endpoint", "in_flight", "index", "limit", "name", "pools", "rate",
        "unavailable", "weight",
    )  # fmt: skip

    endpoint: Endpoint
    limit: float
    rate: RateLimit | None

    def __init__(self, endpoint: Endpoint, index: int, rate: RateLimit | None = None) -> None:
        """`rate` is what is left of the limit of a server of that name that left a moment ago."""
        self.index, self.name = index, endpoint.name
        self._blocks: dict[str, str] = {}
        self.unavailable = ""
        self.in_flight = 0
        self.rate = rate
        self.pools: list[Pool] = []
        self._watchers: list[Callable[[Node], None]] = []
        self.endpoint = endpoint
        self.become(endpoint)

    def become(self, endpoint: Endpoint) -> None:
        """Take on other properties. Attempts that are out keep their lease on it."""
        if endpoint.rate_limit is None:
            self.rate = None
        elif self.rate is None or endpoint.rate_limit != self.rate.rate:
            self.rate = RateLimit(endpoint.rate_limit)
        self.endpoint, self.weight = endpoint, endpoint.weight
        self.limit = math.inf if endpoint.max_in_flight is None else endpoint.max_in_flight

    def block(self, by: str, why: str) -> bool:
        """A filter takes it out (`why` says the reason) or lets it in again (empty). True when it is news."""
        blocks = self._blocks
        if blocks.get(by, "") == why:
            return False
        if why:
            blocks[by] = why
        else:
            del blocks[by]
        self.unavailable = next(iter(blocks.values()), "")
        return True

    def blocked_by(self, filters: AbstractSet[str]) -> bool:
        """Whether one of these takes it out."""
        return not self._blocks.keys().isdisjoint(filters)

    def blocked_only_by(self, filters: AbstractSet[str]) -> bool:
        """Whether it is blocked, and by nothing else than these."""
        return bool(self._blocks) and self._blocks.keys() <= filters

    @property
    def ejected(self) -> bool:
        """Whether it was ejected as an outlier."""
        return "outlier" in self._blocks

    def lease(self) -> None:
        """An attempt leaves for this server."""
        self.in_flight += 1
        for watcher in self._watchers:
            watcher(self)

    def release(self) -> None:
        """An attempt at this server ended."""
        self.in_flight -= 1
        for watcher in self._watchers:
            watcher(self)

    def watch(self, watcher: Callable[[Node], None]) -> None:
        """Tell `watcher` after each change of `in_flight`."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[Node], None]) -> None:
        """Stop telling `watcher`. Unknown ones are ignored."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def __repr__(self) -> str:
        why = f", {self.unavailable}" if self.unavailable else ""
        return f"<Node {self.name}: {self.in_flight} in flight{why}>"
