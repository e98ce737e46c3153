"""`bounded_hash`: a ring as even as the theory says, and a bound that hot keys cannot break."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.bounded_hash import BoundedHash
from mcpnb.routing.strategies.ring import Ring

RNG = random.Random(1)


def adopted(count: int) -> tuple[BoundedHash, list[Node]]:
    strategy, eligible = BoundedHash(), [Node(Endpoint(f"s{i}"), i) for i in range(count)]
    for node in eligible:
        strategy.added(node, 0.0)
    return strategy, eligible


def pick(strategy: BoundedHash, eligible: list[Node], key: str) -> Node:
    strategy.key = key
    return strategy.pick(eligible, 0.0, RNG)


@pytest.mark.parametrize(
    ("count", "points", "rings", "spread"),
    [
        (10, 1, 400, 0.9045340337332909),
        (10, 100, 200, 0.0948209311861521),
        pytest.param(100, 100, 200, 0.09949376914656566, marks=pytest.mark.long),
    ],
)
def test_the_ring_is_as_even_as_the_theory_says(count, points, rings, spread):
    """Oracles ring_imbalance_10_1, ring_imbalance_10_100, ring_imbalance_100_100: deviation of the shares."""
    squares = []
    for seed in range(rings):
        ring = Ring(points)
        for i in range(count):
            ring.add(Node(Endpoint(f"{seed}/{i}"), i))
        squares.append(statistics.pvariance(ring.shares().values()) * count**2)
    measured = math.sqrt(statistics.mean(squares))
    assert measured == pytest.approx(spread, rel=0.15)


def test_a_key_stays_with_its_server_while_that_is_not_full():
    strategy, eligible = adopted(5)
    assert len({pick(strategy, eligible, "k") for _ in range(50)}) == 1
    assert len({pick(strategy, eligible, f"k{i}") for i in range(100)}) == 5


def test_a_hot_key_never_loads_a_server_beyond_its_capacity():
    strategy, eligible = adopted(10)
    for out in range(200):
        node = pick(strategy, eligible, "hot")
        assert node.in_flight < math.ceil(1.25 * (out + 1) / 10)
        node.lease()
    assert strategy._total == 200


def test_only_the_keys_of_a_lost_server_move():
    strategy, eligible = adopted(10)
    keys = [f"k{i}" for i in range(1000)]
    before = {key: pick(strategy, eligible, key) for key in keys}
    gone = eligible.pop(3)
    strategy.removed(gone, 1.0)
    moved = {before[key] for key in keys if pick(strategy, eligible, key) is not before[key]}
    assert moved == {gone}
    eligible.insert(3, gone)
    strategy.added(gone, 2.0)
    assert {key: pick(strategy, eligible, key) for key in keys} == before


def test_the_load_is_counted_while_servers_leave_and_return():
    strategy, eligible = adopted(3)
    for node in eligible:
        node.lease()
    strategy.removed(eligible[0], 0.0)
    eligible[0].release()
    strategy.added(eligible[0], 0.0)
    eligible[1].release()
    assert strategy._total == 1
