"""`c3`: queues count by their cube, units are seconds, nobody is flooded and nobody forgotten."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.c3 import C3, score


def nodes(count: int) -> list[Node]:
    return [Node(Endpoint(f"s{i}"), i) for i in range(count)]


def test_the_score_is_the_papers():
    """Oracle c3_score: R 10 ms, service 4 ms, queue 2, 1 outstanding, 3 clients are 870 ms."""
    assert score(10, 4, 2, 1, 3) == 870


def test_a_sample_alone_gives_the_score_of_an_idle_server():
    strategy, (node,) = C3(), nodes(1)
    strategy.finished(node, "ok", 0.1, 0.0)
    assert strategy.measure(node, 0.0) == pytest.approx(0.1)
    node.lease()
    assert strategy.measure(node, 0.0) == pytest.approx(0.8)


def test_calls_still_out_at_the_answer_are_the_queue_and_share_the_time():
    strategy, (node,) = C3(clients=1), nodes(1)
    node.lease()
    node.lease()
    strategy.finished(node, "ok", 0.1, 0.0)
    node.release()
    node.release()
    assert strategy.measure(node, 0.0) == pytest.approx(score(0.1, 0.05, 1, 0, 1))


def test_a_call_that_was_alone_waited_behind_nobody():
    strategy, (node,) = C3(), nodes(1)
    node.lease()
    strategy.finished(node, "ok", 0.1, 0.0)
    node.release()
    assert strategy.measure(node, 0.0) == pytest.approx(score(0.1, 0.1, 0, 0, 1))


def test_every_unknown_server_is_tried_first_and_one_that_does_not_answer_is_not_flooded():
    strategy, eligible, rng = C3(), nodes(4), random.Random(1)
    counts = Counter()
    for _ in range(100):
        node = strategy.pick(eligible, 0.0, rng)
        counts[node.name] += 1
        node.lease()
        if node.name != "s0":
            node.release()
            strategy.finished(node, "ok", 0.1, 0.0)
    assert counts["s0"] == 1
    assert len(counts) == 4


def test_a_server_that_fails_fast_is_avoided_and_tried_again_later():
    strategy, (good, bad) = C3(tau=10.0), nodes(2)
    strategy.finished(good, "ok", 0.1, 0.0)
    strategy.finished(bad, "refused", 0.001, 0.0)
    assert strategy.pick([good, bad], 0.0, random.Random(1)) is good
    strategy.finished(good, "ok", 0.1, 60.0)
    assert strategy.pick([good, bad], 60.0, random.Random(1)) is bad


def test_cancelled_attempts_teach_nothing():
    strategy, (node,) = C3(), nodes(1)
    strategy.finished(node, "cancelled", 9.0, 0.0)
    assert strategy.measure(node, 0.0) == -1.0


def test_among_many_servers_the_better_of_two_is_taken():
    strategy, eligible, rng = C3(), nodes(100), random.Random(1)
    for node in eligible:
        strategy.finished(node, "ok", 0.1 + node.index, 0.0)
    counts = Counter(strategy.pick(eligible, 0.0, rng).index for _ in range(20_000))
    assert counts[99] == 0
    assert counts[0] / 20_000 == pytest.approx(0.02, abs=0.004)
    assert len(strategy.compared) == 2
