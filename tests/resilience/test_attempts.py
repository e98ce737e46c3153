"""Retries as the dispatcher makes them, against what independent failures come to."""

from __future__ import annotations

import random

import pytest

from mcpnb.model import Endpoint, Outcome, Request
from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.actions import Finish, Send
from mcpnb.routing.dispatcher import Dispatcher

SERVERS = ("alpha", "beta", "gamma", "delta", "epsilon")


def run(p: float, attempts: int, calls: int, retry: RetryPolicy, every: float) -> tuple[float, float]:
    """Mean attempts per call and share of calls that succeed, when attempts fail independently."""
    rng = random.Random(11)
    brain = Dispatcher("random", rng=random.Random(12), resilience=Resilience(retry=retry))
    for server in SERVERS:
        brain.add(Endpoint(server))
    sent = well = 0
    for call in range(calls):
        now = call * every
        todo = brain.submit(Request(call, "tool", SERVERS, repeatable=True, retries=attempts - 1), now)
        while todo:
            action = todo.pop(0)
            if isinstance(action, Send):
                sent += 1
                kind = "refused" if rng.random() < p else "ok"
                todo += brain.on_outcome(action.attempt.id, Outcome(kind), now)
            elif isinstance(action, Finish):
                well += action.outcome.kind == "ok"
    return sent / calls, well / calls


@pytest.mark.parametrize(
    ("p", "attempts", "calls", "mean"), [(0.1, 3, 10_000, 1.11), (0.5, 4, 20_000, 1.875), (1.0, 4, 100, 4.0)]
)
def test_a_call_takes_as_many_attempts_as_independent_failures_say(p, attempts, calls, mean):
    """Oracles retry_attempts_0.1_3, retry_attempts_0.5_4 and retry_attempts_1.0_4: (1-p^n)/(1-p)."""
    free = RetryPolicy(budgeted=False)
    assert run(p, attempts, calls, free, 0.001)[0] == pytest.approx(mean, rel=0.005)


def test_three_attempts_make_one_failure_in_ten_one_in_a_thousand():
    """Oracle retry_success: 1 - p^n."""
    assert run(0.1, 3, 10_000, RetryPolicy(budgeted=False), 0.001)[1] == pytest.approx(0.999, abs=0.0005)


def test_in_a_total_outage_the_budget_bounds_the_attempts():
    """Oracle retry_budget_1000, with the reserve of 100 retries on top: 1000 calls a second for 20 s."""
    attempts, _ = run(1.0, 3, 20_000, RetryPolicy(), 0.001)
    assert attempts == pytest.approx(1.21 + 100 / 20_000, rel=0.005)
