"""A set of interchangeable servers, and which of them may be picked now.

Eligibility is kept, not computed: a change of one server costs one insertion or removal, a pick scans
nothing. The list is sorted by the order of joining, so the same events give the same list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from operator import attrgetter

from mcpnb.resilience.admission import AdmissionQueue, QueuePolicy
from mcpnb.routing.call import Call
from mcpnb.routing.complaints import Complaints
from mcpnb.routing.node import BUSY, SHUT_OUT, Node
from mcpnb.routing.strategies import Strategy

_index = attrgetter("index")

TOLD = 32
"""Filtered-out servers that an explanation lists: with thousands out, a list per call would cost more than
the call."""


class _Tier:
    """The eligible servers at one distance, and what the strategies know of them."""

    __slots__ = ("eligible", "strategies")

    def __init__(self) -> None:
        self.eligible: list[Node] = []
        self.strategies: dict[str, Strategy] = {}


class Pool:
    """Servers that can stand in for each other, with one strategy's state for each strategy in use.

    Args:
        nodes: The servers.
        refused: Candidates that the call's requirement keeps out for good, and why.
        tool: The tool it serves, where each has circuit breakers of its own; else empty.
        complaints: Where to say that a strategy misbehaves.
        distance: How far a server is; only the nearest distance that has anybody is eligible. None: all are.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        refused: Mapping[str, str],
        *,
        tool: str = "",
        complaints: Complaints | None = None,
        distance: Callable[[Node], float] | None = None,
    ) -> None:
        self.nodes: tuple[Node, ...] = tuple(sorted(nodes, key=_index))
        self.tool = tool
        self._complaints = complaints or Complaints()
        self.waiting: AdmissionQueue[Call] | None = None
        """Calls that wait until somebody is free; None as long as none ever waited."""
        self.heritage: dict[str, Strategy] = {}
        """Strategies that outlive this pool; none where servers stand at different distances."""
        self.judged: list[Node] = []
        """Servers that nothing but their past keeps out: breakers and outlier ejection."""
        self.jammed: set[Node] = set()
        """Servers that their past keeps out, and that have to get free besides."""
        self.busy: set[Node] = set()
        """Servers that only have to get free."""
        self._by_name = {node.name: node for node in self.nodes}
        self._out: dict[str, str] = dict(refused)
        self._shut: dict[str, str] = {}  # servers whose breaker for this tool is in the way
        self._hidden: set[Node] = set()
        self._free: set[Node] = set()  # not blocked; eligible when no nearer one is free
        # One list and one state of each strategy per distance: when the nearest region goes or comes back,
        # nobody has to be moved.
        self._far = {node: 0.0 if distance is None else distance(node) for node in self.nodes}
        self._tiers = {each: _Tier() for each in sorted({*self._far.values()} or {0.0})}
        self._tier = next(iter(self._tiers.values()))
        for node in self.nodes:
            node.pools.append(self)
            self.refresh(node, 0.0)

    # -- who is eligible

    def refresh(self, node: Node, now: float) -> None:
        """Take in that what blocks a server changed."""
        why = node.unavailable or self._shut.get(node.name, "")
        if why:
            self._out[node.name] = why
            self._sort(node)
        elif self._out.pop(node.name, ""):
            self._sort(node)
        free = not why and node not in self._hidden
        if free == (node in self._free):
            return
        (self._free.add if free else self._free.discard)(node)
        self._list(node, free, now)

    def _sort(self, node: Node) -> None:
        """Tell who only has to get free from who panic may use."""
        judged, busy = node.name in self._shut or node.blocked_by(SHUT_OUT), node.blocked_by(BUSY)
        if node.unavailable and not node.blocked_only_by(SHUT_OUT | BUSY):
            judged = busy = False  # neither helps
        (self.busy.add if busy and not judged else self.busy.discard)(node)
        (self.jammed.add if busy and judged else self.jammed.discard)(node)
        _place(self.judged, node, listed=judged and not busy)

    def shut(self, node: Node, why: str, now: float) -> None:
        """The breaker for this pool's tool takes a server out, or lets it in again (empty)."""
        if why:
            self._shut[node.name] = why
        else:
            self._shut.pop(node.name, None)
        self.refresh(node, now)

    @property
    def eligible(self) -> list[Node]:
        """Those that may be picked now, in the order of joining: the nearest that are free."""
        return self._tier.eligible

    def _list(self, node: Node, free: bool, now: float) -> None:
        """Put a server to those of its distance or take it out, and look at the nearest that has anybody."""
        tier = self._tiers[self._far[node]]
        _place(tier.eligible, node, listed=free)
        for strategy in tier.strategies.values():
            self._complaints.tell(strategy, strategy.added if free else strategy.removed, node, now)
        if len(self._tiers) > 1:
            self._tier = next((each for each in self._tiers.values() if each.eligible), tier)

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
        return node in self._free and self._tiers[self._far[node]] is self._tier

    # -- who is not

    @property
    def excluded(self) -> int:
        """How many candidates cannot be picked now."""
        return len(self._out) + len(self._free) - len(self.eligible)

    def reasons(self, most: int | None = TOLD) -> dict[str, str]:
        """Server → why it cannot be picked now; only those that cannot, and at most so many."""
        beyond = chain.from_iterable(tier.eligible for tier in self._tiers.values() if tier is not self._tier)
        farther = ((node.name, "is farther away than others that are free") for node in beyond)
        return dict(islice(chain(self._out.items(), farther), most))

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
        return self._tier.strategies.get(name)

    def adopt(self, name: str, strategy: Strategy, now: float) -> Strategy:
        """Use a strategy under that name: it learns who is eligible, and who may become so."""
        tier = self._tier
        tier.strategies[name] = strategy
        for node in self.nodes:
            if node not in self._free and self._tiers[self._far[node]] is tier:
                self._complaints.tell(strategy, strategy.expected, node, now)
        for node in tier.eligible:
            self._complaints.tell(strategy, strategy.added, node, now)
        return strategy

    def forget(self, name: str, now: float) -> None:
        """Drop a strategy and what it learned."""
        for tier in self._tiers.values():
            strategy = tier.strategies.pop(name, None)
            if strategy is not None:
                for node in tier.eligible:
                    self._complaints.tell(strategy, strategy.removed, node, now)

    def dissolve(self, now: float) -> list[Call]:
        """Let go of the nodes: this pool is not used any more. The calls that wait here.

        What its strategies learned is left behind in `heritage`.
        """
        if len(self._tiers) == 1:
            self.heritage = dict(self._tier.strategies)
        for name in {name for tier in self._tiers.values() for name in tier.strategies}:
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


def _place(nodes: list[Node], node: Node, *, listed: bool) -> None:
    """Have a server in a list that is sorted by the order of joining, or not."""
    at = bisect_left(nodes, node.index, key=_index)
    there = at < len(nodes) and nodes[at] is node
    if listed and not there:
        nodes.insert(at, node)
    elif there and not listed:
        del nodes[at]
