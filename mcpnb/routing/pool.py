"""A set of interchangeable servers, and which of them may be picked now.

Eligibility is kept, not computed: a change of one server costs one insertion or removal, a pick scans
nothing. The list is sorted by the order of joining, so the same events give the same list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from operator import attrgetter

from mcpnb.resilience.admission import AdmissionQueue, QueuePolicy
from mcpnb.routing.call import Call
from mcpnb.routing.node import BUSY, SHUT_OUT, Node
from mcpnb.routing.strategies import Strategy

_index = attrgetter("index")

TOLD = 32
"""Filtered-out servers that an explanation lists: with thousands out, a list per call would cost more than
the call."""


class Pool:
    """Servers that can stand in for each other, with one strategy's state for each strategy in use.

    Args:
        nodes: The servers.
        refused: Candidates that the call's requirement keeps out for good, and why.
        tool: The tool it serves, where each has circuit breakers of its own; else empty.
        distance: How far a server is; only the nearest distance that has anybody is eligible. None: all are.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        refused: Mapping[str, str],
        *,
        tool: str = "",
        distance: Callable[[Node], float] | None = None,
    ) -> None:
        self.nodes: tuple[Node, ...] = tuple(sorted(nodes, key=_index))
        self.tool = tool
        self.waiting: AdmissionQueue[Call] | None = None
        """Calls that wait until somebody is free; None as long as none ever waited."""
        self.heritage: dict[str, Strategy] = {}
        """Strategies that outlive this pool."""
        self.eligible: list[Node] = []
        self.busy: set[Node] = set()
        """Servers that only have to get free."""
        self._by_name = {node.name: node for node in self.nodes}
        self._out: dict[str, str] = dict(refused)
        self._shut: dict[str, str] = {}  # servers whose breaker for this tool is in the way
        self._hidden: set[Node] = set()
        self._free: set[Node] = set()  # not blocked; eligible when no nearer one is free
        self._far = None if distance is None else {node: distance(node) for node in self.nodes}
        self._beyond: dict[str, str] = {}  # free, but farther away than others
        self._free_at: Counter[float] = Counter()  # how many are free, by distance
        self._strategies: dict[str, Strategy] = {}
        for node in self.nodes:
            node.pools.append(self)
            self.refresh(node, 0.0)

    # -- who is eligible

    def refresh(self, node: Node, now: float) -> None:
        """Take in that what blocks a server changed."""
        why = node.unavailable or self._shut.get(node.name, "")
        if why:
            self._out[node.name] = why
        else:
            self._out.pop(node.name, None)
        if why and node.blocked_only_by(BUSY) and node.name not in self._shut:
            self.busy.add(node)
        else:
            self.busy.discard(node)
        free = not why and node not in self._hidden
        if free == (node in self._free):
            return
        (self._free.add if free else self._free.discard)(node)
        if self._far is None:
            (self._list if free else self._unlist)(node, now)
        else:
            self._relist(node, self._far, 1 if free else -1, now)

    def shut(self, node: Node, why: str, now: float) -> None:
        """The breaker for this pool's tool takes a server out, or lets it in again (empty)."""
        if why:
            self._shut[node.name] = why
        else:
            self._shut.pop(node.name, None)
        self.refresh(node, now)

    def _relist(self, node: Node, far: Mapping[Node, float], more: int, now: float) -> None:
        """Keep just the nearest distance in the list."""
        before = _nearest(self._free_at)
        self._free_at[far[node]] += more
        near = _nearest(self._free_at)
        changed = [each for each in self.nodes if far[each] in {near, before}] if near != before else []
        for each in (*changed, node):
            free = each in self._free
            wanted = free and far[each] == near
            (self._list if wanted else self._unlist)(each, now)
            if free and not wanted:
                self._beyond[each.name] = "is farther away than others that are free"
            else:
                self._beyond.pop(each.name, None)

    def _list(self, node: Node, now: float) -> None:
        at = bisect_left(self.eligible, node.index, key=_index)
        if at < len(self.eligible) and self.eligible[at] is node:
            return
        self.eligible.insert(at, node)
        for strategy in self._strategies.values():
            strategy.added(node, now)

    def _unlist(self, node: Node, now: float) -> None:
        at = bisect_left(self.eligible, node.index, key=_index)
        if at == len(self.eligible) or self.eligible[at] is not node:
            return
        del self.eligible[at]
        for strategy in self._strategies.values():
            strategy.removed(node, now)

    @contextmanager
    def without(self, names: Iterable[str], now: float) -> Generator[None]:
        """Hide these servers for one pick: those that already had an attempt of the same call."""
        hidden = [self._by_name[name] for name in names if name in self._by_name]
        self._hide(hidden, now)
        try:
            yield
        finally:
            self._hidden.clear()
            for node in hidden:
                self.refresh(node, now)

    def _hide(self, nodes: list[Node], now: float) -> None:
        self._hidden.update(nodes)
        for node in nodes:
            self.refresh(node, now)

    def may_take(self, node: Node) -> bool:
        """Whether a pick of this server is a valid one."""
        return node in self._free and self._by_name.get(node.name) is node

    # -- who is not

    @property
    def excluded(self) -> int:
        """How many candidates cannot be picked now."""
        return len(self._out) + len(self._beyond)

    def reasons(self, most: int | None = TOLD) -> dict[str, str]:
        """Server → why it cannot be picked now; only those that cannot, and at most so many."""
        return dict(islice(chain(self._out.items(), self._beyond.items()), most))

    def shut_out(self) -> list[Node]:
        """Servers that nothing but their past keeps out: breakers and outlier ejection."""
        return [node for node in self.nodes if self._only_judged(node)]

    def _only_judged(self, node: Node) -> bool:
        if node.unavailable:
            return node.blocked_only_by(SHUT_OUT)
        return node.name in self._shut

    # -- who waits

    def queue(self, policy: QueuePolicy) -> AdmissionQueue[Call]:
        """The calls that wait here. Its bound is the servers' own where all of them have one."""
        if self.waiting is None:
            self.waiting = AdmissionQueue(policy)
            bounds = [node.endpoint.max_queue for node in self.nodes]
            if bounds and None not in bounds:
                self.waiting.length = sum(bound or 0 for bound in bounds)
        return self.waiting

    # -- strategies

    def strategy(self, name: str) -> Strategy | None:
        """The strategy in use under that name, if it was adopted here."""
        return self._strategies.get(name)

    def adopt(self, name: str, strategy: Strategy, now: float) -> Strategy:
        """Use a strategy under that name: it learns who is eligible, and who may become so."""
        self._strategies[name] = strategy
        listed = set(self.eligible)
        for node in self.nodes:
            if node not in listed:
                strategy.expected(node, now)
        for node in self.eligible:
            strategy.added(node, now)
        return strategy

    def forget(self, name: str, now: float) -> None:
        """Drop a strategy and what it learned."""
        strategy = self._strategies.pop(name, None)
        if strategy is not None:
            for node in self.eligible:
                strategy.removed(node, now)

    def dissolve(self, now: float) -> list[Call]:
        """Let go of the nodes: this pool is not used any more. The calls that wait here.

        What its strategies learned is left behind in `heritage`.
        """
        self.heritage = dict(self._strategies)
        for name in self.heritage:
            self.forget(name, now)
        for node in self.nodes:
            node.pools.remove(self)
        left: list[Call] = []
        while self.waiting is not None and (call := self.waiting.pop()) is not None:
            left.append(call)
        return left

    def inherit(self, heritage: Mapping[str, Strategy], now: float) -> None:
        """Go on with what a pool learned that had most of these servers."""
        for name, strategy in heritage.items():
            self.adopt(name, strategy, now)


def _nearest(free_at: Counter[float]) -> float | None:
    return min((distance for distance, free in free_at.items() if free), default=None)
