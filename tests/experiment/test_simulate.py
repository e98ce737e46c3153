from __future__ import annotations

import gc
import pickle

import numpy as np
import pandas as pd
import pytest

from mcpnb.experiment import Workload
from mcpnb.experiment.simulate import CALL_COLUMNS, simulate
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Scenario, SimServer, scenarios, service


def scenario(*, retries=None, **properties):
    servers = [SimServer(f"s{i}", service.exponential(0.1), **properties) for i in range(3)]
    return Scenario(servers, resilience=Resilience(retry=retries))


@pytest.fixture(scope="module")
def run():
    workload = Workload(tool="echo", rate=15, requests=2_000, warmup=200)
    return simulate(scenario(error_rate=0.1, retries=1), "p2c", workload, seed=4)


def test_the_warm_up_is_left_out_of_the_arrays_and_kept_in_the_calls(run):
    assert len(run.latencies) == len(run.outcomes) == len(run.servers) == 1_800
    assert len(run.calls) == 2_000
    assert run.calls["warmup"].sum() == 200


def test_the_summary_is_a_series_of_the_counted_calls(run):
    summary = run.summary
    good = run.latencies[run.outcomes == "ok"]
    assert isinstance(summary, pd.Series)
    assert summary.name == summary["strategy"] == "p2c"
    assert summary["requests"] == 1_800
    assert summary["errors"] == (run.outcomes != "ok").sum() > 0
    assert summary["mean_ms"] == pytest.approx(good.mean() * 1e3)
    assert summary["p95_ms"] == pytest.approx(np.quantile(good, 0.95) * 1e3)
    assert summary["retries"] == (run.attempts > 1).sum() > 0
    assert summary["goodput"] == pytest.approx(15, rel=0.1)
    assert not summary["unstable"]


def test_calls_are_a_row_each_with_the_right_dtypes(run):
    calls = run.calls
    assert tuple(calls.columns) == CALL_COLUMNS
    assert list(calls["server"].cat.categories) == ["s0", "s1", "s2"]
    assert calls["outcome"].dtype == "category"
    assert calls["latency_ms"].to_numpy()[200:] == pytest.approx(run.latencies * 1e3)
    assert calls["intended_at"].is_monotonic_increasing


def test_the_timeline_adds_up_to_the_counted_calls(run):
    timeline = run.timeline
    assert list(timeline.columns) == ["at_s", "calls", "errors", "p50_ms", "p95_ms", "goodput"]
    assert timeline["calls"].sum() == 1_800
    assert timeline["errors"].sum() == run.summary["errors"]
    assert timeline["at_s"].is_monotonic_increasing


@pytest.mark.parametrize("arrivals", ["poisson", "constant", "bursty"])
def test_open_arrivals_are_those_of_the_workload(arrivals):
    workload = Workload(tool={"a": 1, "b": 2}, arrivals=arrivals, rate=10, duration=20)
    run = simulate(scenario(), "round_robin", workload, 3)
    assert run.calls["intended_at"].to_numpy() == pytest.approx(workload.times(seed=3))


def test_a_closed_workload_keeps_its_callers_busy():
    workload = Workload(tool="echo", arrivals="closed", concurrency=5, requests=500)
    run = simulate(scenario(), "least_request", workload)
    assert len(run.latencies) == 500
    assert (run.calls["intended_at"] == 0).sum() == 5


def test_a_run_without_an_answer_has_frames_all_the_same():
    run = simulate(scenario(error_rate=1.0), "random", Workload(tool="echo", rate=10, requests=50))
    assert run.summary["errors"] == 50
    assert np.isnan(run.summary["p99_ms"])
    assert run.timeline["goodput"].sum() == 0


def test_a_run_without_a_call_has_frames_all_the_same():
    run = simulate(scenario(), "random", Workload(tool="echo", arrivals="constant", rate=1, duration=0.5))
    assert run.summary["requests"] == 0
    assert run.calls.empty
    assert run.timeline.empty


def test_the_seed_decides_everything():
    workload = Workload(tool="echo", rate=15, requests=500)
    first, again, other = (simulate(scenario(), "p2c", workload, seed=seed) for seed in (1, 1, 2))
    assert first.decisions_digest == again.decisions_digest != other.decisions_digest
    pd.testing.assert_frame_equal(first.calls, again.calls)


def test_two_strategies_see_the_same_arrivals():
    workload = Workload(tool="echo", rate=15, requests=500)
    one, two = (simulate(scenario(), strategy, workload, seed=1) for strategy in ("p2c", "random"))
    assert (one.starts == two.starts).all()


def test_wrong_arguments_say_what_is_wrong():
    workload = Workload(tool="echo", rate=15, requests=5)
    with pytest.raises(TypeError, match="scenario must be"):
        simulate([], "p2c", workload)
    with pytest.raises(TypeError, match="workload must be"):
        simulate(scenario(), "p2c", {"rate": 3})
    with pytest.raises(TypeError, match="workload must be"):
        simulate(scenario(), "p2c")
    with pytest.raises(ValueError, match="seed must be"):
        simulate(scenario(), "p2c", workload, seed=-1)
    with pytest.raises(TypeError, match="hedge"):
        simulate(scenario(), "p2c", workload, hedge=0.1)


def test_no_tool_has_to_be_named():
    assert simulate(scenario(), "p2c", Workload(rate=15, requests=10)).summary["requests"] == 10


def test_priorities_are_drawn_by_the_seed_and_high_ones_wait_less():
    crowded = scenario(max_in_flight=1)
    workload = Workload(rate=28, requests=2_000, priorities={"high": 1, "low": 1})
    run = simulate(crowded, "random", workload, seed=1)
    high = np.array([call.priority == "high" for call in workload.calls(seed=1)])
    assert 0.45 < high.mean() < 0.55
    assert run.queued[high].mean() < run.queued[~high].mean() / 2
    assert run.summary["queued"] == (run.queued > 0).sum()


def test_an_overloaded_closed_loop_is_not_unstable():
    workload = Workload(arrivals="closed", concurrency=100, requests=500)
    assert not simulate(scenario(), "random", workload).summary["unstable"]


def test_what_the_timeline_leaves_decides_whether_a_scenario_is_stable():
    servers = [SimServer(f"s{i}", service.exponential(0.1)) for i in range(3)]
    load = Workload(rate=25, requests=200)
    late = Scenario(servers, [At(1, "s2", join=True)])
    gone = Scenario(servers, [At(1, "s2", leave=True)])
    slow = Scenario(servers, [At(1, "s2", slow=10.0)])
    healed = Scenario(servers, [At(1, "s2", slow=10.0), At(2, "s2", recover=True)])
    judged = [simulate(each, "p2c", load).instability for each in (late, gone, slow, healed)]
    assert [len(reasons) > 0 for reasons in judged] == [False, True, True, False]
    assert judged[1][0] == "25 calls/s arrive and the servers can do 20/s"


def test_the_garbage_collector_is_left_as_it_was():
    before = gc.get_threshold()
    simulate(scenario(), "p2c", Workload(rate=15, requests=10))
    assert gc.get_threshold() == before


def test_a_run_travels_between_processes(run):
    again = pickle.loads(pickle.dumps(run))
    assert again.decisions_digest == run.decisions_digest
    pd.testing.assert_frame_equal(again.calls, run.calls)


def test_a_scenario_travels_too():
    scene = scenarios.regional(resilience=Resilience.live(hedge=0.2, outlier=True))
    assert pickle.loads(pickle.dumps(scene)) == scene


def test_a_run_says_in_a_line_what_it_was_and_whether_it_is_stable():
    servers = [SimServer("only", service.exponential(1.0))]
    load = Workload("t", rate=2.0, requests=300)
    text = repr(simulate(Scenario(servers), "random", load, seed=1))
    assert text.startswith("<Run random over 1 servers: 300 calls, 0 failed, p50 ")
    assert "unstable: 2 calls/s arrive and the servers can do 1/s" in text
