"""What attempts teach: faults are never fast, errors of the tool are nobody's merit, silence says nothing."""

from __future__ import annotations

import random

import pytest

from mcpnb.model import FAULTS, Endpoint
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import spec
from mcpnb.routing.strategies.lesson import UNKNOWN_SECONDS, lesson

LEARNING = ["c3", "latency", "peak_ewma", "prequal", "thompson", "weighted"]


@pytest.mark.parametrize("kind", ["cancelled", "rejected"])
def test_attempts_that_nobody_answered_say_nothing(kind):
    assert lesson(kind, 3.0, 1.0, 5.0) is None


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_counts_for_some_seconds_at_least(kind):
    assert lesson(kind, 0.0, 0.1, 5.0) == 5.0
    assert lesson(kind, 30.0, 0.1, 5.0) == 30.0


def test_an_error_of_the_tool_may_be_slow_but_never_fast():
    assert lesson("tool_error", 0.001, 0.2, 5.0) == 0.2
    assert lesson("tool_error", 0.7, 0.2, 5.0) == 0.7
    assert lesson("tool_error", 0.001, None, 5.0) == UNKNOWN_SECONDS
    assert lesson("ok", 0.001, 0.2, 5.0) == 0.001


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("kind", ["tool_error", "refused"])
def test_a_server_that_says_no_at_once_draws_no_more_than_its_share(name, kind):
    """Two servers of 0.1 s; one of them starts to end every call with that after a millisecond."""
    strategy, rng = spec(name).build(), random.Random(1)
    good, bad = nodes = [Node(Endpoint("good"), 0), Node(Endpoint("bad"), 1)]
    for node in nodes:
        strategy.added(node, 0.0)
        strategy.finished(node, "ok", 0.1, 0.0)
    picks = {good: 0, bad: 0}
    for i in range(600):
        now = 0.2 * i
        node = strategy.pick(nodes, now, rng)
        picks[node] += 1
        node.lease()
        strategy.started(node, now)
        node.release()
        if node is good:
            strategy.finished(node, "ok", 0.1, now + 0.1)
        else:
            strategy.finished(node, kind, 0.001, now + 0.001)
    assert picks[bad] <= 0.6 * 600
    assert picks[good] > 0
