"""The token bucket of one server."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcpnb.resilience.rate import RateLimit

RATES = st.floats(1e-3, 1e6)
BURSTS = st.floats(1, 1e4)
MOMENTS = st.floats(0, 1e9)


def saturate(limit: RateLimit, begin: float, end: float) -> list[float]:
    """The times of all calls of somebody who always has another one."""
    taken, now = [], begin
    while now <= end:
        if limit.take(now):
            taken.append(now)
        now = limit.ready_at(now)
    return taken


def test_a_minute_of_saturation_admits_burst_and_rate():
    """Oracle token_bucket: b + floor(r t)."""
    assert len(saturate(RateLimit(10.0, 5), 0.0, 60.0)) == pytest.approx(605, abs=1)
    assert len(saturate(RateLimit(10.0, 5), 1234.567, 1294.567)) == pytest.approx(605, abs=1)


def test_polling_at_odd_moments_admits_as_much_as_waiting():
    limit, now, taken = RateLimit(10.0, 5), 0.0, 0
    while now <= 60.0:
        taken += limit.take(now)
        now += 0.0007
    assert taken == pytest.approx(605, abs=1)


def test_after_a_rest_the_burst_is_there_and_not_one_more():
    limit = RateLimit(2.0, 5)
    for rest in (0.1, 1000.3, 77_777.7):
        assert [limit.take(rest) for _ in range(7)] == [True] * 5 + [False] * 2


def test_the_burst_is_a_second_worth_unless_told_and_at_least_one():
    assert [RateLimit(3.0).take(0.0) for _ in range(1)] == [True]
    assert sum(RateLimit(0.2).take(0.0) for _ in range(1)) == 1
    slow, quick = RateLimit(0.2), RateLimit(3.0)
    assert (sum(slow.take(0.0) for _ in range(9)), sum(quick.take(0.0) for _ in range(9))) == (1, 3)
    assert slow.ready_at(0.0) == 5.0


@pytest.mark.parametrize("burst", [1, 5])
def test_a_busy_bucket_does_not_drift_in_a_hundred_thousand_calls(burst):
    begin = 1e6 / 3  # what a clock may show after some days
    taken = saturate(RateLimit(10.0, burst), begin, begin + 10_000)
    assert len(taken) == burst + 100_000
    assert taken[-1] - begin == pytest.approx(10_000, abs=1e-9)


@settings(max_examples=200)
@given(RATES, BURSTS, MOMENTS, st.integers(0, 40))
def test_at_the_time_it_names_there_is_a_token(rate, burst, now, calls):
    """Whoever sleeps until then does not have to sleep again: no rounding makes a live-lock."""
    limit = RateLimit(rate, burst)
    for _ in range(calls):
        now = limit.ready_at(now)
        assert limit.take(now)
    ready = limit.ready_at(now)
    assert ready >= now
    if ready > now:
        assert not limit.take(now)
        assert not limit.take(math.nextafter(ready, -math.inf))
    assert limit.take(ready)


@given(RATES, MOMENTS)
def test_asking_changes_nothing_and_waiting_time_is_never_more_than_one_token_takes(rate, now):
    limit = RateLimit(rate, 1)
    limit.take(now)
    assert limit.ready_at(now) == limit.ready_at(now)
    assert limit.ready_at(now) - now <= 1 / rate * (1 + 1e-9) + math.ulp(now)


def test_a_clock_that_stands_still_or_goes_back_brings_no_tokens():
    limit = RateLimit(1.0, 2)
    assert [limit.take(10.0), limit.take(10.0), limit.take(10.0), limit.take(5.0)] == [
        True,
        True,
        False,
        False,
    ]
    assert limit.take(11.0)


@pytest.mark.parametrize(
    ("rate", "burst"), [(0, None), (-1, None), (math.inf, 5), (math.nan, None), (10, 0.5), (10, math.inf)]
)
def test_a_limit_that_makes_no_sense_is_refused(rate, burst):
    with pytest.raises(ValueError, match="rate limit"):
        RateLimit(rate, burst)


class Buckets(RuleBasedStateMachine):
    """No stretch of time sees more than burst + rate · its length, and no call waits without need."""

    RATE, BURST = 3.0, 4.5

    def __init__(self) -> None:
        super().__init__()
        self.subject = RateLimit(self.RATE, self.BURST)
        self.now = 0.0
        self.taken: list[float] = []
        self.level = self.BURST  # what a bucket holds that adds and subtracts as one would by hand

    def advance(self, seconds: float) -> None:
        self.level = min(self.BURST, self.level + self.RATE * seconds)
        self.now += seconds

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds):
        self.advance(seconds)

    @rule()
    def wait_for_a_token(self):
        self.advance(self.subject.ready_at(self.now) - self.now)
        self.take()
        assert self.taken[-1] == self.now

    @rule()
    def take(self):
        assume(abs(self.level - 1) > 1e-6 or self.subject.ready_at(self.now) == self.now)
        took = self.subject.take(self.now)
        assert took == (self.level >= 1 - 1e-6)
        if took:
            self.level -= 1
            self.taken.append(self.now)

    @invariant()
    def no_stretch_sees_too_many(self):
        last = self.taken[-30:]
        for number, begin in enumerate(last):
            assert len(last) - number <= self.BURST + self.RATE * (last[-1] - begin) + 1e-6


TestBuckets = Buckets.TestCase
TestBuckets.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
