"""A second attempt for slow calls: when it is sent, who wins, and what it costs."""

from __future__ import annotations

from mcpnb.model import Endpoint
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.hedge import HedgePolicy
from mcpnb.resilience.retry import RetryPolicy


def test_a_slow_call_gets_a_second_attempt_elsewhere_and_the_first_answer_wins(bench):
    b = bench("alpha", "beta", hedge=0.5)
    (first,) = b.call(1, repeatable=True)
    (second,) = b.wait(0.5)
    assert second.server != first.server
    assert second.hedge
    assert second.why == "hedge: no answer after 500 ms"
    b.now = 0.7
    b.end(second)
    assert b.ends[1].kind == "ok"
    assert b.cancelled == [first]
    assert [record.outcome for record in b.stories[1].attempts] == ["ok", "cancelled"]
    assert b.idle()


def test_a_call_that_answers_in_time_is_not_hedged(bench):
    b = bench("alpha", "beta", hedge=0.5)
    (first,) = b.call(1, repeatable=True)
    b.now = 0.4
    b.end(first)
    assert b.wait(10.0) == []


def test_only_calls_that_may_be_repeated_are_hedged(bench):
    b = bench("alpha", "beta", hedge=0.5)
    b.call(1)
    assert b.wait(10.0) == []


def test_a_call_says_itself_whether_and_when_it_is_hedged(bench):
    b = bench("alpha", "beta", "gamma")
    b.call(1, repeatable=True)
    b.call(2, repeatable=True, hedge=0.2)
    assert [attempt.request for attempt in b.wait(10.0)] == [2]
    b = bench("alpha", "beta", hedge=0.5)
    b.call(1, repeatable=True, hedge=False)
    assert b.wait(10.0) == []


def test_without_another_server_there_is_no_hedge(bench):
    b = bench("only", hedge=0.5)
    b.call(1, repeatable=True)
    assert b.wait(10.0) == []


def test_the_delay_is_the_tools_live_p95_once_enough_is_known(bench):
    b = bench("alpha", "beta", hedge=HedgePolicy(minimum=20))
    for number in range(1, 21):
        (attempt,) = b.call(number, repeatable=True)
        b.now += 0.1 if number % 4 else 0.2
        b.end(attempt)
    begun = b.now
    b.call(100, repeatable=True)
    (hedge,) = b.wait(begun + 1.0)
    assert abs(hedge.sent_at - begun - 0.2) < 1e-9
    b.end(hedge)
    b.call(101, tool="another", repeatable=True)
    assert b.wait(b.now + 10) == []


def test_a_failed_attempt_waits_for_its_hedge_before_the_call_fails(bench):
    b = bench("alpha", "beta", "gamma", hedge=0.5)
    (first,) = b.call(1, repeatable=True, retries=2)
    (second,) = b.wait(0.5)
    assert b.end(first, "disconnected") == []
    (third,) = b.end(second, "disconnected")
    assert third.why == f"retry: disconnected on {second.server}"
    b.end(third)
    assert b.ends[1].kind == "ok"


def test_a_hedge_spends_the_retry_budget(bench):
    b = bench("alpha", "beta", hedge=0.5, retry=RetryPolicy(budget_percent=0, budget_per_second=0))
    b.call(1, repeatable=True)
    assert b.wait(10.0) == []


def test_a_hedge_does_not_spend_the_calls_retries(bench):
    b = bench("alpha", "beta", "gamma", hedge=0.5)
    (first,) = b.call(1, repeatable=True, retries=1)
    (second,) = b.wait(0.5)
    b.end(first, "disconnected")
    assert b.end(second, "disconnected")


def test_losers_are_no_failures(bench):
    """Oracle cancel_not_failure."""
    b = bench("alpha", "beta", hedge=0.01, breaker=BreakerPolicy(consecutive_failures=1))
    for number in range(1000):
        b.call(number, repeatable=True)
        (hedge,) = b.wait(b.now + 0.01)
        b.end(hedge)
    assert len(b.cancelled) == 1000
    assert {b.brain.breaker(name).state for name in b.names} == {"closed"}
    assert b.idle()


def test_a_hedge_at_once_sends_two_copies(bench):
    b = bench("alpha", "beta", hedge=0.0)
    b.call(1, repeatable=True)
    b.wait(0.0)
    assert {attempt.server for attempt in b.sent} == {"alpha", "beta"}


def test_a_hedge_does_not_go_to_a_full_server_nor_past_those_who_wait(bench):
    b = bench("alpha", Endpoint("beta", max_in_flight=1), hedge=0.5)
    while b.brain.in_flight("beta") == 0:
        b.call(100 + len(b.sent))
    b.call(1, repeatable=True)
    assert b.sent[-1].server == "alpha"
    assert b.wait(10.0) == []


def test_the_deadline_ends_both_attempts(bench):
    b = bench("alpha", "beta", hedge=0.5)
    b.call(1, repeatable=True, deadline=1.0, timeout=1.0)
    b.wait(1.0)
    assert b.ends[1].kind == "timeout"
    assert len(b.cancelled) == 2
    assert b.idle()
