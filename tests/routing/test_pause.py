"""A call's clock stands while a person answers what a server asks in the middle of it."""

from __future__ import annotations

import pytest

from mcpnb.errors import CallTimeout
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.routing.strategies import Strategy


def ask(bench, attempt, at: float) -> None:
    bench.wait(at)
    bench.take(bench.brain.on_paused(attempt.id, at))


def answer(bench, attempt, at: float) -> None:
    bench.wait(at)
    bench.take(bench.brain.on_resumed(attempt.id, at))


def asked(bench, number: int = 1) -> list[float]:
    return [record.asked for record in bench.stories[number].attempts]


def latencies(bench, number: int = 1) -> list[float]:
    return [record.latency for record in bench.stories[number].attempts]


@pytest.fixture
def one(bench):
    """A bench with two servers, and the first attempt of a call whose deadline is at 10."""

    def begin(**fields):
        made = bench("a", "b", **fields.pop("protections", {}))
        (attempt,) = made.call(deadline=10.0, timeout=10.0, **fields)
        return made, attempt

    return begin


def test_the_deadline_moves_by_the_time_that_the_person_took(one):
    bench, attempt = one()
    ask(bench, attempt, 4.0)
    answer(bench, attempt, 100.0)
    bench.wait(105.9)
    assert not bench.ends
    bench.wait(106.0)
    assert bench.ends[1].kind == "timeout"
    assert isinstance(bench.ends[1].error, CallTimeout)
    assert bench.now == 106.0
    assert bench.idle()


def test_a_question_that_is_answered_before_the_deadline_moves_it_too(one):
    bench, attempt = one()
    ask(bench, attempt, 1.0)
    answer(bench, attempt, 3.0)
    bench.wait(11.9)
    assert not bench.ends
    bench.wait(12.0)
    assert bench.ends[1].kind == "timeout"


def test_questions_within_questions_are_counted(one):
    bench, attempt = one()
    ask(bench, attempt, 1.0)
    ask(bench, attempt, 2.0)
    answer(bench, attempt, 50.0)
    bench.wait(1000.0)
    assert not bench.ends  # one is still open
    answer(bench, attempt, 1000.0)
    answer(bench, attempt, 1000.0)  # one too many
    bench.wait(1008.9)
    assert not bench.ends
    bench.wait(1009.0)
    assert bench.ends[1].kind == "timeout"


def test_one_question_after_the_other_adds_up(one):
    bench, attempt = one()
    for begin in (1.0, 21.0, 41.0):
        ask(bench, attempt, begin)
        answer(bench, attempt, begin + 19.0)
    bench.wait(60.0 + 6.5)
    bench.end(attempt)
    assert bench.ends[1].kind == "ok"
    assert asked(bench) == [57.0]
    assert latencies(bench) == [9.5]


def test_what_the_person_took_is_not_the_servers_latency(bench):
    lessons = []

    class Listening(Strategy):
        name = "listening"

        def pick(self, eligible, now, rng):
            return eligible[0]

        def finished(self, node, kind, latency, now):
            lessons.append((kind, latency))

    made = bench("a", strategy=Listening)
    (attempt,) = made.call()
    ask(made, attempt, 1.0)
    answer(made, attempt, 61.0)
    made.wait(61.5)
    made.end(attempt)
    assert lessons == [("ok", 1.5)]
    assert (latencies(made), asked(made)) == ([1.5], [60.0])
    assert made.stories[1].total == 61.5
    assert "ok after 1500.0 ms and 60.0 s for its questions" in str(made.stories[1])


def test_an_attempt_that_is_answered_while_a_question_is_open_was_not_the_one_that_asked(one):
    bench, attempt = one()
    ask(bench, attempt, 1.0)
    bench.wait(5.0)
    bench.end(attempt)
    assert (latencies(bench), asked(bench)) == ([5.0], [0.0])


def test_a_call_that_was_asked_something_is_not_hedged(bench):
    made = bench("a", "b", hedge=2.0, retry=1)
    (attempt,) = made.call(repeatable=True)
    ask(made, attempt, 1.0)
    assert made.wait(30.0) == []
    answer(made, attempt, 30.0)
    assert made.wait(60.0) == []


def test_the_clock_stands_while_any_attempt_of_the_call_has_a_question_open(bench):
    made = bench("a", "b", hedge=2.0, retry=1)
    (first,) = made.call(repeatable=True, deadline=10.0, timeout=10.0)
    (second,) = made.wait(2.0)
    ask(made, first, 3.0)
    ask(made, second, 4.0)
    answer(made, first, 50.0)
    made.wait(99.0)
    assert not made.ends
    answer(made, second, 100.0)
    made.wait(106.9)
    assert not made.ends
    made.wait(107.0)
    assert made.ends[1].kind == "timeout"
    assert asked(made) == [47.0, 96.0]
    assert latencies(made) == [60.0, 9.0]


def test_a_server_that_dies_in_the_middle_of_its_question_ends_the_pause(bench):
    made = bench("a", "b", hedge=2.0, retry=1)
    (first,) = made.call(repeatable=True, deadline=10.0, timeout=10.0)
    made.wait(2.0)
    ask(made, first, 3.0)
    made.wait(20.0)
    made.end(first, "disconnected")  # the other one is still out
    answer(made, first, 25.0)  # comes to nothing
    made.wait(26.9)
    assert not made.ends
    made.wait(27.0)
    assert made.ends[1].kind == "timeout"


def test_what_died_with_its_question_is_sent_again_with_the_time_that_is_left(one):
    bench, attempt = one(repeatable=True, protections={"retry": 1})
    ask(bench, attempt, 4.0)
    bench.wait(50.0)
    (again,) = bench.end(attempt, "disconnected")
    assert again.server != attempt.server
    bench.wait(55.9)
    assert not bench.ends
    bench.wait(56.0)
    assert bench.ends[1].kind == "timeout"


def test_a_fault_after_the_time_was_over_but_for_the_person_is_no_timeout(one):
    bench, attempt = one()
    ask(bench, attempt, 4.0)
    bench.wait(50.0)
    bench.end(attempt, "disconnected")
    assert bench.ends[1].kind == "disconnected"


def test_a_call_is_cancelled_while_it_asks(one):
    bench, attempt = one()
    ask(bench, attempt, 4.0)
    bench.wait(50.0)
    bench.take(bench.brain.on_cancel(1, 50.0))
    assert bench.ends[1].kind == "cancelled"
    assert bench.cancelled == [attempt]
    assert bench.idle()
    bench.take(bench.brain.on_resumed(attempt.id, 51.0))
    bench.wait(1000.0)
    assert len(bench.ends) == 1


def test_a_server_that_is_removed_while_it_asks_ends_its_attempt_as_ever(one):
    bench, attempt = one()
    ask(bench, attempt, 4.0)
    bench.take(bench.brain.remove(attempt.server, 5.0))
    answer(bench, attempt, 50.0)
    bench.wait(51.0)
    bench.end(attempt)
    assert bench.ends[1].kind == "ok"
    assert latencies(bench) == [5.0]


def test_a_question_that_comes_when_the_deadline_has_just_passed_is_too_late(one):
    bench, attempt = one()
    bench.now = 10.5  # a real clock rings late
    bench.take(bench.brain.on_paused(attempt.id, 10.5))
    bench.wait(12.0)
    assert not bench.ends
    answer(bench, attempt, 20.0)
    bench.wait(20.0)
    assert bench.ends[1].kind == "timeout"


def test_a_person_who_reads_does_not_open_a_breaker(bench):
    made = bench("a", breaker=BreakerPolicy(consecutive_failures=1))
    (attempt,) = made.call(deadline=1.0, timeout=1.0)
    ask(made, attempt, 0.5)
    answer(made, attempt, 600.0)
    made.wait(600.1)
    made.end(attempt)
    assert made.brain.breaker("a").state == "closed"


def test_a_call_without_a_deadline_may_be_asked_too(bench):
    made = bench("a")
    (attempt,) = made.call()
    ask(made, attempt, 1.0)
    answer(made, attempt, 2.0)
    made.wait(3.0)
    made.end(attempt)
    assert asked(made) == [1.0]


def test_questions_of_unknown_attempts_are_ignored(bench):
    made = bench("a")
    assert made.brain.on_paused(77, 1.0) == []
    assert made.brain.on_resumed(77, 2.0) == []
