"""What the timeline does to a server: exact times, nothing left to chance."""

from __future__ import annotations

import math

import pytest

from mcpnb.simulation import At, Scenario, SimServer, service

ONE = service.deterministic(1.0)


def one(**properties):
    return SimServer("a", ONE, **properties)


def seen(run):
    return list(zip([round(x, 9) for x in run.latencies.tolist()], run.outcomes.tolist(), strict=True))


@pytest.mark.parametrize("discipline", ["fcfs", "ps"])
def test_slow_stretches_calls_that_start_later_until_the_usual_pace_is_back(at_times, discipline):
    scenario = Scenario([one(discipline=discipline)], [At(0.5, "a", slow=3), At(5, "a", slow=1)])
    assert at_times([0, 1, 6], scenario).latencies.tolist() == [1.0, 3.0, 1.0]


def test_slow_and_another_service_go_together(at_times):
    changed = At(0, "a", service=service.deterministic(2.0), slow=2)
    assert at_times([1], Scenario([one()], [changed])).latencies.tolist() == [4.0]


@pytest.mark.parametrize("discipline", ["fcfs", "ps"])
def test_a_hanging_server_answers_nothing_new_and_what_it_had(at_times, discipline):
    timeline = [At(0.5, "a", hang=True), At(3, "a", hang=False)]
    run = at_times([0, 1, 4], Scenario([one(discipline=discipline)], timeline), timeout=1.5)
    assert seen(run) == [(1.0, "ok"), (1.5, "timeout"), (1.0, "ok")]


def test_a_server_that_may_hang_needs_calls_with_an_end(at_times):
    with pytest.raises(ValueError, match="give the workload a timeout"):
        at_times([0], Scenario([one()], [At(1, "a", hang=True)]))


@pytest.mark.parametrize("discipline", ["fcfs", "ps"])
def test_a_crash_ends_what_is_there_and_lets_nobody_in(at_times, discipline):
    timeline = [At(0.5, "a", crash=True), At(2, "a", join=True)]
    run = at_times([0, 0.25, 1, 3], Scenario([one(discipline=discipline)], timeline))
    assert seen(run) == [(0.5, "disconnected"), (0.25, "disconnected"), (0.0, "rejected"), (1.0, "ok")]
    assert run.in_flight_after == 0


def test_a_call_on_its_way_to_a_crashed_server_learns_of_it_there(at_times):
    run = at_times([0], Scenario([one(rtt=1.0)], [At(0.25, "a", crash=True)]))
    assert seen(run) == [(1.0, "disconnected")]


def test_after_a_crash_a_retry_finds_the_other_server(at_times):
    fleet = [one(), SimServer("b", ONE)]
    run = at_times([0, 0], Scenario(fleet, [At(0.5, "a", crash=True)]), retries=1)
    assert sorted(seen(run)) == [(1.0, "ok"), (2.0, "ok")]


def test_a_server_that_comes_back_takes_a_call_that_waits(at_times):
    fleet = [one(max_in_flight=1), SimServer("b", ONE, max_in_flight=1)]
    scenario = Scenario(fleet, [At(0, "b", crash=True), At(0.5, "b", join=True)])
    run = at_times([0.1, 0.2], scenario)
    assert seen(run) == [(1.0, "ok"), (1.3, "ok")]
    assert run.servers.tolist() == [0, 1]


@pytest.mark.parametrize(
    "harm", [{"slow": 5.0}, {"fail": True}, {"hang": True}, {"crash": True}, {"workers": 2, "rtt": 3.0}]
)
def test_recovery_makes_everything_as_it_was_at_the_start(at_times, harm):
    scenario = Scenario([one()], [At(0, "a", **harm), At(1, "a", recover=True)])
    assert seen(at_times([2, 2], scenario, timeout=9.0)) == [(1.0, "ok"), (2.0, "ok")]


def test_recovery_with_a_change_comes_back_with_that_change(at_times):
    scenario = Scenario([one()], [At(0, "a", fail=True), At(1, "a", recover=True, slow=2)])
    assert at_times([2], scenario).latencies.tolist() == [2.0]


def test_a_latency_in_ms_is_another_way_to_say_slow(at_times):
    timeline = [At(0.5, "a", latency_ms=3000), At(5, "a", slow=1), At(9, "a", latency_ms=500)]
    run = at_times([0, 1, 6, 10], Scenario([one(workers=9)], timeline))
    assert run.latencies.tolist() == [1.0, 3.0, 1.0, 0.5]


def test_a_latency_in_ms_needs_a_mean_that_can_be_stretched():
    endless = SimServer("a", service.pareto(0.9, 1.0))
    for server in (endless, SimServer("a", service.deterministic(0))):
        with pytest.raises(ValueError, match="a: latency_ms needs a service time whose mean"):
            Scenario([server], [At(1, "a", latency_ms=5)])


def test_new_workers_go_to_work_at_once(at_times):
    scenario = Scenario([one()], [At(0.5, "a", workers=3)])
    assert at_times([0, 0, 0], scenario).latencies.tolist() == [1.0, 1.5, 1.5]


def test_workers_that_are_taken_away_finish_first(at_times):
    scenario = Scenario([one(workers=2)], [At(0.5, "a", workers=1)])
    assert at_times([0, 0, 0, 0], scenario).latencies.tolist() == [1.0, 1.0, 2.0, 3.0]


def test_when_sharing_more_workers_are_more_speed_from_then_on(at_times):
    # Two share one worker until 0.5 and have 0.75 left each; then each has a worker of its own.
    scenario = Scenario([one(discipline="ps")], [At(0.5, "a", workers=2)])
    assert at_times([0, 0], scenario).latencies.tolist() == pytest.approx([1.25, 1.25])


def test_more_workers_make_more_places(at_times):
    scenario = Scenario([one(max_queue=0)], [At(1, "a", workers=2)])
    run = at_times([0, 0, 2, 2, 2], scenario)
    assert run.outcomes.tolist() == ["ok", "refused", "ok", "ok", "refused"]


def test_a_wider_bulkhead_lets_waiting_calls_in(at_times):
    scenario = Scenario([one(workers=2, max_in_flight=1)], [At(0.5, "a", max_in_flight=2)])
    run = at_times([0, 0], scenario)
    assert run.latencies.tolist() == [1.0, 1.5]
    assert run.queued.tolist() == [0.0, 0.5]


def test_weights_can_be_changed(at_times):
    fleet = [one(workers=9), SimServer("b", ONE, workers=9)]
    times = [0.01 * i for i in range(40)] + [10 + 0.01 * i for i in range(40)]
    run = at_times(times, Scenario(fleet, [At(5, "a", weight=3)]), "weighted_round_robin")
    assert (run.servers[:40] == 0).sum() == 20
    assert (run.servers[40:] == 0).sum() == 30


def test_a_server_that_never_stops_works_on_for_nobody(at_times):
    deaf = one(stops=False)
    run = at_times([0, 2], Scenario([deaf], [At(0, "a", slow=4), At(1, "a", slow=1)]), timeout=2.5)
    assert seen(run) == [(2.5, "timeout"), (2.5, "timeout")]
    stops = at_times([0, 2], Scenario([one()], [At(0, "a", slow=4), At(1, "a", slow=1)]), timeout=2.5)
    assert seen(stops) == [(2.5, "timeout"), (1.5, "ok")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: At(-1, "a", fail=True), "t must be"),
        (lambda: At(1, "a"), "changes nothing"),
        (lambda: At(1, "a", leave=True, join=True), "at the same time"),
        (lambda: At(1, "a", crash=True, recover=True), "at the same time"),
        (lambda: At(1, "a", leave=True, crash=True), "at the same time"),
        (lambda: At(1, "a", error_rate=2), "error_rate must lie"),
        (lambda: At(1, "a", slow=0), "slow must be"),
        (lambda: At(1, "a", slow=math.inf), "slow must be"),
        (lambda: At(1, "a", latency_ms=0), "latency_ms must be"),
        (lambda: At(1, "a", slow=2, latency_ms=5), "give one"),
        (lambda: At(1, "a", workers=0), "workers must be"),
        (lambda: At(1, "a", weight=-1), "weight must be"),
        (lambda: At(1, "a", max_in_flight=0), "max_in_flight must be"),
    ],
)
def test_an_impossible_change_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_setting_a_number_to_zero_or_healing_is_a_change():
    assert At(1, "a", error_rate=0.0).error_rate == 0.0
    assert At(1, "a", fail=False).fail is False


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (At(1, "a", crash=True), "crash"),
        (At(1, "a", recover=True, slow=2), "recover, 2\N{MULTIPLICATION SIGN} as slow"),
        (At(1, "a", slow=1), "usual pace"),
        (At(1, "a", latency_ms=500), "500 ms per call"),
        (At(1, "a", fail=True, hang=False), "fail, no hang"),
        (At(1, "a", service=ONE, error_rate=0.5), "service of 1 s, error_rate 0.5"),
    ],
)
def test_a_change_says_in_words_what_it_is(at, words):
    assert at.words == words
