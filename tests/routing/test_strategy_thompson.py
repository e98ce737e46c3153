"""`thompson`: converges on the better server, forgets, and counts its own load."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.thompson import Thompson


def nodes(count: int) -> list[Node]:
    return [Node(Endpoint(f"s{i}"), i) for i in range(count)]


def taught(strategy: Thompson, node: Node, kind: str, latency: float, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        strategy.finished(node, kind, latency, now)


def share(strategy: Thompson, eligible: list[Node], index: int, now: float = 0.0, picks: int = 4000) -> float:
    rng = random.Random(2)
    return sum(strategy.pick(eligible, now, rng).index == index for _ in range(picks)) / picks


def test_servers_nobody_knows_share_alike():
    assert share(Thompson(), nodes(4), 0) == pytest.approx(0.25, abs=0.03)


def test_the_faster_server_gets_nearly_everything_once_both_are_known():
    strategy, eligible = Thompson(penalty=0.0), nodes(2)
    taught(strategy, eligible[0], "ok", 0.1, 50)
    taught(strategy, eligible[1], "ok", 0.3, 50)
    assert share(strategy, eligible, 0) > 0.98


def test_a_server_that_fails_fast_is_not_taken_for_a_fast_one():
    strategy, eligible = Thompson(), nodes(2)
    taught(strategy, eligible[0], "refused", 0.0, 20)
    taught(strategy, eligible[1], "ok", 0.5, 20)
    assert share(strategy, eligible, 0) < 0.01


def test_a_verdict_fades_until_the_server_is_tried_again():
    strategy, eligible = Thompson(tau=30.0), nodes(2)
    taught(strategy, eligible[0], "refused", 0.0, 20)
    taught(strategy, eligible[1], "ok", 0.1, 200, now=300.0)
    assert share(strategy, eligible, 0, now=300.0) > 0.01


def test_an_unknown_server_is_tried_beside_a_known_one():
    strategy, eligible = Thompson(), nodes(2)
    taught(strategy, eligible[1], "ok", 0.5, 20)
    assert 0.05 < share(strategy, eligible, 0) < 0.95


def test_its_own_load_counts():
    strategy, eligible = Thompson(penalty=0.0), nodes(2)
    for node in eligible:
        taught(strategy, node, "ok", 0.1, 100)
    for _ in range(3):
        eligible[0].lease()
    assert share(strategy, eligible, 0) < 0.01


def test_cancelled_attempts_teach_nothing():
    strategy, eligible = Thompson(), nodes(2)
    taught(strategy, eligible[0], "cancelled", 99.0, 100)
    assert share(strategy, eligible, 0) == pytest.approx(0.5, abs=0.03)


def test_an_explanation_shows_the_numbers_that_were_drawn():
    strategy, eligible = Thompson(), nodes(20)
    node = strategy.pick(eligible, 0.0, random.Random(1))
    assert strategy.compared[0] is node
    assert strategy.measure(node, 0.0) == min(strategy._drawn.values())


def test_among_many_servers_two_are_drawn():
    strategy, eligible, rng = Thompson(), nodes(100), random.Random(1)
    counts = Counter(strategy.pick(eligible, 0.0, rng).index for _ in range(5000))
    assert len(strategy.compared) == 2
    assert len(counts) == 100
