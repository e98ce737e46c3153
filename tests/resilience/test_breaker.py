"""The circuit breaker of one server."""

from __future__ import annotations

import math
import random
import warnings
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcpnb.model import FAULTS, OUTCOMES, Outcome
from mcpnb.resilience.breaker import Breaker, BreakerCounts, BreakerPolicy


def breaker(**policy) -> Breaker:
    return Breaker(BreakerPolicy(**policy), random.Random(1))


def report(subject: Breaker, *kinds: str, now: float = 0.0) -> None:
    for kind in kinds:
        subject.record(kind, subject.admit(), now)


def test_its_policy_says_what_opens_it_in_the_words_of_its_definition():
    assert BreakerPolicy() == BreakerPolicy(
        consecutive_failures=5, rate=0.5, window=100, minimum=20, longest=300.0, jitter=0.5,
        half_open_permits=1, success_threshold=2,
    )  # fmt: skip


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


def test_a_full_window_of_coin_tosses_opens_it_as_often_as_the_binomial_says():
    """Oracle cb_window_0.5: P(trip at the 100th call), with >=. Tries every number of faults."""
    rng, chance = random.Random(4), 0.0
    for faults in range(101):
        subject = breaker(consecutive_failures=101, minimum=100)
        order = ["refused"] * faults + ["ok"] * (100 - faults)
        rng.shuffle(order)
        report(subject, *order[:-1])
        assert subject.state == "closed"
        report(subject, order[-1])
        chance += math.comb(100, faults) / 2**100 * (subject.state == "open")
    assert chance == pytest.approx(0.5397946186935889, abs=1e-12)


def test_the_window_forgets_what_is_older():
    subject = breaker(consecutive_failures=101, window=10, minimum=10)
    report(subject, *["refused", "refused", "refused", "refused"], *["ok"] * 6)
    report(subject, *["ok"] * 4, *["refused"] * 4)
    assert subject.state == "closed"
    report(subject, "refused")
    assert (subject.state, subject.reason) == ("open", "5 faults among the last 10 attempts")


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_half_open_closes_as_often_as_all_of_its_probes_succeed(p):
    """P(half-open → closed) = (1 - p)²: a single fault opens it again."""
    chance = 0.0
    for probes in product(["ok", "refused"], repeat=2):
        subject = breaker()
        subject.trip(0.0)
        subject.probe()
        report(subject, *probes)
        chance += math.prod(p if probe == "refused" else 1 - p for probe in probes) * (
            subject.state == "closed"
        )
    assert chance == pytest.approx((1 - p) ** 2)


def calls_that_get_through(
    subject: Breaker, seconds: float, every: float, p: float, rng: random.Random
) -> int:
    """Call at a steady pace; the breaker half-opens when its time is over."""
    sent = number = 0
    while number * every < seconds:
        if subject.admits:
            sent += 1
            report(subject, "refused" if rng.random() < p else "ok", now=number * every)
        if subject.state == "open":  # nothing gets through until its time is over
            number = math.ceil(subject.until / every)
            subject.probe()
        else:
            number += 1
    return sent


def test_a_dead_server_sees_five_calls_and_then_one_probe_per_opening():
    """Openings of 5, 10, ... 160 s and then 300 s each leave 6 + 4 probes in 1 600 s."""
    subject = breaker(jitter=0.0)
    assert calls_that_get_through(subject, 1600.0, 0.5, 1.0, random.Random(1)) == 5 + 10


def test_jitter_leaves_the_mean_length_of_an_opening_alone():
    subject = Breaker(BreakerPolicy(reset_after=10, longest=10), random.Random(6))
    probes = calls_that_get_through(subject, 20_000.0, 0.5, 1.0, random.Random(1)) - 5
    assert 20_000 / probes == pytest.approx(
        10.25, rel=0.02
    )  # a probe waits for the next call, 0.25 s on average


def test_the_duty_cycle_of_a_flaky_server_is_what_renewal_theory_says():
    """Per cycle: (1-p^k)/(p^k(1-p)) calls closed, then 1/(1-p)² openings with 2-p probes each, on average."""
    p, k, opening = 0.5, 5, 60.0
    rng = random.Random(7)
    subject = breaker(rate=1.0, window=10, minimum=10, reset_after=opening, longest=opening, jitter=0.0)
    closed = (1 - p**k) / (p**k * (1 - p))
    openings, probes = 1 / (1 - p) ** 2, 2 - p
    # At one call a second, an opening shuts 59 calls out: those between the fault and the probe.
    through = (closed + openings * probes) / (closed + openings * (probes + opening - 1))
    sent = calls_that_get_through(subject, 1_000_000.0, 1.0, p, rng)
    assert sent / 1_000_000 == pytest.approx(through, rel=0.03)


def test_one_failing_server_opens_one_breaker():
    """Oracle breaker_isolation, below the dispatcher: breakers of one policy share nothing."""
    policy, rng = BreakerPolicy(), random.Random(8)
    breakers = [Breaker(policy, rng) for _ in range(3)]
    for call in range(1000):
        subject = breakers[call % 3]
        if subject.admits:
            report(subject, "refused" if subject is breakers[0] else "ok")
    assert [subject.state for subject in breakers] == ["open", "closed", "closed"]


@pytest.mark.parametrize("kind", ["cancelled", "rejected"])
def test_two_hundred_cancelled_probes_leave_the_permit_where_it_was(kind):
    subject = breaker()
    subject.trip(0.0)
    subject.probe()
    report(subject, *[kind] * 200, "ok", *[kind] * 200, "ok")
    assert subject.state == "closed"


def test_without_a_rule_of_the_callers_faults_are_what_the_model_says():
    policy = BreakerPolicy()
    assert {kind for kind in OUTCOMES if policy.counts(Outcome(kind))} == FAULTS


def test_a_rule_of_the_callers_decides_from_the_whole_outcome_what_a_fault_is():
    def empty(outcome: Outcome) -> bool:
        return outcome.kind == "ok" and outcome.value == []

    policy = BreakerPolicy(failure=empty, consecutive_failures=2)
    subject = Breaker(policy, random.Random(1))
    for outcome in (Outcome("ok", []), Outcome("timeout"), Outcome("ok", []), Outcome("ok", [1])):
        subject.record(outcome.kind, subject.admit(), 0.0, fault=policy.counts(outcome))
    assert subject.state == "closed"
    for _ in range(2):
        subject.record("ok", subject.admit(), 0.0, fault=policy.counts(Outcome("ok", [])))
    assert (subject.state, subject.reason) == ("open", "2 faults in a row")


@pytest.mark.parametrize("kind", ["cancelled", "rejected"])
def test_no_rule_makes_a_cancelled_or_rejected_attempt_count(kind):
    policy = BreakerPolicy(failure=lambda outcome: True)
    assert not policy.counts(Outcome(kind))
    subject = Breaker(policy, random.Random(1))
    for _ in range(100):
        subject.record(kind, subject.admit(), 0.0, fault=True)
    assert subject.state == "closed"
    subject.trip(0.0)
    subject.probe()
    subject.record(kind, subject.admit(), 0.0, fault=True)
    assert (subject.state, subject.admits) == ("half_open", True)


def test_a_rule_decides_about_probes_too():
    subject = breaker()
    subject.trip(0.0)
    subject.probe()
    subject.record("ok", subject.admit(), 10.0, fault=True)
    assert (subject.state, subject.reason) == ("open", "a probe ended as ok")
    subject.probe()
    for _ in range(2):
        subject.record("timeout", subject.admit(), 20.0, fault=False)
    assert subject.state == "closed"


def test_a_rule_that_raises_is_told_once_and_the_usual_rule_decides():
    policy = BreakerPolicy(failure=lambda outcome: outcome.value["status"] == "bad")
    with pytest.warns(RuntimeWarning, match="`failure` raised TypeError: .*; the usual rule decides"):
        assert policy.counts(Outcome("timeout"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not policy.counts(Outcome("ok"))
        assert policy.counts(Outcome("ok", {"status": "bad"}))


def test_the_callers_own_condition_opens_it_too():
    seen = []

    def three_of_anything(counts: BreakerCounts) -> bool:
        seen.append(counts)
        return counts.faults >= 3

    subject = breaker(opens=three_of_anything)
    report(subject, "refused", "ok", "cancelled", "timeout", "ok", "refused")
    assert subject.state == "open"
    assert subject.reason == "a rule of its policy, at 3 faults among the last 5 attempts"
    assert seen[-2:] == [BreakerCounts(4, 2, 0), BreakerCounts(5, 3, 1)]
    assert len(seen) == 5


def test_a_condition_that_raises_is_told_once_and_opens_nothing():
    subject = breaker(opens=lambda counts: 1 / (counts.attempts - counts.attempts) > 0)
    with pytest.warns(RuntimeWarning, match="`opens` raised ZeroDivisionError: .*; it opens nothing then"):
        report(subject, "ok")
    report(subject, *["refused"] * 5)
    assert (subject.state, subject.reason) == ("open", "5 faults in a row")


def test_policies_are_equal_and_hashable_by_what_they_say():
    broken = BreakerPolicy(opens=len)
    with pytest.warns(RuntimeWarning):
        broken.objects(BreakerCounts(1, 1, 1))
    assert broken == BreakerPolicy(opens=len)
    assert hash(broken) == hash(BreakerPolicy(opens=len))
    assert "_warned" not in repr(broken)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"half_open_permits": 0},
        {"jitter": 1.0},
        {"reset_after": 0},
        {"longest": math.inf},
        {"window": 10, "minimum": 20},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="breaker"):
        BreakerPolicy(**wrong)


class Permits(RuleBasedStateMachine):
    """Whatever happens, never more probes are out than permits, and every permit comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = breaker(half_open_permits=2)
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
