"""The replayer by itself: what was recorded happens again, and what was not is taken from what is known."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.model import PRIORITIES, Alternative, Endpoint, Outcome, Request
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.routing import Action, Send, WaitUntil
from mcpnb.simulation import At
from mcpnb.simulation.recorded import Arrived, Ended, Joined, Recorded
from mcpnb.simulation.recorder import Recorder
from mcpnb.simulation.replayer import replay, what_if

from .bodies import lived, replayed, simulated
from .cases import CASES, Case, server, three

ARRAYS = ("starts", "latencies", "outcomes", "servers", "attempts", "hedges", "queued")
COLUMNS = tuple(f"all_{name}" for name in ARRAYS)


def recorded(case: Case, strategy: str = "round_robin") -> Recorded:
    return simulated(case, strategy, 3)[1].recorded


def share(run, name: str) -> float:
    return float(run.shares[run.names.index(name)])


# -- the same again


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.not_simulated])
def test_a_replay_has_the_same_row_for_every_call_as_what_it_replays(name: str):
    run, recorder = simulated(CASES[name], "p2c", 5)
    again = replayed(CASES[name], "p2c", 5, recorder)
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(again, column), getattr(run, column), column)
    assert (again.names, again.events) == (run.names, run.events)


def test_a_run_on_the_real_clock_is_replayed_exactly_although_its_timers_rang_late():
    case = Case(
        servers=three(0.004, 0.006, 0.035, error_rate=0.1, fail_time=0.002),
        timeline=(At(0.05, "b", leave=True), At(0.1, "b", join=True)),
        resilience=Resilience(
            retry=2, hedge=0.012, breaker=BreakerPolicy(consecutive_failures=3, reset_after=0.02)
        ),
        rate=200.0,
        timeout=0.03,
        cancels={5: 0.001, 15: 0.002},
    )
    live = lived(case, "peak_ewma", 3, virtual=False)
    rings = [event for event in live.recorded.events if hasattr(event, "due")]
    assert any(ring.at > ring.due for ring in rings)
    assert replayed(case, "peak_ewma", 3, live).decisions_digest == live.digest


def test_another_end_of_one_attempt_is_seen_in_the_digest():
    kept = recorded(CASES["all healthy"])
    ends = [place for place, event in enumerate(kept.events) if isinstance(event, Ended)]
    events = list(kept.events)
    events[ends[7]] = events[ends[7]]._replace(kind="disconnected")
    digests = {
        replay(each, "round_robin", seed=3).decisions_digest for each in (kept, Recorded(tuple(events)))
    }
    assert len(digests) == 2


def test_calls_that_are_out_when_the_recording_stops_are_cancelled_then():
    brain = Recorder("round_robin", rng=random.Random(0))
    for name in NAMES:
        brain.add(Endpoint(name))
    for number in range(4):
        brain.submit(Request(number, "tool", NAMES), float(number))
    brain.on_outcome(2, Outcome("ok"), 5.0)
    run = replay(brain.recorded, "round_robin")
    assert run.decisions_digest == brain.digest
    assert run.outcomes.tolist() == ["cancelled", "ok", "cancelled", "cancelled"]
    assert run.latencies.tolist() == [5.0, 4.0, 3.0, 2.0]
    assert run.in_flight_after == 0


def test_nothing_recorded_is_nothing_replayed():
    run = replay(Recorded(()), "p2c")
    assert len(run.latencies) == 0
    assert run.names == ()


# -- any driver, any order of events

NAMES = ("a", "b", "c")
PROTECTED = Resilience(
    breaker=BreakerPolicy(consecutive_failures=2, reset_after=0.5),
    retry=RetryPolicy(retries=2, budget_per_second=1.0),
    hedge=0.3,
    panic=0.6,
    outlier=True,
)


class _Hand:
    """Drives a recorder as a live driver would: late, with several things at one time, by hypothesis."""

    def __init__(self, data: st.DataObject, strategy: str, seed: int) -> None:
        self._draw, self.now, self._calls, self._out = data.draw, 100.0, 0, []
        self._due: float | None = None
        self.recorder = Recorder(strategy, rng=random.Random(seed), resilience=PROTECTED)
        for name in NAMES:
            self._take(self.recorder.add(Endpoint(name, max_in_flight=3), now=self.now))

    def _take(self, actions: list[Action] | None) -> None:
        for action in actions or []:
            if isinstance(action, Send):
                self._out.append(action.attempt.id)
            elif isinstance(action, WaitUntil):
                self._due = action.at

    def step(self) -> None:
        self.now += self._draw(st.sampled_from((0.0, 0.0, 0.1, 0.25, 0.7)))
        if self._due is not None and self._due <= self.now and self._draw(st.booleans()):
            self._due = None
            self._take(self.recorder.on_timer(self.now))
        act = self._draw(
            st.sampled_from((self._call, self._call, self._end, self._end, self._end, self._disturb))
        )
        act()

    def _call(self) -> None:
        self._calls += 1
        request = Request(
            1000 + self._calls, "tool", NAMES, self.now + 2.0, 2.0,
            repeatable=self._draw(st.booleans()),
            strategy=self._draw(st.sampled_from((None, None, "mine"))),
            affinity=self._draw(st.sampled_from((None, None, "key"))),
            priority=self._draw(st.sampled_from(PRIORITIES)),
            alternatives=(Alternative("other", ("a", "c")),),
        )  # fmt: skip
        self._take(self.recorder.submit(request, self.now))

    def _end(self) -> None:
        if self._out:
            attempt = self._out.pop(self._draw(st.integers(0, len(self._out) - 1)))
            kind = self._draw(
                st.sampled_from(("ok", "ok", "tool_error", "disconnected", "refused", "timeout"))
            )
            self._take(self.recorder.on_outcome(attempt, Outcome(kind), self.now))

    def _disturb(self) -> None:
        brain, now, name = self.recorder, self.now, self._draw(st.sampled_from(NAMES))
        acts = {
            "mark": lambda: brain.mark(name, self._draw(st.sampled_from(("", "away"))), now),
            "trip": lambda: brain.trip(name, now),
            "reset": lambda: brain.reset(name, now),
            "remove": lambda: brain.remove(name, now),
            "add": lambda: brain.add(Endpoint(name, weight=2.0, max_in_flight=2), now=now),
            "use": lambda: brain.use(self._draw(st.sampled_from(("p2c", "latency"))), now),
            "define": self._define,
            "ask": lambda: self._question(brain.on_paused),
            "answer": lambda: self._question(brain.on_resumed),
            "cancel": lambda: brain.on_cancel(1000 + self._draw(st.integers(0, self._calls + 1)), now),
        }
        self._take(acts[self._draw(st.sampled_from(sorted(acts)))]())

    def _question(self, tell) -> list[Action]:
        return tell(self._draw(st.sampled_from(self._out)), self.now) if self._out else []

    def _define(self) -> None:
        self.recorder.undefine("mine", self.now)
        self.recorder.define("mine", self._draw(st.sampled_from(("least_request", "round_robin"))))


@given(st.data(), st.sampled_from(("p2c", "round_robin", "peak_ewma")), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_whatever_a_dispatcher_is_told_it_can_be_told_again(data: st.DataObject, strategy: str, seed: int):
    hand = _Hand(data, strategy, seed)
    hand.recorder.define("mine", "least_request")
    for _ in range(data.draw(st.integers(1, 40))):
        hand.step()
    again = replay(hand.recorder.recorded, strategy, resilience=PROTECTED, seed=seed)
    assert again.decisions_digest == hand.recorder.digest
    assert again.in_flight_after == 0


# -- what if


def test_what_if_nothing_else_is_the_replay():
    case = CASES["hedging"]
    kept = recorded(case, "p2c")
    same = what_if(kept, "p2c", resilience=case.resilience, seed=3)
    assert same.decisions_digest == replay(kept, "p2c", resilience=case.resilience, seed=3).decisions_digest


def test_what_if_a_strategy_had_looked_at_latencies():
    kept = recorded(CASES["one is slow"], "round_robin")
    blind, looking = what_if(kept, "round_robin"), what_if(kept, "latency")
    assert share(blind, "c") == pytest.approx(1 / 3)
    assert share(looking, "c") < 0.15
    assert looking.latencies.mean() < blind.latencies.mean()
    assert set(looking.outcomes) == {"ok"}


def test_what_if_takes_what_a_server_did_around_that_time():
    case = Case(
        servers=three(0.0513, 0.0671, 0.0809, workers=100),
        timeline=(At(10.0, "a", slow=20.0), At(20.0, "a", slow=1.0)),
        calls=600,
    )
    run = what_if(recorded(case), "random", seed=8)
    at_a = run.servers == run.names.index("a")
    meanwhile = (run.starts > 12) & (run.starts < 18)  # off the edges by what counts as the same time
    otherwise = (run.starts < 8) | (run.starts > 22)
    assert run.latencies[at_a & meanwhile] == pytest.approx(20 * 0.0513)
    assert run.latencies[at_a & otherwise] == pytest.approx(0.0513)


def test_what_if_calls_had_been_hedged():
    case = CASES["one is slow"]
    kept = recorded(replace(case, resilience=Resilience(retry=1)))
    bare, hedged = (what_if(kept, "p2c", resilience=Resilience(hedge=hedge)) for hedge in (None, 0.1))
    assert bare.hedges.sum() == 0
    assert hedged.hedges.sum() > 0
    assert hedged.latencies.mean() < bare.latencies.mean() / 2


def test_an_attempt_that_was_given_up_took_longer_than_it_was_waited_for():
    case = Case(servers=(server("a", 0.0513), server("b", 0.4007)), timeout=0.2003)
    kept = recorded(case)
    patient = Recorded(
        tuple(
            event._replace(request=event.request._replace(deadline=None))
            if isinstance(event, Arrived)
            else event
            for event in kept.events
        )
    )
    run = what_if(patient, "round_robin", seed=3)
    assert set(run.outcomes[run.servers == 1]) == {"cancelled"}  # never seen to answer: it never does
    assert set(run.outcomes[run.servers == 0]) == {"ok"}


def _asking(kept: Recorded, **changes: object) -> Recorded:
    """The same calls, with other wishes."""
    return Recorded(
        tuple(
            event._replace(request=event.request._replace(**changes)) if isinstance(event, Arrived) else event
            for event in kept.events
        )
    )


def test_a_server_that_was_never_asked_makes_a_what_if_impossible():
    wider = _asking(recorded(CASES["all healthy"]), servers=("a", "b", "c", "d"))
    with pytest.raises(ValueError, match="nothing is known of d"):
        what_if(Recorded((Joined(0.0, Endpoint("d")), *wider.events)), "round_robin", seed=3)


def test_what_if_all_calls_go_by_the_one_strategy_in_question():
    brain = Recorder("p2c", rng=random.Random(0))
    for name in NAMES:
        brain.add(Endpoint(name))
    brain.define("mine", "round_robin")
    brain.use("random", 0.0)
    for number in range(30):
        chosen = "mine" if number % 2 else None
        (sent,) = brain.submit(Request(number, "tool", NAMES, strategy=chosen), float(number))
        brain.on_outcome(sent.attempt.id, Outcome("ok"), number + 0.5)
    counts = np.bincount(what_if(brain.recorded, "round_robin").servers)
    assert counts.tolist() == [10, 10, 10]
