"""`weighted`: shares follow weight, success and speed, and nobody starves."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.weighted import AliasTable, Weighted, filled


def adopted(*weights: float, **values) -> tuple[Weighted, list[Node]]:
    eligible = [Node(Endpoint(f"s{i}", weight=weight), i) for i, weight in enumerate(weights)]
    strategy = Weighted(**values)
    for node in eligible:
        strategy.added(node, 0.0)
    return strategy, eligible


def shares(strategy: Weighted, eligible: list[Node], now: float, picks: int = 50_000) -> list[float]:
    rng = random.Random(3)
    counts = Counter(strategy.pick(eligible, now, rng).index for _ in range(picks))
    return [counts[node.index] / picks for node in eligible]


def test_without_samples_the_static_weights_count():
    """Oracle weighted_random_share: weights 1, 2, 3, 4 over 100 000 picks, each share within 0.006."""
    strategy, eligible = adopted(1, 2, 3, 4)
    assert shares(strategy, eligible, 0.0, 100_000) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.006)


def test_a_server_without_samples_gets_the_mean_of_the_others():
    """Oracle grpc_wrr_missing: 10, nothing, 30 become 10, 20, 30; fewer than two known are all alike."""
    assert filled([10.0, None, 30.0], 0.05) == pytest.approx([10.0, 20.0, 30.0], abs=0.001)
    assert filled([10.0, None, None], 0.05) == [1.0, 1.0, 1.0]


def test_a_server_twice_as_fast_gets_twice_as_much_at_the_next_reading():
    strategy, eligible = adopted(1, 1)
    assert shares(strategy, eligible, 0.0) == pytest.approx([0.5, 0.5], abs=0.01)
    strategy.finished(eligible[0], "ok", 0.1, 0.5)
    strategy.finished(eligible[1], "ok", 0.2, 0.5)
    assert shares(strategy, eligible, 0.9) == pytest.approx([0.5, 0.5], abs=0.01)
    assert shares(strategy, eligible, 1.0) == pytest.approx([2 / 3, 1 / 3], abs=0.01)
    assert strategy.measure(eligible[1], 1.0) == pytest.approx(0.2)


def test_a_server_that_fails_half_the_time_gets_half_as_much():
    strategy, eligible = adopted(1, 1)
    for kind in ("ok", "ok", "disconnected", "refused"):
        strategy.finished(eligible[0], kind, 0.1, 0.0)
        strategy.finished(eligible[1], "ok", 0.1, 0.0)
    assert shares(strategy, eligible, 2.0) == pytest.approx([1 / 3, 2 / 3], abs=0.01)


def test_a_server_that_only_fails_and_fast_keeps_the_floor():
    strategy, eligible = adopted(1, 1, 1, floor=0.05)
    strategy.finished(eligible[0], "refused", 0.0, 0.0)
    for node in eligible[1:]:
        strategy.finished(node, "ok", 0.1, 0.0)
    mean = 20 / 3
    low = 0.05 * mean / (0.05 * mean + 20)
    assert shares(strategy, eligible, 2.0)[0] == pytest.approx(low, abs=0.004)


def test_when_all_fail_they_share_alike():
    strategy, eligible = adopted(1, 1)
    for node in eligible:
        strategy.finished(node, "refused", 0.0, 0.0)
    assert shares(strategy, eligible, 2.0) == pytest.approx([0.5, 0.5], abs=0.01)


def test_cancelled_attempts_teach_nothing():
    strategy, eligible = adopted(1, 1)
    strategy.finished(eligible[0], "cancelled", 99.0, 0.0)
    assert shares(strategy, eligible, 2.0) == pytest.approx([0.5, 0.5], abs=0.01)


def test_a_server_that_is_out_is_not_drawn_and_one_that_joins_is_drawn_at_once():
    strategy, eligible = adopted(100, 1, 1)
    rng = random.Random(1)
    strategy.pick(eligible, 0.0, rng)
    strategy.removed(eligible[0], 0.1)
    assert {strategy.pick(eligible[1:], 0.1, rng).index for _ in range(200)} == {1, 2}
    strategy.added(eligible[0], 0.2)
    assert 0 in {strategy.pick(eligible, 0.2, rng).index for _ in range(20)}


def test_an_alias_table_draws_every_share_exactly():
    nodes = [Node(Endpoint(str(i)), i) for i in range(5)]
    weights = [0.5, 8.0, 1.25, 0.25, 2.0]
    table = AliasTable(nodes, weights)
    mass = [0.0] * 5
    for i, (chance, alias) in enumerate(zip(table._chance, table._alias, strict=True)):
        mass[i] += min(chance, 1.0) / 5
        mass[alias] += (1.0 - min(chance, 1.0)) / 5
    assert mass == pytest.approx([weight / 12 for weight in weights])
