"""`weighted_round_robin`: the published sequences, and shares that survive servers that come and go."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.weighted_round_robin import Stride, WeightedRoundRobin


def weighted(*weights: float) -> list[Node]:
    return [Node(Endpoint(f"s{i}", weight=weight), i) for i, weight in enumerate(weights)]


def adopted(eligible: list[Node]) -> WeightedRoundRobin:
    strategy = WeightedRoundRobin()
    for node in eligible:
        strategy.added(node, 0.0)
    return strategy


def counted(strategy: WeightedRoundRobin, eligible: list[Node], picks: int, seed: int = 1) -> Counter[int]:
    rng = random.Random(seed)
    return Counter(strategy.pick(eligible, 0.0, rng).index for _ in range(picks))


@pytest.mark.parametrize("seed", range(5))
def test_the_sequence_is_nginxs(seed):
    """Oracle swrr_511: a a b a c a a, whatever the seed."""
    eligible, rng = weighted(5, 1, 1), random.Random(seed)
    strategy = adopted(eligible)
    assert [strategy.pick(eligible, 0.0, rng).index for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


def test_each_period_gives_every_server_its_weight():
    """Oracle swrr_counts: 1300 picks over the weights 7, 3, 2, 1."""
    eligible = weighted(7, 3, 2, 1)
    counts = counted(adopted(eligible), eligible, 1300)
    assert [counts[i] for i in range(4)] == [700, 300, 200, 100]


def test_the_stride_is_grpcs():
    """Oracle stride_123: the first twelve picks over the weights 1, 2, 3 from the start."""
    stride, eligible = Stride(), weighted(1, 2, 3)
    picks = [stride.next(eligible, 3.0).index for _ in range(12)]
    assert picks == [1, 2, 2, 0, 1, 2, 1, 2, 2, 0, 1, 2]


def test_many_servers_get_their_shares_too():
    eligible = weighted(*[1 + i % 4 for i in range(100)])
    counts = counted(adopted(eligible), eligible, 100_000)
    for node in eligible:
        assert counts[node.index] / 100_000 == pytest.approx(node.weight / 250, rel=0.03)


def test_many_servers_keep_their_shares_while_one_is_away_for_every_seventh_pick():
    eligible, rng = weighted(*[1 + i % 4 for i in range(100)]), random.Random(1)
    strategy, counts = adopted(eligible), Counter()
    for i in range(50_000):
        if i % 7:
            counts[strategy.pick(eligible, 0.0, rng).index] += 1
            continue
        away = eligible[i % 100]
        strategy.removed(away, 0.0)
        counts[strategy.pick([node for node in eligible if node is not away], 0.0, rng).index] += 1
        strategy.added(away, 0.0)
    for node in eligible:
        assert counts[node.index] / 50_000 == pytest.approx(node.weight / 250, rel=0.1)


def test_a_weight_too_light_to_count_is_not_starved():
    stride, eligible = Stride(), weighted(0.001, 100)
    assert any(stride.next(eligible, 100.0).index == 0 for _ in range(70_000))


def test_a_sequence_built_anew_every_three_picks_does_not_overload_the_first():
    """Oracle rr_rebuild with equal weights: every share 0.1 within 0.006."""
    eligible, rng, counts = weighted(*[1.0] * 10), random.Random(4), Counter()
    strategy = adopted(eligible)
    for i in range(100_000):
        if i % 3 == 0:
            strategy = adopted(eligible)
        counts[strategy.pick(eligible, 0.0, rng).index] += 1
    for node in eligible:
        assert counts[node.index] / 100_000 == pytest.approx(0.1, abs=0.006)


def test_a_server_that_was_away_gets_no_flood_of_what_it_missed():
    eligible, rng = weighted(3, 2, 1), random.Random(1)
    strategy = adopted(eligible)
    for _ in range(100):
        strategy.pick(eligible[:2], 0.0, rng)
    picks = [strategy.pick(eligible, 0.0, rng).index for _ in range(12)]
    assert picks.count(2) == 2


def test_equal_weights_are_plain_turns():
    eligible, rng = weighted(1, 1, 1), random.Random(9)
    strategy = adopted(eligible)
    picks = [strategy.pick(eligible, 0.0, rng).index for _ in range(9)]
    assert picks[:3] == picks[3:6] == picks[6:]
    assert sorted(picks[:3]) == [0, 1, 2]


def test_one_server_that_outweighs_the_rest_gets_its_share_and_starves_nobody():
    eligible = weighted(1000.0, *[1 + i % 3 for i in range(99)])
    total = sum(node.weight for node in eligible)
    counts = counted(adopted(eligible), eligible, 120_000)
    assert counts[0] / 120_000 == pytest.approx(1000 / total, rel=0.01)
    for node in eligible[1:]:
        assert counts[node.index] / 120_000 == pytest.approx(node.weight / total, rel=0.1)


def test_after_the_heaviest_has_left_the_others_take_plain_turns():
    eligible, rng = weighted(1e6, *[1.0] * 80), random.Random(1)
    strategy = adopted(eligible)
    strategy.pick(eligible, 0.0, rng)
    strategy.removed(eligible.pop(0), 0.0)
    assert len({strategy.pick(eligible, 0.0, rng) for _ in range(80)}) == 80


def test_many_servers_built_anew_do_not_begin_with_the_same_tier():
    eligible, rng = weighted(*[1.0] * 40, *[4.0] * 40), random.Random(3)
    first = Counter(adopted(eligible).pick(eligible, 0.0, rng).weight for _ in range(2000))
    assert first[4.0] / 2000 == pytest.approx(0.8, abs=0.03)
