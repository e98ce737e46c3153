"""What a scenario's resilience does for its calls. Durations are exact where nothing is left to chance."""

from __future__ import annotations

import numpy as np
import pytest

from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Scenario, SimServer, service

ONE = service.deterministic(1.0)


def one(**properties):
    return SimServer("a", ONE, **properties)


def test_calls_over_the_bulkhead_wait_at_the_router_in_order(at_times):
    run = at_times([0, 0.25, 0.5], [one(workers=9, max_in_flight=1)])
    assert run.latencies.tolist() == [1.0, 1.75, 2.5]
    assert run.queued.tolist() == [0.0, 0.75, 1.5]
    figures = run.figures()
    assert figures["queued"] == 2
    assert figures["queued_ms"] == 750.0


def test_beyond_the_bound_of_the_routers_line_calls_are_rejected(at_times):
    run = at_times([0, 0, 0], [one(max_in_flight=1, max_queue=1)])
    assert run.outcomes.tolist() == ["ok", "ok", "rejected"]
    assert run.latencies.tolist() == [1.0, 2.0, 0.0]
    assert run.servers.tolist() == [0, 0, -1]


def test_without_a_bound_of_its_own_the_queue_policy_bounds_the_line(at_times):
    scenario = Scenario([one(max_in_flight=1)], resilience=Resilience(queue=QueuePolicy(length=0)))
    assert at_times([0, 0], scenario).outcomes.tolist() == ["ok", "rejected"]


def test_a_call_that_waits_at_the_router_until_its_end_is_rejected(at_times):
    run = at_times([0, 0, 0, 2], [one(max_in_flight=1)], timeout=1.5)
    assert run.outcomes.tolist() == ["ok", "timeout", "rejected", "ok"]
    assert run.latencies.tolist() == [1.0, 1.5, 1.5, 1.0]
    assert run.queued.tolist() == [0.0, 1.0, 1.5, 0.0]


def test_a_bulkhead_of_one_line_is_the_servers_own_line_call_by_call(poisson, fleet_of):
    def served(**bounds):
        return poisson(fleet_of(1, workers=2, **bounds), "random", rate=2.2, requests=3_000, seed=4)

    at_the_server, at_the_router = served(max_queue=5), served(max_in_flight=2, max_queue=5)
    assert (at_the_server.outcomes == "refused").sum() > 100
    np.testing.assert_array_equal(at_the_server.outcomes == "refused", at_the_router.outcomes == "rejected")
    np.testing.assert_array_equal(at_the_server.latencies, at_the_router.latencies)


def test_one_line_at_the_router_before_many_servers_is_one_server_with_as_many_workers(poisson, fleet_of):
    plan = {"rate": 9.5, "requests": 3_000, "seed": 4}
    at_the_router = poisson(fleet_of(10, max_in_flight=1), "random", **plan)
    at_the_server = poisson(fleet_of(1, workers=10), "random", **plan)
    assert (at_the_router.queued > 0).sum() > 1_000
    np.testing.assert_array_equal(at_the_router.latencies, at_the_server.latencies)


def test_high_priority_waits_less_than_low(poisson, fleet_of):
    kinds = np.array(["high", "low"] * 1_500)
    run = poisson(
        fleet_of(2, max_in_flight=1), "random", rate=1.8, requests=3_000, priorities=iter(kinds.tolist())
    )
    assert (run.outcomes == "ok").all()
    assert run.queued[kinds == "high"].mean() < 0.6 * run.queued[kinds == "low"].mean()


def test_a_hedge_goes_to_the_other_server_and_the_loser_is_given_up(at_times):
    snail = SimServer("snail", service.deterministic(5.0))
    run = at_times(range(0, 100, 10), Scenario([snail, one()], resilience=Resilience(hedge=0.5)), "random")
    assert set(run.latencies.tolist()) == {1.0, 1.5}  # the first attempt won, or the hedge did
    assert (run.servers == 1).all()
    assert run.in_flight_after == 0
    figures = run.figures()
    assert (figures["hedges"], figures["retries"], figures["extra_load"]) == (10, 0, 1.0)


def test_a_hedge_after_no_time_sends_two_copies_at_once(at_times):
    scenario = Scenario([one(), SimServer("b", ONE)], resilience=Resilience(hedge=0.0))
    run = at_times([0], scenario)
    assert run.attempts.tolist() == [2]
    assert run.latencies.tolist() == [1.0]


def test_hedges_are_retries_too_where_the_budget_is_concerned(poisson, fleet_of):
    shape = service.exponential(1.0)
    tight = RetryPolicy(retries=1, budget_percent=10.0, budget_per_second=0.0)
    run = poisson(
        Scenario(fleet_of(2, shape, workers=10**6), resilience=Resilience(hedge=0.01, retry=tight)),
        "random", rate=100.0, requests=5_000,
    )  # fmt: skip
    assert run.figures()["extra_load"] == pytest.approx(0.1, abs=0.01)


def test_a_breaker_keeps_calls_away_from_a_server_that_fails_at_once(poisson, fleet_of):
    dead = SimServer("dead", ONE, error_rate=1.0)
    policy = BreakerPolicy(reset_after=1e6, longest=1e6)
    run = poisson(
        Scenario([dead, *fleet_of(2)], resilience=Resilience(breaker=policy)), "p2c", rate=1, requests=1_000
    )
    assert (run.outcomes != "ok").sum() == 5
    assert [(server, what) for _, server, what in run.events] == [("dead", "open")]
    assert run.figures()["breaker_trips"] == 1


def test_a_breaker_probes_a_dead_server_ever_more_rarely(poisson, fleet_of):
    """Openings of 10, 20, 40, 80, 80, ... seconds, one probe after each: 5 + 2 + 450 / 80 in all."""
    dead = SimServer("dead", service.exponential(0.01), error_rate=1.0)
    policy = BreakerPolicy(reset_after=10.0, longest=80.0, jitter=0.0)
    scenario = Scenario(
        [dead, *fleet_of(3, service.exponential(0.01))], resilience=Resilience(breaker=policy)
    )
    run = poisson(scenario, "random", rate=20, requests=12_000)
    opened = [t for t, _, what in run.events if what == "open"]
    assert np.diff(opened)[:6] == pytest.approx([10, 20, 40, 80, 80, 80], abs=2.0)
    assert (run.outcomes != "ok").sum() == 5 + len(opened) - 1
    assert {what for _, _, what in run.events} == {"open", "half_open"}


def test_a_healed_server_gets_its_calls_back_after_its_breakers_time(at_times):
    policy = BreakerPolicy(consecutive_failures=1, reset_after=2.0, jitter=0.0, success_threshold=1)
    fleet = [one(), SimServer("b", ONE)]
    scenario = Scenario(
        fleet, [At(0, "a", fail=True), At(1, "a", fail=False)], Resilience(breaker=policy, retry=1)
    )
    run = at_times([0.5, 0.6, 1.7, 5, 5, 7, 7], scenario, "least_request")
    assert (run.outcomes == "ok").all()
    assert [what for _, _, what in run.events] == ["open", "half_open", "closed"]
    assert sorted(run.servers[-2:].tolist()) == [0, 1]


def test_one_failing_server_opens_one_breaker(poisson, fleet_of):
    sick = SimServer("sick", ONE, error_rate=0.9)
    policy = BreakerPolicy(reset_after=1e6, longest=1e6)
    run = poisson(
        Scenario([sick, *fleet_of(2)], resilience=Resilience(breaker=policy)), "random", rate=1,
        requests=1_000,
    )  # fmt: skip
    assert {server for _, server, what in run.events if what == "open"} == {"sick"}


def test_losers_of_hedges_are_no_failures_to_a_breaker(poisson, fleet_of):
    watchful = Resilience(breaker=BreakerPolicy(consecutive_failures=1), hedge=0.0)
    run = poisson(Scenario(fleet_of(4), resilience=watchful), "random", rate=0.5, requests=1_000)
    assert run.hedges.sum() == 1_000
    assert run.events == ()
    assert (run.outcomes == "ok").all()


@pytest.mark.parametrize(("panic", "outcome"), [(None, "rejected"), (0.5, "disconnected")])
def test_with_every_breaker_open_only_panic_still_tries(poisson, fleet_of, panic, outcome):
    dead = fleet_of(2, error_rate=1.0)
    policy = BreakerPolicy(reset_after=1e6, longest=1e6)
    run = poisson(
        Scenario(dead, resilience=Resilience(breaker=policy, panic=panic)), "random", rate=1, requests=200
    )
    assert run.outcomes[-1] == outcome


def test_the_outlier_detector_ejects_the_one_that_is_worse_than_the_others(poisson, fleet_of):
    worse = SimServer("worse", service.exponential(0.01), error_rate=0.4)
    watch = Resilience(outlier=OutlierPolicy(interval=10.0, request_volume=20))
    scenario = Scenario([worse, *fleet_of(7, service.exponential(0.01), error_rate=0.02)], resilience=watch)
    run = poisson(scenario, "random", rate=80, requests=4_000)
    assert ("worse", "ejected") in {(server, what) for _, server, what in run.events}
    assert run.figures()["ejections"] == sum(what == "ejected" for _, _, what in run.events)
    first = min(t for t, _, what in run.events if what == "ejected")
    out = (run.starts > first + 0.5) & (run.starts < first + 25)
    assert not (run.servers[out] == 0).any()


def test_calls_of_one_session_stay_with_one_server_while_it_is_there(at_times):
    fleet = [one(), SimServer("b", ONE), SimServer("c", ONE)]
    usual = at_times(range(20), Scenario(fleet, resilience=Resilience(affinity=1)), "round_robin")
    (home,) = set(usual.servers.tolist())
    name = fleet[home].name
    away = [At(4.5, name, leave=True), At(9.5, name, join=True)]
    run = at_times(range(20), Scenario(fleet, away, Resilience(affinity=1)), "round_robin")
    assert set(run.servers[:5].tolist()) == set(run.servers[10:].tolist()) == {home}
    assert home not in run.servers[5:10]


def test_many_sessions_spread_over_the_servers(poisson, fleet_of):
    scenario = Scenario(fleet_of(4), resilience=Resilience(affinity=1_000))
    run = poisson(scenario, "round_robin", rate=1, requests=4_000)
    assert run.shares == pytest.approx([0.25] * 4, abs=0.04)


def test_retries_within_a_budget_are_bounded_by_it(poisson, fleet_of):
    """20 % of the calls and 10 a second, when every attempt fails: 1.21 attempts per call at 1 000/s."""
    dead = Scenario(fleet_of(5, error_rate=1.0), resilience=Resilience(retry=3))
    run = poisson(dead, "random", rate=1_000, requests=20_000, warmup=5_000)
    assert run.attempts.mean() == pytest.approx(1.21, rel=0.01)


@pytest.mark.parametrize(
    ("rate", "retry", "value"),
    [
        (300, RetryPolicy(2, budgeted=False), 900),
        (600, RetryPolicy(2, budgeted=False), 1_800),
        (600, RetryPolicy(2), 600 * 1.2 + 10),
    ],
    ids=["below a third", "above a third", "above a third with a budget"],
)
def test_when_everything_fails_three_attempts_are_three_times_the_load(poisson, fleet_of, rate, retry, value):
    """Above a third of the capacity (1 000/s) an outage sustains itself, unless retries have a budget."""
    dead = Scenario(fleet_of(3, error_rate=1.0), resilience=Resilience(retry=retry))
    run = poisson(dead, "random", rate=rate, requests=5_000, warmup=2_000)
    sent = run.attempts.sum() / (run.starts[-1] - run.starts[0])
    assert sent == pytest.approx(value, rel=0.03)
    assert (sent > 1_000) == (rate == 600 and not retry.budgeted)


@pytest.mark.parametrize("strategy", ["least_request", "peak_ewma", "rendezvous", "priority"])
@pytest.mark.parametrize("rtt", [0.0, 0.2])
def test_after_a_storm_with_everything_on_every_counter_is_zero(poisson, strategy, rtt):
    fleet = [
        SimServer(
            f"s{i}", service.lognormal(1.0, 2.0), 2, "ps" if i % 2 else "fcfs", rtt, error_rate=0.2,
            max_in_flight=3 if i < 2 else None, max_queue=2, stops=i != 3,
        )
        for i in range(4)
    ]  # fmt: skip
    timeline = [
        At(50, "s0", leave=True), At(60, "s0", join=True),
        At(70, "s1", fail=True), At(80, "s1", recover=True),
        At(90, "s2", crash=True), At(95, "s2", recover=True), At(100, "s0", max_in_flight=1),
        At(110, "s1", hang=True), At(120, "s1", hang=False), At(130, "s3", weight=2.0),
    ]  # fmt: skip
    on = Resilience(breaker=True, retry=2, hedge=0.3, panic=True, outlier=True, affinity=50)
    run = poisson(Scenario(fleet, timeline, on), strategy, rate=9, requests=1_500, timeout=2.0)
    assert {"ok", "timeout"} < set(run.outcomes.tolist())
    assert run.hedges.sum() > 0
    assert run.retries.sum() > 0
    assert run.in_flight_after == 0


def test_a_gateway_answers_in_place_of_a_server_that_is_late(at_times):
    run = at_times([0, 0, 5], [one(timeout=1.5)])
    assert run.outcomes.tolist() == ["ok", "timeout", "ok"]
    assert run.latencies.tolist() == [1.0, 1.5, 1.0]


@pytest.mark.parametrize(("stops", "third"), [(True, 1.0), (False, 1.5)])
def test_work_that_a_gateway_gave_up_takes_time_unless_the_server_stops(at_times, stops, third):
    run = at_times([0, 0, 1.5], [one(timeout=1.5, stops=stops)])
    assert run.latencies[2] == third


def test_a_gateway_without_patience_is_refused():
    with pytest.raises(ValueError, match="a: timeout must be a number above 0, not 0"):
        one(timeout=0)
