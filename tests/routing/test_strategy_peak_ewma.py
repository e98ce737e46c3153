"""`peak_ewma`: slow answers count at once, silence is forgiven with time, faults are not."""

from __future__ import annotations

import math
import random

import pytest

from mcpnb.model import Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies.peak_ewma import PeakEwma


def known(*latencies: float, **values) -> tuple[PeakEwma, list[Node]]:
    eligible = [Node(Endpoint(f"s{i}"), i) for i in range(len(latencies))]
    strategy = PeakEwma(**values)
    for node, latency in zip(eligible, latencies, strict=True):
        strategy.added(node, 0.0)
        strategy.finished(node, "ok", latency, 0.0)
    return strategy, eligible


def test_the_estimate_rises_at_once_and_falls_with_time():
    """Oracle peak_ewma_seq: (0 s, 100 ms), (10 s, 10 ms), (10 s, 200 ms), and a read at 20 s."""
    strategy, (node,) = known(0.1)
    assert strategy.measure(node, 0.0) == pytest.approx(0.1, rel=1e-9)
    strategy.finished(node, "ok", 0.01, 10.0)
    assert strategy.measure(node, 10.0) == pytest.approx(0.043109149705429815, rel=1e-9)
    strategy.finished(node, "ok", 0.2, 10.0)
    assert strategy.measure(node, 10.0) == pytest.approx(0.2, rel=1e-9)
    assert strategy.measure(node, 20.0) == pytest.approx(0.07357588823428847, rel=1e-9)


def test_the_cost_is_the_estimate_times_the_calls_that_would_be_out():
    """Oracle peak_ewma_cost: 50 ms with 3 pending cost 200 ms."""
    strategy, (node,) = known(0.05)
    for _ in range(3):
        node.lease()
    assert strategy.measure(node, 0.0) == 0.2


def test_an_estimate_halves_in_tau_times_the_logarithm_of_two():
    """Oracle ewma_halflife: 6.931471805599453 s for tau = 10 s."""
    strategy, (node,) = known(1.0, tau=10.0)
    assert strategy.measure(node, 6.931471805599453) == pytest.approx(0.5, rel=1e-9)


def test_reading_the_cost_changes_nothing():
    strategy, (node,) = known(1.0)
    first = strategy.measure(node, 5.0)
    strategy.measure(node, 3.0)
    assert strategy.measure(node, 5.0) == first


def test_an_unknown_server_is_worth_a_second_and_gets_its_turn_as_time_passes():
    strategy, (fast,) = known(0.02)
    new = Node(Endpoint("new"), 1)
    strategy.added(new, 0.0)
    assert strategy.measure(new, 0.0) == 1.0
    assert strategy.pick([fast, new], 0.0, random.Random(1)) is fast
    strategy.finished(fast, "ok", 0.02, 60.0)
    assert strategy.pick([fast, new], 60.0, random.Random(1)) is new


def test_an_unknown_server_that_does_not_answer_is_not_flooded():
    strategy, (fast,) = known(0.5, default=0.2)
    hole = Node(Endpoint("hole"), 1)
    strategy.added(hole, 0.0)
    for _ in range(20):
        node = strategy.pick([fast, hole], 0.0, random.Random(1))
        node.lease()
        if node is fast:
            node.release()
    assert hole.in_flight <= 3


def test_a_server_that_fails_fast_is_penalised_and_the_penalty_fades():
    strategy, (good, bad) = known(0.2, 0.2)
    strategy.finished(bad, "refused", 0.001, 0.0)
    assert strategy.measure(bad, 0.0) == pytest.approx(5.2)
    assert strategy.measure(bad, 10.0) == pytest.approx(5.2 / math.e)
    picks = [strategy.pick([good, bad], 0.0, random.Random(i)) for i in range(50)]
    assert set(picks) == {good}


def test_a_timeout_raises_the_estimate_too():
    strategy, (node,) = known(0.2, penalty=0.0)
    strategy.finished(node, "timeout", 30.0, 0.0)
    assert strategy.measure(node, 0.0) == 30.0


@pytest.mark.parametrize("kind", ["cancelled", "rejected"])
def test_attempts_that_say_nothing_teach_nothing(kind):
    strategy, (node,) = known(0.2)
    strategy.finished(node, kind, 30.0, 0.0)
    assert strategy.measure(node, 0.0) == 0.2


def test_a_server_that_comes_back_is_remembered():
    strategy, (node,) = known(0.2)
    strategy.removed(node, 0.0)
    strategy.added(node, 0.0)
    assert strategy.measure(node, 0.0) == 0.2
