"""A server as routing sees it: the endpoint, and the counters that live beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcpnb.model import Endpoint
from mcpnb.resilience.breaker import Breaker

if TYPE_CHECKING:
    from mcpnb.routing.pool import Pool


class Node:
    """One endpoint with its live counters.

    Attributes:
        index: The order of joining. It never changes, so sorting by it is a stable order.
        in_flight: Leases out: +1 when an attempt is sent, -1 exactly once when it ends, whatever the end.
        unavailable: Why it takes no calls; empty when it does.
        breaker: Its circuit breaker, if it has one.
        pools: The pools it belongs to.
    """

    __slots__ = (
        "_blocks", "_watchers", "breaker", "endpoint", "in_flight", "index", "name", "pools", "unavailable",
        "weight",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint, index: int, breaker: Breaker | None = None) -> None:
        self.endpoint, self.index, self.breaker = endpoint, index, breaker
        self.name, self.weight = endpoint.name, endpoint.weight
        self._blocks: dict[str, str] = {}
        self.unavailable = ""
        self.in_flight = 0
        self.pools: list[Pool] = []
        self._watchers: list[Callable[[Node], None]] = []

    def block(self, by: str, why: str) -> bool:
        """A filter takes it out (`why` says the reason) or lets it in again (empty). True when that shows."""
        before = self.unavailable
        if why:
            self._blocks[by] = why
        else:
            self._blocks.pop(by, None)
        self.unavailable = next(iter(self._blocks.values()), "")
        return self.unavailable != before

    def blocked_only_by(self, by: str) -> bool:
        """Whether this filter alone keeps it out."""
        return len(self._blocks) == 1 and by in self._blocks

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
