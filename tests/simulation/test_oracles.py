"""Exact and mean-field results of queueing theory that the simulator has to reproduce.

Values and tolerances are those of the oracles; seeds are fixed, so a test gives the same figure each time.
The number of requests is what is affordable where the tolerance allows it.

Left out is what nothing here does: copies that are cancelled when one *starts*, servers that report their
utilisation, limits that adapt themselves, breakers that count the share of good probes, clients that throttle
themselves by what was accepted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.routing.node import Node
from mcpnb.routing.strategies import Strategy
from mcpnb.simulation import At, Scenario, SimServer, service

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
    run = poisson(fleet_of(10), "random", rate=9, requests=500_000, warmup=40_000, seed=1)
    assert mean(run) == pytest.approx(10.0, rel=0.03)


@pytest.mark.parametrize(("count", "value"), [(2, 7.588283628688112), (10, 5.660276390105455)])
def test_round_robin_turns_arrivals_into_erlang(poisson, fleet_of, count, value):
    run = poisson(fleet_of(count), "round_robin", rate=0.9 * count, requests=500_000, warmup=20_000, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.02)


def test_round_robin_over_endlessly_many_servers_is_dm1(poisson, fleet_of):
    run = poisson(fleet_of(1), "round_robin", rate=0.9, requests=300_000, warmup=5_000, arrivals="constant")
    assert mean(run) == pytest.approx(5.17865942216086, rel=0.02)


def one_line(poisson, fleet_of, count, load, requests):
    """A line for all, kept by the server; the router would keep the same one, see the tests of protection."""
    warmup = 100 * count
    run = poisson(
        fleet_of(1, workers=count), "random", rate=load * count, requests=requests, warmup=warmup, seed=1
    )
    ends = np.sort(run.all_starts + run.all_latencies)
    present = np.arange(requests) - np.searchsorted(ends, run.all_starts)
    return mean(run), float((present[warmup:] >= count).mean())


def test_one_line_for_ten_servers_is_mm10(poisson, fleet_of):
    response, waits = one_line(poisson, fleet_of, 10, 0.9, 1_000_000)
    assert response == pytest.approx(1.6687315241076972, rel=0.015)
    assert waits == pytest.approx(0.6687315241076972, rel=0.03)


def test_one_line_for_a_hundred_servers_is_mm100(poisson, fleet_of):
    _, waits = one_line(poisson, fleet_of, 100, 0.95, 500_000)
    assert waits == pytest.approx(0.5064568539130203, rel=0.03)


def test_one_line_for_a_thousand_servers_is_mm1000(poisson, fleet_of):
    # The noise of 1 million requests is 1.2 % in the response and 4 % in the share that waits: the means over
    # the seeds 1 to 6 are 1.071 and 0.671.
    response, waits = one_line(poisson, fleet_of, 1000, 0.99, 1_000_000)
    assert response == pytest.approx(1.0659080421880853, rel=0.015)
    assert waits == pytest.approx(0.6590804218808529, rel=0.03)


def test_deterministic_service_follows_pollaczek_and_khinchine(poisson, fleet_of):
    run = poisson(fleet_of(1, service.deterministic(1.0)), "random", rate=0.8, requests=250_000, warmup=5_000)
    assert mean(run) == pytest.approx(3.0, rel=0.015)


def test_lognormal_service_follows_pollaczek_and_khinchine(poisson, fleet_of):
    fleet = fleet_of(10, service.lognormal(1.0, 2.0))
    run = poisson(fleet, "random", rate=7, requests=600_000, warmup=20_000, seed=1)
    assert mean(run) == pytest.approx(6.833333333333334, rel=0.06)


def test_least_request_of_two_at_half_load_is_the_shortest_queue(poisson, fleet_of):
    run = poisson(fleet_of(2), "least_request", rate=1.0, requests=150_000, warmup=2_000, seed=1)
    assert mean(run) == pytest.approx(1.4263207511672396, rel=0.015)


@pytest.mark.parametrize(
    ("load", "value", "requests"), [(0.8, 2.955736617637531, 500_000), (0.9, 5.474912821211215, 600_000)]
)
def test_least_request_of_two_is_the_shortest_queue(poisson, fleet_of, load, value, requests):
    run = poisson(fleet_of(2), "least_request", rate=2 * load, requests=requests, warmup=10_000, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.015)


def test_two_choices_of_two_are_the_shortest_queue_too(poisson, fleet_of):
    """But for ties they decide alike, so the noise of the same arrivals and services is the same."""
    plan = {"rate": 1.8, "requests": 60_000, "warmup": 2_000, "seed": 1}
    scan, two = (poisson(fleet_of(2), strategy, **plan) for strategy in ("least_request", "p2c"))
    assert mean(two) == pytest.approx(mean(scan), rel=0.005)


def test_two_choices_at_half_load_reach_the_mean_field(poisson, fleet_of):
    run = poisson(fleet_of(500), "p2c", rate=250, requests=150_000, warmup=50_000, seed=1)
    assert mean(run) == pytest.approx(1.2656860360875726, rel=0.01)


@pytest.mark.parametrize(
    ("load", "value"), [(0.7, 1.614453770317711), (0.8, 1.9473633859480877), (0.9, 2.614057377323876)]
)
def test_two_choices_reach_the_mean_field(poisson, fleet_of, load, value):
    n = 1000
    warmup = round(200 * load * n)
    run = poisson(fleet_of(n), "p2c", rate=load * n, requests=warmup + 300_000, warmup=warmup, seed=1)
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
    run = poisson(fleet_of(1, max_queue=9), "random", rate=0.9, requests=500_000, warmup=1_000, seed=1)
    assert (run.outcomes == "refused").mean() == pytest.approx(0.050813731327412404, rel=0.03)
    assert not run.unstable


def test_a_bulkhead_of_four_and_a_line_of_eight_lose_what_mmck_loses(poisson, fleet_of):
    fleet = fleet_of(1, workers=4, max_in_flight=4, max_queue=8)
    run = poisson(fleet, "random", rate=3.6, requests=250_000, warmup=1_000, seed=1)
    assert (run.outcomes == "rejected").mean() == pytest.approx(0.04880511309758024, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "requests"),
    [
        (EXPONENTIAL, 80_000),
        (service.deterministic(1.0), 80_000),
        (service.lognormal(1.0, 2.0), 300_000),
    ],
    ids=["exponential", "deterministic", "lognormal"],
)
def test_without_a_line_the_loss_is_erlang_b_whatever_the_service(poisson, fleet_of, shape, requests):
    fleet = fleet_of(1, shape, workers=10, max_in_flight=10, max_queue=0)
    run = poisson(fleet, "random", rate=8, requests=requests, warmup=500, seed=1)
    assert (run.outcomes == "rejected").mean() == pytest.approx(0.1216610642529515, rel=0.03)


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


@pytest.mark.parametrize(
    ("rate", "policy", "recovers"),
    [
        (0.3, RetryPolicy(2, budgeted=False), True),
        (0.6, RetryPolicy(2, budgeted=False), False),
        (0.6, RetryPolicy(2, budget_percent=20, budget_per_second=0), True),
    ],
    ids=["three attempts fit", "three attempts do not", "a budget makes them fit"],
)
def test_retries_of_calls_that_timed_out_keep_an_overload_alive_above_a_third(
    poisson, fleet_of, rate, policy, recovers
):
    """Oracle retry_metastable: the server works on what its gateway gave up; a slow spell sets it off."""
    fleet = fleet_of(1, timeout=8.0, stops=False)
    spell = [At(200.0, "s0", slow=50.0), At(300.0, "s0", recover=True)]
    scenario = Scenario(fleet, timeline=spell, resilience=Resilience(retry=policy))
    run = poisson(scenario, "random", rate=rate, requests=round(rate * 6_000), seed=1)
    late = run.outcomes[run.starts > 3_000] == "ok"
    # Even in peace a load of 0.72 makes some calls wait longer than their gateway does.
    assert late.mean() > 0.85 if recovers else late.mean() < 0.01


def test_a_retry_goes_to_the_other_server_and_always_succeeds(poisson, fleet_of):
    dead = SimServer("dead", EXPONENTIAL, error_rate=1.0)
    run = poisson(Scenario([dead, *fleet_of(1)]), "random", rate=0.5, requests=2_000, retries=1)
    assert (run.outcomes == "ok").all()


def test_durations_are_exact(at_times):
    run = at_times([0.0, 10.0], [SimServer("s", service.deterministic(0.25))])
    assert run.latencies.tolist() == pytest.approx([0.25, 0.25], abs=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_sharing_is_insensitive_to_the_shape_of_the_service(poisson, fleet_of, shape):
    """M/G/1-PS has the mean response of M/M/1, whatever the distribution. Not among the oracles."""
    fleet = fleet_of(1, shape, discipline="ps")
    run = poisson(fleet, "random", rate=0.5, requests=150_000, warmup=2_000, seed=1)
    assert mean(run) == pytest.approx(2.0, rel=0.02)


def hedged(fleet, delay):
    return Scenario(fleet, resilience=Resilience(hedge=delay))


@pytest.mark.parametrize(
    ("count", "load", "requests", "value"),
    [(10, 0.7, 150_000, 1.101626621353148), (2, 0.5, 250_000, 1.0)],
)
def test_two_copies_until_one_completes_are_redundancy_d(poisson, fleet_of, count, load, requests, value):
    run = poisson(
        hedged(fleet_of(count), 0.0), "random", rate=count * load, requests=requests, warmup=3_000, seed=1
    )
    assert (run.hedges == 1).all()
    assert mean(run) == pytest.approx(value, rel=0.015)


@pytest.mark.parametrize(
    ("delay", "value", "extra"),
    [(2.995732273553991, 0.975, 0.05), (0.6931471805599453, 0.75, 0.5)],
    ids=["p95", "p50"],
)
def test_hedging_without_queues_cuts_the_tail_at_its_delay(poisson, fleet_of, delay, value, extra):
    fleet = fleet_of(2, workers=10**6)
    run = poisson(hedged(fleet, delay), "random", rate=10, requests=250_000, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.005)
    assert run.figures()["extra_load"] == pytest.approx(extra, abs=0.002)


def duplicated(fleet_of):
    """Two copies of every call, and servers that finish what they began."""
    return hedged(fleet_of(100, stops=False), 0.0)


def test_two_copies_without_cancellation_are_the_better_of_two_mm1(poisson, fleet_of):
    run = poisson(duplicated(fleet_of), "random", rate=30, requests=150_000, warmup=3_000, seed=1)
    assert run.latencies.mean() == pytest.approx(1.25, rel=0.02)


@pytest.mark.parametrize(("load", "helps"), [(1 / 3 - 0.02, True), (1 / 3 + 0.02, False)])
def test_duplication_helps_below_a_third_of_the_load_and_not_above(poisson, fleet_of, load, helps):
    plan = {"rate": 100 * load, "requests": 60_000, "warmup": 3_000, "seed": 1}
    once = poisson(fleet_of(100), "random", **plan)
    twice = poisson(duplicated(fleet_of), "random", **plan)
    assert (twice.latencies.mean() < once.latencies.mean()) == helps


class FirstOfTheIdlest(Strategy):
    """What not to do: a tie goes to the first in the list."""

    name = "first_tie_for_test"

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        return min(eligible, key=lambda node: node.in_flight)


def test_ties_for_the_first_in_the_list_feed_a_black_hole_everything(poisson, fleet_of):
    broken = SimServer("broken", EXPONENTIAL, error_rate=1.0)
    run = poisson(Scenario([broken, *fleet_of(9)]), FirstOfTheIdlest, rate=8.1, requests=2_000)
    assert (run.outcomes != "ok").all()


class Stale(Strategy):
    """Looks at a board of calls in flight that is written anew once a second; of so many at random."""

    name = "stale_for_test"
    looks = 2

    def __init__(self) -> None:
        self.written, self.board = -1.0, {}

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        if now // 1.0 > self.written:
            self.written, self.board = now // 1.0, {node: node.in_flight for node in eligible}
        seen = eligible if self.looks == 0 else rng.sample(eligible, self.looks)
        least = min(self.board[node] for node in seen)
        return rng.choice([node for node in seen if self.board[node] == least])


class StaleLeast(Stale):
    name = "stale_least_for_test"
    looks = 0


@pytest.mark.parametrize(("strategy", "value"), [(Stale, 2.977), (StaleLeast, 4.017)])
def test_old_news_makes_the_least_loaded_a_herd(poisson, fleet_of, strategy, value):
    """Mitzenmacher's periodic updates: with a board one second old, two looks beat looking everywhere."""
    run = poisson(fleet_of(100), strategy, rate=90, requests=150_000, warmup=20_000, seed=1)
    assert mean(run) == pytest.approx(value, rel=0.08)


class TwoLooks(Strategy):
    """Two choices that may be the same server twice, which is what `p2c` does not do."""

    name = "two_looks_for_test"

    def pick(self, eligible: Sequence[Node], now: float, rng: random.Random) -> Node:
        return min(rng.choices(eligible, k=2), key=lambda node: node.in_flight)


@pytest.mark.parametrize(
    ("count", "value", "tolerance", "requests"),
    [
        (2, 5.864684872173241, 0.02, 500_000),
        # The oracle is of the jobs at a server, which by Little's law are the load times the response.
        (10, 2.7512943383090445 / 0.9, 0.035, 200_000),
        (100, 2.6583510105147155, 0.01, 500_000),
    ],
)
def test_two_choices_that_may_be_one_are_worse(poisson, fleet_of, count, value, tolerance, requests):
    plan = {"rate": 0.9 * count, "requests": requests, "warmup": 30_000, "seed": 1}
    assert mean(poisson(fleet_of(count), TwoLooks, **plan)) == pytest.approx(value, rel=tolerance)


def test_who_waits_for_the_slowest_of_a_hundred_waits_for_their_harmonic_number(at_times, fleet_of):
    batches = 3_000
    run = at_times(np.repeat(np.arange(batches) * 1e3, 100), fleet_of(100), "round_robin", seed=1)
    slowest = run.latencies.reshape(batches, 100).max(axis=1)
    assert slowest.mean() == pytest.approx(5.187377517639621, rel=0.01)
