"""`prequal`: hot-cold choice, probes that age and wear out, servers that fail fast."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.prequal import POOL, Prequal, Reading, Recent, hcl, level, reuses


def adopted(count: int, **values) -> tuple[Prequal, list[Node]]:
    eligible = [Node(Endpoint(f"s{i}"), i) for i in range(count)]
    strategy = Prequal(**values)
    for node in eligible:
        strategy.added(node, 0.0)
    return strategy, eligible


def test_probes_are_reused_as_the_paper_says():
    """Oracles prequal_reuse and prequal_reuse_48; the wrong grouping would give 1.92 for the second."""
    assert reuses(16, 100, 3, 1, 1) == pytest.approx(1.3157894736842106, rel=1e-9)
    assert reuses(48, 100, 3, 1, 1) == pytest.approx(3.571428571428571, rel=1e-9)


def test_probes_of_few_servers_are_reused_until_they_are_old():
    assert reuses(16, 16, 3, 1, 1) == math.inf
    assert reuses(16, 10_000, 3, 1, 0) == 1.0


@pytest.mark.parametrize(("threshold", "choice"), [(2, 2), (0, 1), (9, 0)])
def test_the_fastest_cold_server_is_chosen_else_the_least_busy(threshold, choice):
    """Oracle prequal_hcl over the [RIF, latency] pairs [5, 10], [1, 80], [2, 40]."""
    assert hcl([Reading(5, 10), Reading(1, 80), Reading(2, 40)], threshold) == choice


def test_the_quantile_follows_the_last_samples():
    recent = Recent()
    assert recent.quantile(0.5) == math.inf
    for rif in [9] * 128 + list(range(128)):
        recent.add(rif)
    assert recent.quantile(2**-0.25) == 107
    assert recent.quantile(0.0) == 0


def test_a_faster_server_is_preferred_until_it_is_busier_than_most():
    strategy, eligible = adopted(10)
    fast, rng = eligible[4], random.Random(1)
    for node in eligible:
        strategy.finished(node, "ok", 0.01 if node is fast else 0.5, 0.0)
    idle = Counter(strategy.pick(eligible, 0.0, rng) for _ in range(200))
    assert idle[fast] == max(idle.values())
    for _ in range(5):
        fast.lease()
    picks = [strategy.pick(eligible, 2.0, rng) for _ in range(200)]
    assert picks.count(fast) < 10


def test_latency_is_estimated_for_as_many_calls_as_are_in_flight_now():
    strategy, (node, _) = adopted(2)
    for sent in (0.0, 0.1, 0.2):  # found 0, 1 and 2 in flight
        node.lease()
        strategy.started(node, sent)
    for ended in (1.0, 2.1, 3.2):  # after 1, 2 and 3 s
        strategy.finished(node, "ok", ended - (ended // 1 - 1) / 10, ended)
        node.release()
    assert strategy.measure(node, 4.0) == pytest.approx(1.0)
    node.lease()
    assert strategy.measure(node, 4.0) == pytest.approx(2.0)
    for _ in range(20):
        node.lease()
    assert strategy.measure(node, 4.0) == pytest.approx(3.0)  # the nearest that is known


def test_a_cancelled_call_leaves_no_trace():
    strategy, (node, _) = adopted(2)
    node.lease()
    strategy.started(node, 0.0)
    node.lease()
    strategy.started(node, 0.5)
    strategy.finished(node, "cancelled", 1.0, 1.0)  # the first
    strategy.finished(node, "ok", 1.5, 2.0)
    node.release()
    assert strategy.measure(node, 2.0) == 1.5
    assert strategy._seen.known[node].ended(0.0) == 0
    node.release()
    assert strategy.measure(node, 2.0) == 1.5


def test_levels_grow_with_the_calls_in_flight():
    levels = [level(rif) for rif in range(4096)]
    assert levels[:10] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert levels == sorted(levels)
    assert set(levels) == set(range(44))


def test_a_server_that_fails_fast_is_the_hottest_for_a_while():
    strategy, (good, bad) = adopted(2)
    strategy.finished(bad, "refused", 0.001, 0.0)
    strategy.finished(good, "ok", 0.2, 0.0)
    good.lease()
    rng = random.Random(1)
    assert {strategy.pick([good, bad], 9.0, rng) for _ in range(50)} == {good}
    assert bad in {strategy.pick([good, bad], 11.0, rng) for _ in range(50)}


def test_an_answer_lifts_the_verdict_and_a_cancellation_does_not():
    strategy, (node, _) = adopted(2)
    strategy.finished(node, "timeout", 1.0, 0.0)
    strategy.finished(node, "cancelled", 1.0, 0.0)
    assert strategy._reading(node, 1.0).rif == math.inf
    strategy.finished(node, "ok", 0.3, 1.0)
    assert strategy._reading(node, 1.0) == (0, 0.3)


def test_the_pool_is_bounded_and_forgets_with_age_and_departure():
    strategy, eligible = adopted(200)
    rng = random.Random(1)
    for _ in range(500):
        strategy.pick(eligible, 0.0, rng)
        assert len(strategy._pool) <= POOL
    kept = next(iter(strategy._pool))
    strategy.removed(kept, 0.5)
    assert kept not in strategy._pool
    strategy.pick(eligible, 1.5, rng)
    assert all(probe.at == 1.5 for probe in strategy._pool.values())


def test_many_alike_servers_share_alike():
    strategy, eligible = adopted(100)
    rng = random.Random(1)
    counts = Counter(strategy.pick(eligible, 0.0, rng).index for _ in range(20_000))
    assert max(counts.values()) < 300


def test_no_server_that_left_is_picked():
    strategy, eligible = adopted(5)
    rng = random.Random(1)
    for i in range(300):
        gone = eligible[i % 5]
        strategy.removed(gone, i * 0.01)
        present = [node for node in eligible if node is not gone]
        assert strategy.pick(present, i * 0.01, rng) is not gone
        strategy.added(gone, i * 0.01)
