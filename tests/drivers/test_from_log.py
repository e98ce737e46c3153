"""A log of attempts as a recording: what it knows, and what is guessed."""

from __future__ import annotations

import numpy as np
import pytest

from mcpnb.metrics import AttemptLog
from mcpnb.model import Endpoint
from mcpnb.simulation.from_log import recorded_in
from mcpnb.simulation.recorded import Arrived, Ended
from mcpnb.simulation.replayer import what_if

UNIX = 1_763_712_000.0
GOOD = {"a": 0.05, "b": 0.25}


def row(log: AttemptLog, call: int, at: float, server: str, *, attempt: int = 1, **changes) -> None:
    known = {
        "call": call, "attempt": attempt, "started_at": UNIX + at, "tool": "tool", "server": server,
        "strategy": "random", "outcome": "ok", "latency": GOOD.get(server, float("nan")), "queued": 0.0,
        "hedge": False, "cached": False, "size": 0, "error": "",
    }  # fmt: skip
    log.append(**{**known, **changes})


def taking_turns(calls: int = 40) -> AttemptLog:
    log = AttemptLog()
    for call in range(calls):
        row(log, call, call * 0.1, "ab"[call % 2])
    return log


def test_a_what_if_over_a_log():
    kept = recorded_in(taking_turns().columns())
    run = what_if(kept, "latency", seed=1)
    assert run.names == ("a", "b")
    assert np.diff(run.starts) == pytest.approx(0.1, abs=1e-6)
    assert set(run.outcomes) == {"ok"}
    assert run.shares[0] > 0.8
    assert run.latencies[run.servers == 0] == pytest.approx(0.05, abs=1e-6)
    assert run.latencies[run.servers == 1] == pytest.approx(0.25, abs=1e-6)


def test_a_call_arrived_before_it_waited_and_before_it_was_sent_again():
    log = AttemptLog()
    row(log, 7, 1.0, "a", queued=0.4, outcome="refused", latency=0.01)
    row(log, 7, 1.2, "b", attempt=2)
    row(log, 8, 2.0, "a")
    kept = recorded_in(log.columns(), timeout=3.0)
    first = kept.arrivals[0]
    assert first.request.id == 7
    assert kept.arrivals[1].at - first.at == pytest.approx(1.4)
    assert first.request.deadline == pytest.approx(first.at + 3.0)
    assert [(e.number, e.server, e.kind) for e in kept.events if isinstance(e, Ended) and e.call == 7] == [
        (1, "a", "refused"),
        (2, "b", "ok"),
    ]


def test_what_was_given_up_says_how_long_somebody_waited():
    log = AttemptLog()
    row(log, 1, 0.0, "a", outcome="timeout", latency=0.5)
    row(log, 2, 0.0, "a", outcome="cancelled", latency=0.1)
    row(log, 3, 0.0, "a", outcome="disconnected", latency=0.2)
    ends = [event for event in recorded_in(log.columns()).events if isinstance(event, Ended)]
    assert {end.call: end.given_up for end in ends} == {1: True, 2: True, 3: False}


def test_a_call_that_was_never_sent_still_came_and_one_from_the_cache_did_not():
    log = taking_turns(2)
    row(log, 10, 5.0, "", attempt=0, outcome="rejected", queued=0.5)
    row(log, 11, 6.0, "a", attempt=0, cached=True)
    came = [event.request.id for event in recorded_in(log.columns()).events if isinstance(event, Arrived)]
    assert came == [0, 1, 10]


def test_properties_of_servers_are_those_that_are_told():
    heavy = Endpoint("b", weight=3.0)
    kept = recorded_in(taking_turns().columns(), endpoints=[heavy])
    assert kept.servers == ("b", "a")
    assert kept.events[0].endpoint is heavy


def test_an_empty_log_is_an_empty_recording():
    assert recorded_in(AttemptLog().columns()).events == ()
