"""A pick does not look at every server, however many there are: counted in work, not in seconds."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Sequence

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import available, spec

SMALL, LARGE = 20, 2000
MOST = 3.0
"""How many times the work of the small fleet the large one may cost."""


class Watched(Sequence[Node]):
    """A list that counts how many of its items were looked at."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes, self.touched = nodes, 0

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, at):
        self.touched += len(self.nodes[at]) if isinstance(at, slice) else 1
        return self.nodes[at]

    def __iter__(self):
        self.touched += len(self.nodes)
        return iter(self.nodes)


def work(name: str, size: int, *, uneven: bool) -> float:
    """Items looked at and functions called for one pick, start and finish, on average over many."""
    rng, out, calls = random.Random(1), deque[Node](), 0
    weights = [1000.0 if uneven and i % 100 == 9 else 1.0 + uneven * rng.random() for i in range(size)]
    nodes = [Node(Endpoint(f"s{i}", weight=weights[i], region=f"r{i % 3}"), i) for i in range(size)]
    eligible, strategy = Watched(nodes), spec(name).build()
    strategy.key = "k"
    for node in nodes:
        strategy.added(node, 0.0)
        strategy.finished(node, "ok", rng.random(), 0.0)
    strategy.pick(eligible, 0.0, rng)
    eligible.touched = 0

    def count(frame, event, argument) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    picks = 2 * LARGE
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for i in range(picks):  # a second for each: whatever is due at intervals is due all the time
            node = strategy.pick(eligible, float(i), rng)
            node.lease()
            strategy.started(node, float(i))
            out.append(node)
            if len(out) > size // 2:
                done = out.popleft()
                done.release()
                strategy.finished(done, "ok" if i % 10 else "refused", rng.random(), float(i))
    finally:
        sys.setprofile(before)
    return (calls + eligible.touched) / picks


@pytest.mark.parametrize(
    ("name", "uneven"),
    [
        *[(name, False) for name in sorted(available())],
        ("least_request", True),
        ("weighted_round_robin", True),
        ("bounded_hash", True),
    ],
)
def test_a_hundred_times_the_servers_cost_a_pick_little_more(name, uneven):
    small, large = work(name, SMALL, uneven=uneven), work(name, LARGE, uneven=uneven)
    assert large <= MOST * small, f"{large:.1f} items and calls for each pick, over {small:.1f}"


def test_what_is_counted_would_catch_a_scan(monkeypatch):
    from mcpnb.routing.strategies.random_choice import RandomChoice

    monkeypatch.setattr(RandomChoice, "pick", lambda self, eligible, now, rng: rng.choice([*eligible]))
    assert work("random", LARGE, uneven=False) > MOST * work("random", SMALL, uneven=False)
