"""Backoff and the retry budget."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.resilience.retry import Backoff, RetryBudget


def test_backoff_is_full_jitter_with_the_means_that_it_has_to_have():
    """Oracle: the mean of U(0, min(cap, base·2^i)) is half its bound."""
    rng, backoff = random.Random(1), Backoff(base=0.1, cap=1.0)
    for retry, bound in enumerate((0.1, 0.2, 0.4, 0.8, 1.0, 1.0)):
        delays = [backoff.delay(retry, rng) for _ in range(20_000)]
        assert sum(delays) / len(delays) == pytest.approx(bound / 2, rel=0.02)
        assert max(delays) <= bound


@given(st.integers(0, 10_000))
def test_backoff_never_overflows(retry):
    assert 0.0 <= Backoff().delay(retry, random.Random(1)) <= Backoff().cap


def test_when_everything_fails_the_budget_allows_twenty_percent_and_ten_a_second():
    """Oracle retry_budget_1000: 1.21 attempts per call at 1000 calls a second."""
    budget, retries = RetryBudget(), 0
    for call in range(60_000):
        now = call / 1000
        budget.deposit()
        took = budget.withdraw(now)
        retries += took and call >= 20_000
    assert 1 + retries / 40_000 == pytest.approx(1.21, rel=0.01)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=200))
def test_the_budget_never_gives_more_than_was_paid_in(events):
    budget = RetryBudget(percent=20, per_second=1, span=5)
    now, calls, taken = 0.0, 0, 0
    for is_call, wait in events:
        now += wait
        if is_call:
            calls += 1
            budget.deposit()
        else:
            taken += budget.withdraw(now)
    assert taken <= 5 + 0.2 * calls + now + 1e-6
