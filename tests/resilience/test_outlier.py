"""Ejection of servers that succeed less often than the others."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from mcpnb.resilience.outlier import OutlierDetector, OutlierPolicy


def fleet(n: int) -> list[str]:
    return [f"s{number}" for number in range(n)]


def interval(subject: OutlierDetector, servers: list[str], faults: dict[str, int], calls: int = 100) -> None:
    """Each server answers `calls` times, of which some are faults."""
    for server in servers:
        bad = faults.get(server, 0)
        for number in range(calls):
            subject.record(server, "timeout" if number < bad else "ok")


def detector(**policy) -> OutlierDetector:
    return OutlierDetector(OutlierPolicy(**policy))


def test_the_one_bad_server_among_ten_goes_out_with_a_reason_and_comes_back():
    subject, servers = detector(), fleet(10)
    interval(subject, servers, {"s3": 60})
    (ejection,) = subject.sweep(100.0, servers)
    assert ejection == ("s3", 130.0, "40.0% success below 59.8% (mean 94.0% - 1.9 deviations)")
    for now in (110.0, 120.0):
        interval(subject, servers, {})
        assert subject.sweep(now, servers) == []
    assert subject.sweep(130.0, servers) == [("s3", None, "its ejection is over")]
    assert subject.sweep(140.0, servers) == []


@pytest.mark.parametrize("begin", [0.1, 7.3, 12_345.678, 1e6 / 3])
def test_sums_of_intervals_do_not_make_an_ejection_an_interval_longer(begin):
    subject, servers, now = detector(interval=0.1, ejection_time=0.3), fleet(10), begin
    interval(subject, servers, {"s3": 60})
    assert len(subject.sweep(now, servers)) == 1
    for back in ([], [], ["s3"]):
        now += 0.1
        assert [e.server for e in subject.sweep(now, servers)] == back


@pytest.mark.parametrize(("n", "ejected"), [(3, 0), (4, 0), (5, 1), (6, 1)])
def test_one_bad_server_can_be_ejected_from_five_on(n, ejected):
    """Oracle outlier_min_hosts: N > 1 + 1.9², with the population's deviation, however bad it is."""
    subject, servers = detector(minimum_hosts=1), fleet(n)
    interval(subject, servers, {"s0": 100})
    assert len(subject.sweep(0.0, servers)) == ejected


def test_ejections_last_longer_each_time_up_to_a_limit():
    """Oracle outlier_backoff."""
    policy = OutlierPolicy()
    assert [policy.lasts(times) for times in (1, 2, 3, 10, 20)] == [30, 60, 90, 300, 300]
    assert OutlierPolicy(ejection_time=50, max_ejection_time=20).lasts(3) == 50
    subject, servers = detector(), fleet(10)
    now, lengths = 0.0, []
    while len(lengths) < 12:
        interval(subject, servers, {"s0": 100})
        lengths += [e.until - now for e in subject.sweep(now, servers) if e.until is not None]
        now += 10.0
    assert lengths == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_each_good_interval_takes_one_ejection_off_the_next_one():
    subject, servers = detector(), fleet(10)
    times = []
    for now, bad in ((0.0, 100), (30.0, 0), (40.0, 100), (100.0, 0), (110.0, 0), (120.0, 0), (130.0, 100)):
        interval(subject, servers, {"s0": bad})
        times += [e.until - now for e in subject.sweep(now, servers) if e.until is not None]
    assert times == [30, 60, 30]


def test_at_most_a_tenth_goes_out_the_worst_first_and_one_always_may():
    # A few bad ones among many good ones: the deviation is large, so that more than a tenth is never out.
    subject, servers = detector(factor=0.5), fleet(20)
    interval(subject, servers, {"s1": 40, "s5": 80, "s9": 60})
    assert [e.server for e in subject.sweep(0.0, servers)] == ["s5", "s9"]
    interval(subject, servers, {"s1": 40})
    assert subject.sweep(10.0, servers) == []
    small = detector(factor=0.5)
    interval(small, fleet(5), {"s1": 40, "s2": 60})
    assert [e.server for e in small.sweep(0.0, fleet(5))] == ["s2"]


def test_too_few_calls_or_servers_prove_nothing():
    quiet = detector()
    interval(quiet, fleet(10), {"s0": 99}, calls=99)
    assert quiet.sweep(0.0, fleet(10)) == []
    few = detector()
    interval(few, fleet(4), {"s0": 100})
    interval(few, ["s4"], {}, calls=50)
    assert few.sweep(0.0, fleet(5)) == []


def test_calls_of_earlier_intervals_do_not_count():
    subject, servers = detector(), fleet(10)
    for now in (0.0, 10.0):
        interval(subject, servers, {"s0": 60}, calls=60)
        assert subject.sweep(now, servers) == []


def test_servers_that_fail_alike_stay():
    subject, servers = detector(), fleet(30)
    for now, bad in ((0.0, 0), (10.0, 33), (20.0, 100)):
        interval(subject, servers, dict.fromkeys(servers, bad))
        assert subject.sweep(now, servers) == []


@pytest.mark.parametrize("kind", ["tool_error", "cancelled", "rejected"])
def test_what_is_not_the_servers_fault_does_not_speak_against_it(kind):
    subject, servers = detector(), fleet(10)
    interval(subject, servers, {})
    for _ in range(1000):
        subject.record("s0", kind)
    assert subject.sweep(0.0, servers) == []


def test_cancelled_calls_are_no_volume():
    subject, servers = detector(), fleet(10)
    interval(subject, servers, {"s0": 90}, calls=90)
    for server in servers:
        for _ in range(50):
            subject.record(server, "cancelled")
    assert subject.sweep(0.0, servers) == []


def test_who_left_is_forgotten_and_begins_anew():
    subject, servers = detector(), fleet(10)
    interval(subject, servers, {"s0": 100})
    subject.sweep(0.0, servers)
    subject.forget("s0")
    subject.forget("never seen")
    interval(subject, servers, {"s0": 100})
    assert subject.sweep(10.0, servers)[0].until == 40.0
    subject.sweep(20.0, servers[1:])
    interval(subject, servers, {"s0": 100})
    assert subject.sweep(30.0, servers)[0].until == 60.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": 0},
        {"factor": 0},
        {"ejection_time": math.inf},
        {"max_ejection_time": -1},
        {"minimum_hosts": 0},
        {"request_volume": 0},
        {"max_percent": 0},
        {"max_percent": 101},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="outlier"):
        OutlierPolicy(**wrong)


class Ejections(RuleBasedStateMachine):
    """Never too many out, never twice, never for too long, and everybody comes back in time."""

    POLICY = OutlierPolicy(factor=0.7, minimum_hosts=3, request_volume=10, max_percent=30.0)

    def __init__(self) -> None:
        super().__init__()
        self.subject = OutlierDetector(self.POLICY)
        self.servers = fleet(8)
        self.out: dict[str, float] = {}
        self.joined, self.now = 8, 0.0

    @rule(pick=st.integers(0, 50), faults=st.integers(0, 20), calls=st.integers(0, 30))
    def answer(self, pick, faults, calls):
        server = self.servers[pick % len(self.servers)]
        for number in range(calls):
            self.subject.record(server, "refused" if number < faults else "ok")

    @rule()
    def everybody_answers(self):
        interval(self.subject, self.servers, {}, calls=10)

    @precondition(lambda self: len(self.servers) > 1)
    @rule(pick=st.integers(0, 50), told=st.booleans())
    def leave(self, pick, told):
        server = self.servers.pop(pick % len(self.servers))
        self.out.pop(server, None)
        if told:
            self.subject.forget(server)

    @rule()
    def join(self):
        self.servers.append(f"s{self.joined}")
        self.joined += 1

    @rule()
    def sweep(self):
        self.now += self.POLICY.interval
        before = len(self.out)
        ejections = self.subject.sweep(self.now, self.servers)
        for server, until, reason in ejections:
            assert server in self.servers
            assert reason
            if until is None:
                assert self.out.pop(server) <= self.now + 0.01
            else:
                assert server not in self.out
                assert 30.0 <= until - self.now <= 300.0
                self.out[server] = until
        assert all(until > self.now for until in self.out.values())
        # Who comes back makes room in the next interval, so these count against the bound of this one.
        went = sum(ejection.until is not None for ejection in ejections)
        assert not went or before + went <= max(1, len(self.servers) * 0.3)


TestEjections = Ejections.TestCase
TestEjections.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
