"""A set of interchangeable servers, and which of them may be picked now.

Eligibility is kept, not computed: a change of one server costs one insertion or removal, a pick scans
nothing. The list is sorted by the order of joining, so the same events give the same list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from operator import attrgetter

from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy

_index = attrgetter("index")


class Pool:
    """Servers that can stand in for each other, with one strategy's state for each strategy in use."""

    def __init__(self, nodes: Iterable[Node], refused: Mapping[str, str]) -> None:
        self.nodes: tuple[Node, ...] = tuple(sorted(nodes, key=_index))
        self.refused = refused
        """Candidates that the call's requirement keeps out for good, and why."""
        self.eligible: list[Node] = [node for node in self.nodes if not node.unavailable]
        self._strategies: dict[str, Strategy] = {}
        for node in self.nodes:
            node.pools.append(self)

    def strategy(self, name: str) -> Strategy | None:
        """The strategy in use under that name, if it was adopted here."""
        return self._strategies.get(name)

    def adopt(self, name: str, strategy: Strategy, now: float) -> Strategy:
        """Use a fresh strategy under that name: it learns who is eligible."""
        self._strategies[name] = strategy
        for node in self.eligible:
            strategy.added(node, now)
        return strategy

    def forget(self, name: str, now: float) -> None:
        """Drop a strategy and what it learned."""
        strategy = self._strategies.pop(name, None)
        if strategy is not None:
            for node in self.eligible:
                strategy.removed(node, now)

    def refresh(self, node: Node, now: float) -> None:
        """Take in that `node.unavailable` changed."""
        at = bisect_left(self.eligible, node.index, key=_index)
        listed = at < len(self.eligible) and self.eligible[at] is node
        if node.unavailable and listed:
            del self.eligible[at]
            for strategy in self._strategies.values():
                strategy.removed(node, now)
        elif not node.unavailable and not listed:
            self.eligible.insert(at, node)
            for strategy in self._strategies.values():
                strategy.added(node, now)

    @contextmanager
    def without(self, names: Iterable[str], now: float) -> Generator[None]:
        """Hide these servers for one pick: those that already had an attempt of the same call."""
        hidden = [node for node in self.nodes if node.name in names and not node.unavailable]
        for node in hidden:
            node.block("tried", "already tried in this call")
            self.refresh(node, now)
        try:
            yield
        finally:
            for node in hidden:
                node.block("tried", "")
                self.refresh(node, now)

    def reasons(self) -> dict[str, str]:
        """Server → why it cannot be picked now; only those that cannot."""
        return {**self.refused, **{node.name: node.unavailable for node in self.nodes if node.unavailable}}

    def dissolve(self) -> None:
        """Forget the nodes and every strategy: this pool is not used any more."""
        for name in list(self._strategies):
            self.forget(name, 0.0)
        for node in self.nodes:
            node.pools.remove(self)
