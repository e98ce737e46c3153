"""Backoff and the retry budget."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcpnb.resilience.retry import Backoff, RetryBudget, RetryPolicy


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


def test_five_backoffs_last_as_long_as_their_means():
    """Oracle full_jitter_total."""
    rng, backoff = random.Random(2), Backoff(base=0.1, cap=10)
    total = sum(backoff.delay(retry, rng) for _ in range(20_000) for retry in range(5))
    assert total / 20_000 == pytest.approx(1.55, rel=0.01)


@pytest.mark.parametrize("wrong", [{"base": -1}, {"cap": math.nan}, {"base": math.inf}])
def test_a_backoff_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="backoff"):
        Backoff(**wrong)


@pytest.mark.parametrize(
    ("rate", "percent", "per_second"),
    [(1000, 20, 10), (100, 20, 10), (20, 20, 10), (500, 10, 1), (50, 20, 0)],
)
def test_when_everything_fails_the_budget_allows_its_percent_and_its_drip(rate, percent, per_second):
    """Oracle retry_budget_1000: 1 + pct + min/rps attempts per call, with retries that fail and ask again."""
    budget, retries = RetryBudget(percent, per_second), 0
    for call in range(60 * rate):
        now = call / rate
        budget.deposit(now)
        while budget.withdraw(now):
            retries += now >= 20
    assert 1 + retries / (40 * rate) == pytest.approx(1 + percent / 100 + per_second / rate, rel=0.01)


def test_a_drip_loses_no_part_of_a_token_however_often_it_is_asked():
    budget, taken = RetryBudget(percent=0, per_second=10), 0
    for asked in range(100_001):
        taken += budget.withdraw(asked / 1000)
    assert taken == 100 + 1000


def test_a_burst_of_calls_pays_for_its_own_retries():
    """As in Finagle: what was paid in during the span counts, without another bound."""
    budget = RetryBudget(percent=20, per_second=10)
    for _ in range(1000):
        budget.deposit(5.0)
    assert budget.balance == 300
    assert sum(budget.withdraw(5.1) for _ in range(1000)) == 300


def test_what_was_paid_in_expires_and_the_drip_saves_up_no_more_than_its_span():
    budget = RetryBudget(percent=20, per_second=10, span=10)
    for _ in range(1000):
        budget.deposit(0.0)
    assert sum(budget.withdraw(9.9) for _ in range(50)) == 50
    assert sum(budget.withdraw(11.5) for _ in range(1000)) == 100
    assert sum(budget.withdraw(1e6) for _ in range(1000)) == 100


def test_what_expires_first_is_spent_first():
    budget = RetryBudget(percent=100, per_second=0)
    for now in (0.0, 5.0):
        for _ in range(10):
            budget.deposit(now)
    assert sum(budget.withdraw(6.0) for _ in range(10)) == 10
    assert sum(budget.withdraw(14.0) for _ in range(20)) == 10


def test_small_parts_of_a_retry_add_up_exactly():
    budget, taken = RetryBudget(percent=0.1, per_second=0), []
    for call in range(3000):
        budget.deposit(1.0)
        if budget.withdraw(1.0):
            taken.append(call + 1)
    assert taken == [1000, 2000, 3000]


def test_a_budget_of_nothing_allows_nothing_and_a_slow_drip_still_something():
    nothing, slow = RetryBudget(percent=0, per_second=0), RetryBudget(percent=0, per_second=0.01)
    nothing.deposit(0.0)
    assert not nothing.withdraw(0.0)
    assert not nothing.withdraw(1e6)
    assert not slow.withdraw(0.0)
    assert slow.withdraw(90.1)


@pytest.mark.parametrize(
    "wrong", [(-1, 10, 10), (20, -1, 10), (20, 10, 0), (math.nan, 10, 10), (20, math.inf, 10)]
)
def test_a_budget_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="retry budget"):
        RetryBudget(*wrong)


def test_a_policy_makes_a_budget_of_its_own_for_each_fleet_or_none():
    policy = RetryPolicy(budget_percent=50, budget_per_second=2)
    one, two = policy.new_budget(), policy.new_budget()
    assert (one.balance, one is two) == (20, False)
    one.withdraw(0.0)
    assert (one.balance, two.balance) == (19, 20)
    assert RetryPolicy(budgeted=False).new_budget() is None


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"budget_percent": -1}, {"budget_per_second": math.nan}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="retry"):
        RetryPolicy(**wrong)


class Budgets(RuleBasedStateMachine):
    """Never below nothing, never more than was paid in and dripped, never a refusal that was not due."""

    PERCENT, PER_SECOND, SPAN = 30.0, 2.0, 5.0

    def __init__(self) -> None:
        super().__init__()
        self.subject = RetryBudget(self.PERCENT, self.PER_SECOND, self.SPAN)
        self.now = 0.0
        self.paid: list[float] = []
        self.taken: list[float] = []

    @rule(seconds=st.floats(0, 4))
    def wait(self, seconds):
        self.now += seconds

    @rule(calls=st.integers(1, 20))
    def call(self, calls):
        for _ in range(calls):
            self.subject.deposit(self.now)
            self.paid.append(self.now)

    @rule(times=st.integers(1, 15))
    def retry(self, times):
        for _ in range(times):
            if self.subject.withdraw(self.now):
                self.taken.append(self.now)
            else:
                assert self.subject.balance < 1

    @rule()
    def rest(self):
        self.now += 2 * self.SPAN
        drip = self.PER_SECOND * self.SPAN
        assert sum(self.subject.withdraw(self.now) for _ in range(100)) == drip
        self.taken += [self.now] * int(drip)

    @invariant()
    def it_is_never_below_nothing(self):
        assert self.subject.balance >= 0
        assert self.subject._reserve >= 0
        assert all(left >= 0 for _, left in self.subject._paid)
        assert self.subject._paid_in == sum(left for _, left in self.subject._paid)

    @invariant()
    def no_stretch_sees_more_than_it_may(self):
        for begin in set(self.taken[-10:]):
            took = sum(at >= begin for at in self.taken)
            paid = sum(at >= begin - 1.1 * self.SPAN - 1e-9 for at in self.paid)
            drip = self.PER_SECOND * (self.SPAN + self.now - begin)
            assert took <= paid * self.PERCENT / 100 + drip + 1e-6

    @invariant()
    def memory_is_bounded(self):
        assert len(self.subject._paid) <= 12


TestBudgets = Budgets.TestCase
TestBudgets.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
