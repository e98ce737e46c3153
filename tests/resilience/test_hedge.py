"""When a second attempt is worth it."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.resilience.hedge import HedgeDelay, HedgePolicy


def test_a_fixed_delay_needs_no_samples_and_keeps_none():
    subject = HedgeDelay(HedgePolicy(delay=0.25))
    subject.record("tool", 9.0)
    assert subject.delay("tool") == subject.delay("unknown") == 0.25
    assert not subject._tools


def test_below_the_minimum_nothing_is_hedged():
    subject = HedgeDelay(HedgePolicy(minimum=20))
    for _ in range(19):
        subject.record("tool", 1.0)
    assert subject.delay("tool") is None
    subject.record("tool", 1.0)
    assert (subject.delay("tool"), subject.delay("another")) == (1.0, None)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=600), st.floats(0.01, 0.99))
def test_it_is_the_quantile_of_the_last_256(latencies, q):
    subject = HedgeDelay(HedgePolicy(quantile=q, minimum=1))
    for latency in latencies:
        subject.record("tool", latency)
    assert subject.delay("tool") == pytest.approx(float(np.quantile(latencies[-256:], q)), abs=1e-9)


def test_it_follows_a_tool_that_slows_down_within_a_window():
    subject = HedgeDelay(HedgePolicy())
    for _ in range(1000):
        subject.record("tool", 0.1)
    for _ in range(256):
        subject.record("tool", 2.0)
    assert subject.delay("tool") == 2.0


def test_tools_are_measured_apart():
    subject = HedgeDelay(HedgePolicy(minimum=1))
    subject.record("quick", 0.01)
    subject.record("slow", 5.0)
    assert (subject.delay("quick"), subject.delay("slow")) == (0.01, 5.0)


def test_of_too_many_tools_the_one_unused_for_longest_is_forgotten():
    subject = HedgeDelay(HedgePolicy(minimum=1))
    for number in range(1024):
        subject.record(f"tool{number}", 1.0)
    subject.record("tool0", 1.0)
    subject.record("one more", 1.0)
    assert len(subject._tools) == 1024
    assert (subject.delay("tool0"), subject.delay("tool1"), subject.delay("one more")) == (1.0, None, 1.0)


def test_the_live_p95_hedges_one_call_in_twenty_and_hedging_does_not_feed_itself():
    """Oracles hedge_exp_extra_p95 and hedge_exp_mean_p95, with a delay that is learned instead of known.

    What a call's own hedge cuts short is recorded with the time until then; by the winners alone, 11 % of the
    calls are hedged.
    """
    rng, subject = random.Random(5), HedgeDelay(HedgePolicy())
    hedged, total, calls = 0, 0.0, 40_000
    for _ in range(calls):
        first, delay = rng.expovariate(1.0), subject.delay("tool")
        took = first
        if delay is not None and first > delay:
            hedged += 1
            took = min(first, delay + rng.expovariate(1.0))
        subject.record("tool", took)
        total += took
    assert hedged / calls == pytest.approx(0.05, abs=0.01)
    assert total / calls == pytest.approx(0.975, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay": -1.0},
        {"delay": math.nan},
        {"delay": math.inf},
        {"quantile": 0.0},
        {"quantile": 1.0},
        {"minimum": 0},
        {"minimum": 257},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="hedge"):
        HedgePolicy(**wrong)
