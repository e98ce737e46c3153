"""The small parts: flights, backoff, and the words for faults."""

from __future__ import annotations

import asyncio
import random

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.behalf import SENDER
from mcpnb.connection.faults import Fault, fault_of_error, fault_of_response, retry_after
from mcpnb.connection.flight import Flight, Flights
from mcpnb.connection.pace import Pace, backoff
from mcpnb.errors import AuthError, ConnectError, ServerDisconnected

pytestmark = pytest.mark.anyio

GONE = Fault("broken", "it is gone")


async def test_a_flight_that_is_cut_ends_without_a_cancellation() -> None:
    flights = Flights()
    flight = Flight(flights, None)
    asyncio.get_running_loop().call_soon(flights.cut, GONE)
    with flight:
        await asyncio.Event().wait()
    assert flight.cut_by is GONE
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)  # nothing is left to be delivered


async def test_deadlines_are_kept_in_any_order() -> None:
    flights = Flights()
    ended = []

    async def fly(seconds) -> None:
        with Flight(flights, seconds) as flight:
            await asyncio.Event().wait()
        assert flight.cut_by == "deadline"
        ended.append(seconds)

    await asyncio.gather(*(fly(seconds) for seconds in (0.06, 0.02, 0.04, 0.02)))
    assert ended == [0.02, 0.02, 0.04, 0.06]
    assert flights._timer is None


async def test_a_flight_that_ended_in_time_is_not_cut_later() -> None:
    flights = Flights()
    with Flight(flights, 0.01) as flight:
        pass
    flight.cut(GONE)
    await asyncio.sleep(0.03)
    assert flight.cut_by is None


async def test_the_timer_goes_with_the_last_flight_of_a_session() -> None:
    flights = Flights()
    with Flight(flights, 600.0):
        flights.close()
        assert flights._timer is not None
    assert flights._timer is None


async def test_cut_and_cancelled_at_once_is_a_cancellation() -> None:
    flights = Flights()
    flying = asyncio.Event()

    async def fly() -> None:
        with Flight(flights, None):
            flying.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(fly())
    await flying.wait()
    flights.cut(GONE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_scope_of_anyio_around_a_flight_keeps_its_own_cancellation() -> None:
    flights = Flights()
    with anyio.move_on_after(0.01) as scope, Flight(flights, None) as flight:
        await asyncio.Event().wait()
    assert scope.cancelled_caught
    assert flight.cut_by is None


async def test_an_answer_that_comes_although_the_flight_was_cut_counts() -> None:
    flights = Flights()
    with Flight(flights, None) as flight:
        flight.cut(GONE)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            answer = "made it"
    assert answer == "made it"
    assert asyncio.current_task().cancelling() == 0


async def test_idleness_is_told_when_the_last_caller_has_gone() -> None:
    told = []
    flights = Flights()
    with Flight(flights, None), Flight(flights, None, ours=True), Flight(flights, None):
        flights.when_idle(lambda: told.append(flights.callers))
        assert flights.callers == 2
        assert told == []
    assert told == [0]
    flights.when_idle(lambda: told.append("at once"))
    assert told == [0, "at once"]


async def test_a_deadline_moves_by_the_time_in_which_questions_are_open() -> None:
    loop, flights = asyncio.get_running_loop(), Flights()
    with Flight(flights, 0.02) as flight:
        begun = flight.deadline
        assert flight.stand()
        assert flight.stand()
        assert flights.asking
        await asyncio.sleep(0.06)
        flight.go_on(answered=True)
        assert flights.asking
        before = loop.time()
        flight.go_on(answered=True)
        assert not flights.asking
        assert flight.deadline >= begun + 0.06 - 0.001
        assert flight.deadline > before
        await asyncio.Event().wait()
    assert flight.cut_by == "deadline"
    assert flights._standing == {}
    assert flights._timer is None


async def test_a_deadline_stands_once_for_whoever_does_not_answer() -> None:
    flights = Flights()
    with Flight(flights, 60) as flight:
        assert flight.stand()
        flight.go_on(answered=False)
        assert not flight.stand()
        assert not flights.asking


async def test_a_question_belongs_to_its_senders_request_else_to_each_that_callers_wait_for() -> None:
    flights, first, second = Flights(), object(), object()

    def sent_by(sender, **how) -> Flight:
        token = SENDER.set(sender)
        try:
            return Flight(flights, None, **how)
        finally:
            SENDER.reset(token)

    with sent_by(first) as a, sent_by(second) as b, sent_by(None, ours=True):
        assert flights.asked_for(second) == [b]
        assert flights.asked_for(None) == [a, b]
        assert flights.asked_for(object()) == [a, b]  # left over in some context


@given(st.integers(0, 10_000), st.integers(0, 2**32))
def test_backoff_stays_between_nothing_and_a_doubling_ceiling(attempt, seed) -> None:
    pace = Pace()
    delay = backoff(attempt, random.Random(seed), pace)
    assert 0 <= delay <= min(pace.backoff_cap, pace.backoff_base * 2.0 ** min(attempt, 30))


def test_backoff_is_full_jitter() -> None:
    rng = random.Random(7)
    delays = [backoff(3, rng, Pace()) for _ in range(2000)]
    assert min(delays) < 0.01
    assert max(delays) > 1.59
    assert sum(delays) / len(delays) == pytest.approx(0.8, rel=0.05)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 60.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:00 GMT", "date": "Thu, 01 Jan 2026 00:01:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers, seconds) -> None:
    assert retry_after(httpx2.Response(503, headers=headers)) == seconds


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None), (400, None), (404, None), (401, "denied"), (403, "denied"),
        (429, "limited"), (503, "busy"), (500, "broken"), (502, "broken"),
    ],
)  # fmt: skip
def test_statuses_are_told_apart(status, kind) -> None:
    fault = fault_of_response(httpx2.Response(status))
    assert (fault.kind if fault else None) == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ConnectError("no"), "refused"),
        (httpx2.ConnectTimeout("slow"), "refused"),
        (httpx2.ReadTimeout("slow"), "silent"),
        (httpx2.ReadError("reset"), "broken"),
        (httpx2.RemoteProtocolError("no answer"), "broken"),
        (ConnectionResetError(), "broken"),
    ],
)
def test_errors_of_the_network_are_told_apart(error, kind) -> None:
    assert fault_of_error(error, "http://here").kind == kind


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refused", ConnectError), ("busy", ConnectError), ("lost", ConnectError), ("denied", AuthError),
        ("broken", ServerDisconnected), ("silent", ServerDisconnected),
    ],
)  # fmt: skip
def test_each_fault_becomes_the_error_that_says_whether_it_may_have_run(kind, error) -> None:
    made = Fault(kind, "because", retry_after=2.0).error("alpha", "echo")
    assert type(made) is error
    assert "because" in str(made)
