"""Background traffic: it keeps its pace, counts every answer, and ends when it is told to."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from mcpnb.errors import McpnbError
from mcpnb.lab.background import traffic


class Fleet:
    """Takes calls, and answers them when the test says so; can refuse after a number of calls."""

    def __init__(self, *, takes: int = 1_000_000, answers: bool = True) -> None:
        self.calls: list[tuple[str, dict[str, Any], Future[Any]]] = []
        self.arrived = threading.Semaphore(0)
        self.takes, self.answers = takes, answers

    def submit(self, tool: str, arguments: Any = None, /) -> Future[Any]:
        if len(self.calls) >= self.takes:
            raise McpnbError("the fleet is closed")
        call: Future[Any] = Future()
        self.calls.append((tool, arguments, call))
        self.arrived.release()
        if self.answers:
            call.set_result("sunny")
        return call

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=30)


def test_it_sends_calls_with_the_arguments_in_turn_until_it_is_stopped() -> None:
    fleet = Fleet()
    running = traffic(fleet, rate=2000, tool="t", arguments=[{"n": 1}, {"n": 2}])
    fleet.wait_for(5)
    assert running.running
    assert "running at 2000 calls/s" in repr(running)
    running.stop()
    assert not running.running
    assert [call[1]["n"] for call in fleet.calls[:4]] == [1, 2, 1, 2]
    assert {call[0] for call in fleet.calls} == {"t"}
    assert running.sent == running.answered == len(fleet.calls)
    assert running.failed == 0


def test_it_ends_after_its_duration() -> None:
    fleet = Fleet()
    done = traffic(fleet, rate=1000, duration=0.05).wait(30)
    assert not done.running
    assert done.sent == traffic(Fleet(), rate=1000, duration=0.05).wait(30).sent  # its seed draws the times


def test_stopping_waits_for_the_answers_that_are_out() -> None:
    fleet = Fleet(answers=False)
    running = traffic(fleet, rate=2000)
    fleet.wait_for(3)
    stopper = threading.Thread(target=running.stop)
    stopper.start()
    running._thread.join(30)
    assert stopper.is_alive()
    for _, _, call in fleet.calls:
        call.set_result(None)
    stopper.join(30)
    assert not stopper.is_alive()
    assert running.answered == running.sent


def test_failures_are_counted_by_kind() -> None:
    fleet = Fleet(answers=False)
    running = traffic(fleet, rate=2000)
    fleet.wait_for(3)
    running._stopped.set()
    running._thread.join(30)
    first, second, third, *rest = (call for _, _, call in fleet.calls)
    first.set_exception(TimeoutError())
    second.set_exception(TimeoutError())
    third.cancel()
    for call in rest:
        call.set_result(None)
    running.stop()
    assert running.failures == {"TimeoutError": 2, "cancelled": 1}
    assert running.failed == 3
    assert running.answered == len(rest)
    assert "2 TimeoutError" in repr(running)


def test_a_closed_fleet_ends_it_and_it_says_so() -> None:
    done = traffic(Fleet(takes=4), rate=2000).wait(30)
    assert done.sent == done.answered == 4
    assert "the fleet is closed" in repr(done)


def test_leaving_it_as_a_context_manager_stops_it() -> None:
    fleet = Fleet()
    with traffic(fleet, rate=2000) as running:
        fleet.wait_for(1)
    assert not running.running


def test_one_can_let_a_number_of_calls_pass() -> None:
    fleet = Fleet()
    with traffic(fleet, rate=2000) as running:
        assert running.let_pass(5)
    assert not running.let_pass(1, timeout=0)


@pytest.mark.parametrize("bad", [{"rate": 0}, {"rate": -1}, {"duration": 0}, {"arguments": []}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    fleet = Fleet()
    with pytest.raises(McpnbError):
        traffic(fleet, **bad)
    assert fleet.calls == []
