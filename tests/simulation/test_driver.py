"""What happens to calls on the virtual clock: exact times, no chance unless it is asked for."""

from __future__ import annotations

import math
from itertools import repeat

import pytest

from mcpnb.errors import StrategyError
from mcpnb.simulation import At, Demand, Scenario, SimServer, service, simulate

ONE = service.deterministic(1.0)


def one(**properties):
    return SimServer("a", ONE, **properties)


def seen(run):
    return list(zip([round(x, 9) for x in run.latencies.tolist()], run.outcomes.tolist(), strict=True))


def test_calls_wait_in_the_order_in_which_they_came(at_times):
    assert at_times([0, 0.25, 0.5], [one()]).latencies.tolist() == [1.0, 1.75, 2.5]


def test_workers_serve_at_once_as_many_as_they_are(at_times):
    assert at_times([0, 0.25, 0.5], [one(workers=2)]).latencies.tolist() == [1.0, 1.0, 1.5]


def test_sharing_slows_everybody_down_alike(at_times):
    # Alone until 0.5, then two share: the first has 0.5 left and ends at 1.5, the second at 2.0.
    run = at_times([0, 0.5], [one(discipline="ps")])
    assert run.latencies.tolist() == pytest.approx([1.5, 1.5])


def test_sharing_among_fewer_than_the_workers_slows_nobody(at_times):
    run = at_times([0, 0.5, 0.75], [one(discipline="ps", workers=3)])
    assert run.latencies.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_the_network_takes_half_of_its_time_on_each_way(at_times):
    run = at_times([0, 0], [one(rtt=0.5)])
    assert run.latencies.tolist() == [1.5, 2.5]


def test_a_full_line_refuses(at_times):
    run = at_times([0, 0, 0], [one(max_queue=1)])
    assert seen(run) == [(1.0, "ok"), (2.0, "ok"), (0.0, "refused")]


def test_a_full_line_refuses_when_sharing_too(at_times):
    run = at_times([0, 0], [one(max_queue=0, discipline="ps")])
    assert seen(run) == [(1.0, "ok"), (0.0, "refused")]


def test_a_failing_server_says_so_after_its_fail_time_and_takes_no_worker(at_times):
    scenario = Scenario([one(fail_time=0.5)], [At(1, "a", fail=True), At(5, "a", fail=False)])
    run = at_times([0, 2, 2, 6], scenario)
    assert seen(run) == [(1.0, "ok"), (0.5, "disconnected"), (0.5, "disconnected"), (1.0, "ok")]


def test_a_black_hole_ends_at_the_deadline(at_times):
    run = at_times([0, 1], [one(error_rate=1.0, fail_time=math.inf)], timeout=3.0)
    assert seen(run) == [(3.0, "timeout"), (3.0, "timeout")]
    assert run.in_flight_after == 0


def test_a_black_hole_without_a_timeout_is_refused_at_once(at_times):
    with pytest.raises(ValueError, match="give the workload a timeout"):
        at_times([0], [one(error_rate=1.0, fail_time=math.inf)])


@pytest.mark.parametrize("discipline", ["fcfs", "ps"])
def test_calls_that_time_out_leave_the_line_and_free_their_worker(at_times, discipline):
    slow = service.deterministic(10.0)
    scenario = Scenario([one(discipline=discipline)], [At(0, "a", service=slow), At(2, "a", service=ONE)])
    run = at_times([0, 0, 3], scenario, timeout=2.5)
    assert seen(run) == [(2.5, "timeout"), (2.5, "timeout"), (1.0, "ok")]
    assert run.in_flight_after == 0


def test_a_change_of_service_holds_for_calls_that_start_later(at_times):
    scenario = Scenario([one()], [At(0.5, "a", service=service.deterministic(3.0))])
    assert at_times([0, 0.25], scenario).latencies.tolist() == [1.0, 3.75]


def test_the_timeline_changes_the_network_and_the_faults(at_times):
    timeline = [At(1.5, "a", rtt=1.0), At(5, "a", rtt=0.0, error_rate=1.0, fail_time=0.25)]
    run = at_times([0, 2, 6], Scenario([one()], timeline))
    assert seen(run) == [(1.0, "ok"), (2.0, "ok"), (0.25, "disconnected")]


def test_a_server_that_left_gets_nothing_and_ends_what_it_has(at_times):
    scenario = Scenario([one(), SimServer("b", ONE)], [At(0.5, "a", leave=True), At(10, "a", join=True)])
    run = at_times([0, 0, 1, 3, 5, 11, 13], scenario)
    assert (run.outcomes == "ok").all()
    assert set(run.servers[:2].tolist()) == {0, 1}
    assert run.servers[2:5].tolist() == [1, 1, 1]
    assert set(run.servers[5:].tolist()) == {0, 1}


def test_a_server_that_joins_later_gets_nothing_before(at_times):
    scenario = Scenario([one(), SimServer("b", ONE)], [At(4, "b", join=True)])
    run = at_times([0, 2, 5, 7], scenario)
    assert run.servers[:2].tolist() == [0, 0]
    assert set(run.servers[2:].tolist()) == {0, 1}


def test_with_nobody_there_calls_are_rejected(at_times):
    run = at_times([1], Scenario([one()], [At(0, "a", leave=True)]))
    assert seen(run) == [(0.0, "rejected")]
    assert run.servers.tolist() == [-1]
    assert run.attempts.tolist() == [0]


def test_without_retries_a_fault_ends_the_call(at_times):
    run = at_times([0], [one(error_rate=1.0), SimServer("b", ONE, error_rate=1.0)])
    assert run.attempts.tolist() == [1]


def test_a_retry_at_the_only_server_comes_after_a_backoff(at_times):
    scenario = Scenario([one()], [At(0, "a", fail=True), At(1e-9, "a", fail=False)])
    run = at_times([0], scenario, retries=1)
    assert run.outcomes.tolist() == ["ok"]
    assert run.attempts.tolist() == [2]
    assert 1.0 < run.latencies[0] <= 1.1


def closed(scenario, callers, strategy="p2c", **demand):
    return simulate(scenario, strategy, Demand(tools=repeat("tool"), callers=callers, **demand))


def test_in_a_closed_loop_each_caller_waits_for_its_answer():
    run = closed(Scenario([one()]), 2, requests=4)
    assert run.starts.tolist() == [0.0, 0.0, 1.0, 2.0]
    assert run.latencies.tolist() == [1.0, 2.0, 2.0, 2.0]
    assert not run.unstable


def test_a_closed_loop_with_a_duration_starts_nothing_after_it():
    run = closed(Scenario([one()]), 1, seconds=3.5)
    assert run.starts.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_closed_loop_over_servers_that_fail_at_once_ends():
    run = closed(Scenario([one(error_rate=1.0)]), 3, seconds=0.1)
    assert (run.outcomes == "disconnected").all()
    assert len(run.latencies) <= 3 * 101


def test_the_same_seed_decides_alike_and_another_one_does_not(poisson, fleet_of):
    runs = [
        poisson(fleet_of(5, error_rate=0.1), "p2c", rate=4, requests=5_000, retries=2, timeout=5.0, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert runs[0].decisions_digest == runs[1].decisions_digest
    assert (runs[0].latencies == runs[1].latencies).all()
    assert runs[0].decisions_digest != runs[2].decisions_digest


@pytest.mark.parametrize("discipline", ["fcfs", "ps"])
@pytest.mark.parametrize("rtt", [0.0, 0.2])
def test_after_a_stormy_run_every_counter_is_zero(poisson, discipline, rtt):
    fleet = [
        SimServer(f"s{i}", service.lognormal(1.0, 2.0), 2, discipline, rtt, error_rate=0.2, max_queue=3)
        for i in range(4)
    ]
    timeline = [At(100, "s0", leave=True), At(200, "s0", join=True), At(150, "s1", fail=True)]
    scenario = Scenario(fleet, timeline)
    run = poisson(scenario, "least_request", rate=9, requests=5_000, retries=2, timeout=2.0)
    assert {"ok", "timeout"} < set(run.outcomes.tolist())
    assert run.in_flight_after == 0


def test_more_load_than_capacity_runs_to_its_end_and_says_so(poisson, fleet_of):
    run = poisson(fleet_of(2), "p2c", rate=3, requests=3_000)
    assert (run.outcomes == "ok").all()
    assert run.unstable
    assert run.instability[0] == "3 calls/s arrive and the servers can do 2/s"


def test_a_slow_server_that_gets_too_much_is_named(poisson, fleet_of):
    snail = SimServer("snail", service.exponential(10.0))
    run = poisson(Scenario([*fleet_of(3), snail]), "random", rate=2, requests=3_000)
    assert [reason.split()[0] for reason in run.instability] == ["snail"]


@pytest.mark.parametrize("seed", range(5))
def test_a_busy_but_stable_scenario_is_not_called_unstable(poisson, fleet_of, seed):
    assert not poisson(fleet_of(10), "p2c", rate=9, requests=5_000, seed=seed).unstable


def test_an_unknown_strategy_is_refused_before_anything_runs(at_times):
    with pytest.raises(StrategyError, match="p2d"):
        at_times([0], [one()], "p2d")
