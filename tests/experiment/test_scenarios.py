"""Ready-made scenarios do what their paragraphs say."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import mcpnb
from mcpnb.experiment.simulate import simulate
from mcpnb.simulation import Scenario, scenarios
from mcpnb.simulation.scenarios import PRESETS, preset

NAMES = (
    "uniform", "heterogeneous", "one_slow", "black_hole", "flapping", "brownout", "regional",
    "thundering_herd", "rolling_restart",
)  # fmt: skip


def p95(scenario, strategy, *, seed=1, between=(0.0, 60.0)):
    run = simulate(scenario, strategy, seed=seed)
    here = run.ok & (run.starts >= between[0]) & (run.starts < between[1])
    return float(np.quantile(run.latencies[here], 0.95))


def errors(scenario, strategy):
    return simulate(scenario, strategy, seed=1).figures()["errors"]


def test_there_are_these_and_each_completes_with_tab():
    assert tuple(PRESETS) == NAMES
    assert set(dir(mcpnb.scenarios)) == {*NAMES, "preset"}


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_shows_and_who_suffers(name):
    words = inspect.getdoc(PRESETS[name]) or ""
    assert "It shows" in words
    assert words.count("`") >= 4  # strategies by name


@pytest.mark.parametrize("name", NAMES)
def test_each_runs_with_the_load_it_is_made_for_and_is_stable_under_a_good_strategy(name):
    scenario = preset(name)
    assert isinstance(scenario, Scenario)
    assert scenario.title == name
    run = simulate(scenario, "least_request", seed=1)
    assert 1_500 < len(run.latencies) < 6_000
    assert not run.unstable
    assert run.in_flight_after == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("servers", [2, 25])
def test_each_comes_in_other_sizes(name, servers):
    parameters = {"flapping": {"flapping": 1}}.get(name, {})
    scenario = preset(name, servers=servers, **parameters)
    assert len(scenario.servers) in (servers, 3 * servers)
    assert list(scenario.names) == sorted(scenario.names) or name == "regional"


def test_an_unknown_name_lists_those_that_there_are():
    with pytest.raises(
        ValueError, match=r"no scenario 'one_slo'\. Did you mean one_slow\? There are: uniform,"
    ):
        preset("one_slo")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: scenarios.uniform(0), "servers must be at least 1"),
        (lambda: scenarios.heterogeneous(1), "servers must be at least 2"),
        (lambda: scenarios.uniform(load=0), "load must be"),
        (lambda: scenarios.flapping(3, flapping=3), "flapping must lie between 1 and 2"),
        (lambda: scenarios.brownout(share=0), "must lie between"),
        (lambda: scenarios.regional(regions=[("eu", 0.1)]), "regions must be at least 2"),
    ],
)
def test_impossible_parameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_uniform_punishes_those_that_do_not_look():
    scenario = scenarios.uniform()
    assert p95(scenario, "least_request") < p95(scenario, "p2c") < p95(scenario, "round_robin")
    assert p95(scenario, "round_robin") < p95(scenario, "random")


def test_heterogeneous_overloads_the_slowest_by_even_shares_until_weights_are_declared():
    bare, declared = scenarios.heterogeneous(), scenarios.heterogeneous(declared=True)
    assert simulate(bare, "round_robin", seed=1).unstable
    assert simulate(bare, "weighted_round_robin", seed=1).unstable
    assert not simulate(declared, "weighted_round_robin", seed=1).unstable
    assert not simulate(bare, "p2c", seed=1).unstable


def test_one_slow_hurts_the_blind_more_than_tenfold():
    scenario = scenarios.one_slow()
    during = {"between": (20.0, 40.0)}
    assert p95(scenario, "round_robin", **during) > 10 * p95(scenario, "least_request", **during)


def test_a_black_hole_draws_calls_to_where_it_is_always_idle():
    scenario = scenarios.black_hole()
    assert errors(scenario, "least_request") > errors(scenario, "p2c") > errors(scenario, "random")
    assert errors(scenario, "peak_ewma") < errors(scenario, "random") / 5


def test_a_black_hole_is_closed_by_a_breaker():
    guarded = scenarios.black_hole(resilience=mcpnb.Resilience(breaker=True))
    assert errors(guarded, "least_request") < errors(scenarios.black_hole(), "least_request") / 5


def test_flapping_loses_calls_until_they_are_retried():
    assert errors(scenarios.flapping(), "random") > 0
    assert errors(scenarios.flapping(resilience=mcpnb.Resilience(retry=True)), "random") == 0


def test_a_brownout_is_followed_by_those_that_see_all_lines():
    scenario = scenarios.brownout()
    assert p95(scenario, "least_request") < p95(scenario, "p2c") < p95(scenario, "random") / 2


def test_regional_calls_stay_near_and_spill_over_while_home_is_small():
    scenario = scenarios.regional()
    run = simulate(scenario, "nearest", seed=1)
    home = run.servers < 4
    away = (run.starts > 20) & (run.starts < 40)
    assert home[~away].all()
    assert 0.2 < home[away].mean() < 0.6
    assert np.median(run.latencies) < 0.7 * np.median(simulate(scenario, "p2c", seed=1).latencies)


def test_a_herd_tramples_those_that_go_by_old_latencies():
    scenario = scenarios.thundering_herd()
    assert p95(scenario, "latency") > 3 * p95(scenario, "least_request")


def test_a_rolling_restart_loses_nothing_and_is_felt_by_the_blind():
    scenario = scenarios.rolling_restart()
    run = simulate(scenario, "least_request", seed=1)
    assert (run.outcomes == "ok").all()
    assert p95(scenario, "random", between=(20.0, 40.0)) > 2 * p95(scenario, "p2c", between=(20.0, 40.0))


def test_old_latencies_are_worse_than_no_look_where_all_are_equal():
    scenario = scenarios.uniform()
    blind = p95(scenario, "random")
    assert p95(scenario, "weighted") > blind


def test_latencies_that_know_their_load_are_as_good_as_two_looks_where_all_are_equal():
    scenario = scenarios.uniform()
    assert p95(scenario, "prequal") < 1.2 * p95(scenario, "p2c")


def test_flapping_costs_least_where_the_last_failure_is_remembered():
    lost = {
        name: sum(simulate(scenarios.flapping(), name, seed=seed).figures()["errors"] for seed in range(2))
        for name in ("peak_ewma", "least_request", "random", "latency")
    }
    assert lost["peak_ewma"] < lost["least_request"] < lost["random"] < lost["latency"] / 10


def test_home_is_crowded_while_it_is_small():
    scenario = scenarios.regional()
    during, before = (20.0, 40.0), (0.0, 20.0)
    assert p95(scenario, "nearest", between=during) > 1.8 * p95(scenario, "nearest", between=before)


def test_keyed_strategies_share_one_key_unless_there_are_sessions():
    assert max(simulate(scenarios.uniform(), "rendezvous", seed=1).shares) == 1
    sessions = scenarios.uniform(resilience=mcpnb.Resilience(affinity=50))
    assert max(simulate(sessions, "rendezvous", seed=1).shares) < 0.3
