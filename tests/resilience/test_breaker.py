"""The circuit breaker of one server."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcpnb.resilience.breaker import Breaker, BreakerPolicy


def breaker(**policy) -> Breaker:
    return Breaker(BreakerPolicy(**policy), random.Random(1))


def report(subject: Breaker, *kinds: str, now: float = 0.0) -> None:
    for kind in kinds:
        subject.record(kind, subject.admit(), now)


def test_five_faults_in_a_row_open_it_and_four_do_not():
    subject = breaker()
    report(subject, *["refused"] * 4, "ok", *["timeout"] * 4)
    assert subject.state == "closed"
    report(subject, "disconnected")
    assert (subject.state, subject.admits, subject.reason) == ("open", False, "5 faults in a row")


def test_half_of_the_last_hundred_open_it_once_there_are_twenty():
    subject = breaker()
    report(subject, *["refused", "ok"] * 9, "refused")
    assert subject.state == "closed"
    report(subject, "refused")
    assert subject.state == "open"


@pytest.mark.parametrize("kind", ["tool_error", "cancelled", "rejected", "ok"])
def test_what_is_not_the_servers_fault_never_opens_it(kind):
    """Oracles client_error_ignored and cancel_not_failure."""
    subject = breaker()
    report(subject, *[kind] * 1000)
    assert subject.state == "closed"


@pytest.mark.parametrize(
    ("p", "calls"), [(1.0, 5), (0.5, 62.0), pytest.param(0.2, 3905.0, marks=pytest.mark.long)]
)
def test_it_opens_after_as_many_calls_as_runs_of_faults_take(p, calls):
    """Oracle cb_trip: (1 - p^k) / (p^k (1 - p)) calls until k faults in a row."""
    rng, total, rounds = random.Random(2), 0, {1.0: 10, 0.5: 12_000, 0.2: 4_000}[p]
    for _ in range(rounds):
        subject = breaker(rate=1.0, window=10, minimum=10)
        while subject.state == "closed":
            total += 1
            report(subject, "refused" if rng.random() < p else "ok")
    assert total / rounds == pytest.approx(calls, rel=0.03)


def test_openings_double_up_to_a_limit_with_jitter():
    rng = random.Random(3)
    subject = Breaker(BreakerPolicy(reset_after=5, longest=300), rng)
    for expected in (5, 10, 20, 40, 80, 160, 300, 300):
        subject.trip(100.0)
        assert 0.5 * expected <= subject.until - 100.0 <= 1.5 * expected
        subject.probe()
    subject.reset()
    subject.trip(0.0)
    assert subject.until <= 7.5


def test_half_open_admits_exactly_one_of_a_hundred():
    subject = breaker()
    subject.trip(0.0)
    subject.probe()
    admitted = 0
    for _ in range(100):
        if subject.admits:
            subject.admit()
            admitted += 1
    assert admitted == 1


def test_two_good_probes_close_it_and_one_bad_one_opens_it_for_longer():
    subject = breaker()
    subject.trip(0.0)
    subject.probe()
    report(subject, "ok")
    assert subject.state == "half_open"
    report(subject, "ok")
    assert (subject.state, subject.opens) == ("closed", 0)
    subject.trip(0.0)
    subject.probe()
    report(subject, "refused", now=10.0)
    assert (subject.state, subject.opens) == ("open", 2)
    assert subject.until >= 15.0


def test_a_cancelled_probe_gives_its_permit_back():
    subject = breaker()
    subject.trip(0.0)
    subject.probe()
    report(subject, "cancelled")
    assert (subject.state, subject.admits) == ("half_open", True)


def test_answers_to_old_questions_are_ignored():
    subject = breaker()
    old = subject.admit()
    subject.trip(0.0)
    subject.probe()
    assert not subject.record("ok", old, 1.0)
    assert not subject.record("refused", old, 1.0)
    assert (subject.state, subject.admits) == ("half_open", True)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"permits": 0}, {"jitter": 1.0}, {"reset_after": 0}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="breaker"):
        BreakerPolicy(**wrong)


class Permits(RuleBasedStateMachine):
    """Whatever happens, never more probes are out than permits, and every permit comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = breaker(permits=2)
        self.out: list[tuple[int, bool]] = []
        self.now = 0.0

    @rule()
    def send(self):
        if self.subject.admits:
            probe = self.subject.state == "half_open"
            self.out.append((self.subject.admit(), probe))

    @rule(
        kind=st.sampled_from(["ok", "tool_error", "timeout", "refused", "cancelled"]), pick=st.integers(0, 50)
    )
    def end(self, kind, pick):
        if self.out:
            generation, _ = self.out.pop(pick % len(self.out))
            self.subject.record(kind, generation, self.now)

    @rule()
    def trip(self):
        self.subject.trip(self.now)

    @rule()
    def probe(self):
        self.subject.probe()

    @rule()
    def reset(self):
        self.subject.reset()

    @invariant()
    def probes_never_exceed_permits(self):
        current = [probe for generation, probe in self.out if generation == self.subject.generation]
        assert sum(current) <= 2
        if self.subject.state == "half_open":
            assert self.subject.admits == (sum(current) < 2)


TestPermits = Permits.TestCase
TestPermits.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
