"""Events are kept, bounded, and told to those who watch."""

from __future__ import annotations

import threading
import warnings

import pytest

from mcpnb.metrics import EventLog
from mcpnb.model import Event


def event(number: int = 0, kind: str = "server_state") -> Event:
    return Event(float(number), kind, "alpha", f"number {number}")


def test_the_newest_events_are_kept_in_order_and_the_others_counted() -> None:
    log = EventLog(3)
    for number in range(5):
        log.append(event(number))
    assert [e.at for e in log.snapshot()] == [2.0, 3.0, 4.0]
    assert (len(log), log.total, log.dropped) == (3, 5, 2)
    assert repr(log) == "<EventLog: 3 events, 2 older dropped>"


def test_a_watcher_hears_its_kind_and_a_star_hears_all() -> None:
    log, one, every = EventLog(), [], []
    log.on("conflict", one.append)
    log.on("*", every.append)
    log.append(event(1))
    log.append(event(2, "conflict"))
    assert [e.at for e in one] == [2.0]
    assert [e.at for e in every] == [1.0, 2.0]


def test_unsubscribing_ends_the_calls_and_may_be_done_twice() -> None:
    log, heard = EventLog(), []
    stop = log.on("*", heard.append)
    log.on("*", lambda e: stop())
    log.append(event(1))
    log.append(event(2))
    stop()
    assert [e.at for e in heard] == [1.0]


def test_the_same_callback_watched_twice_is_two_watches() -> None:
    log, heard = EventLog(), []
    first = log.on("*", heard.append)
    log.on("*", heard.append)
    first()
    log.append(event())
    assert len(heard) == 1


def test_a_callback_that_raises_is_reported_once_and_neither_stops_the_emitter_nor_the_others() -> None:
    log, heard = EventLog(), []

    def broken(_: Event) -> None:
        raise LookupError("no such widget")

    log.on("server_state", broken)
    log.on("server_state", heard.append)
    with pytest.warns(RuntimeWarning, match=r"broken.*LookupError: no such widget"):
        log.append(event(1))
    log.append(event(2))  # a second warning would be an error here
    assert len(heard) == 2
    assert [e.kind for e in log.snapshot()] == ["server_state", "callback_failed", "server_state"]


def test_where_warnings_are_errors_a_broken_callback_still_does_not_stop_the_emitter() -> None:
    log = EventLog()
    log.on("*", lambda e: 1 / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log.append(event())
    assert log.snapshot()[-1].kind == "callback_failed"


def test_what_is_told_reaches_those_who_ask_for_its_kind_by_name_and_is_not_kept() -> None:
    log, named, every = EventLog(), [], []
    assert not log.heard("call_finished")
    log.on("*", every.append)
    assert not log.heard("call_finished")
    stop = log.on("call_finished", named.append)
    assert log.heard("call_finished")
    log.tell(event(1, "call_finished"))
    stop()
    log.tell(event(2, "call_finished"))
    assert [e.at for e in named] == [1.0]
    assert not log.heard("call_finished")
    assert (every, log.snapshot(), log.total) == ([], (), 0)


def test_a_callback_that_raises_at_what_is_told_is_reported_once() -> None:
    log = EventLog()
    log.on("call_finished", lambda e: 1 / 0)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        log.tell(event(1, "call_finished"))
    log.tell(event(2, "call_finished"))
    assert [e.kind for e in log.snapshot()] == ["callback_failed"]


def test_snapshots_can_be_taken_while_another_thread_appends() -> None:
    log = EventLog(100)
    writer = threading.Thread(target=lambda: [log.append(event(n)) for n in range(20_000)])
    writer.start()
    while writer.is_alive():
        ats = [e.at for e in log.snapshot()]
        assert ats == sorted(ats)
    writer.join()
    assert log.total == 20_000


def test_a_log_of_no_events_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EventLog(0)


def test_a_watch_that_could_not_be_told_is_refused_and_harms_nobody():
    log = EventLog()
    with pytest.raises(TypeError, match="kind must be"):
        log.on(["server_state"], print)
    with pytest.raises(TypeError, match="plain function"):
        log.on("*", None)
    log.append(Event(0.0, "server_state", None, "fine"))
    assert len(log) == 1
