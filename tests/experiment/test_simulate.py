from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mcpnb.experiment import Workload
from mcpnb.experiment.simulate import CALL_COLUMNS, simulate
from mcpnb.simulation import Scenario, SimServer, service


def scenario(**properties):
    return Scenario([SimServer(f"s{i}", service.exponential(0.1), **properties) for i in range(3)])


@pytest.fixture(scope="module")
def run():
    workload = Workload(tool="echo", rate=15, requests=2_000, warmup=200)
    return simulate(scenario(error_rate=0.1), "p2c", workload, seed=4, retries=1)


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
    with pytest.raises(ValueError, match="retries must be"):
        simulate(scenario(), "p2c", workload, retries=-1)
    with pytest.raises(TypeError, match="hedge"):
        simulate(scenario(), "p2c", workload, hedge=0.1)
