"""A server as routing sees it: the endpoint, and the counters that live beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcpnb.model import Endpoint

if TYPE_CHECKING:
    from mcpnb.routing.pool import Pool


class Node:
    """One endpoint with its live counters.

    Attributes:
        index: The order of joining. It never changes, so sorting by it is a stable order.
        in_flight: Leases out: +1 when an attempt is sent, -1 exactly once when it ends, whatever the end.
        unavailable: Why it takes no calls; empty when it does.
        pools: The pools it belongs to.
    """

    __slots__ = ("_watchers", "endpoint", "in_flight", "index", "name", "pools", "unavailable", "weight")

    def __init__(self, endpoint: Endpoint, index: int, unavailable: str = "") -> None:
        self.endpoint, self.index, self.unavailable = endpoint, index, unavailable
        self.name, self.weight = endpoint.name, endpoint.weight
        self.in_flight = 0
        self.pools: list[Pool] = []
        self._watchers: list[Callable[[Node], None]] = []

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
