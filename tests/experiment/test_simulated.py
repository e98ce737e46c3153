"""Comparisons on a scenario: paired by seed, and the same thing to look at as a live one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from mcpnb.errors import StrategyError
from mcpnb.experiment import Comparison, Workload, compare
from mcpnb.experiment.simulate import simulate
from mcpnb.simulation import At, Scenario, SimServer, scenarios, service

SCENARIO = Scenario([SimServer(f"s{i}", service.exponential(0.1)) for i in range(4)])
WORKLOAD = Workload(rate=30, requests=1_200, warmup=60)


@pytest.fixture(scope="module")
def found():
    return compare(SCENARIO, ["random", "p2c"], workload=WORKLOAD, seed=3, progress=False)


def test_the_figures_are_those_of_single_runs_with_the_same_seed(found):
    assert isinstance(found, Comparison)
    for strategy in ("random", "p2c"):
        summary, run = found.summary.loc[strategy], simulate(SCENARIO, strategy, WORKLOAD, 3)
        assert summary["requests"] == 1_140
        assert summary["p95_ms"] == pytest.approx(run.summary["p95_ms"])
        assert summary["goodput"] == pytest.approx(run.summary["goodput"], rel=0.05)


def test_all_strategies_see_the_same_arrivals(found):
    one, two = (found.calls[found.calls["strategy"] == name] for name in ("random", "p2c"))
    assert one["intended_at"].tolist() == two["intended_at"].tolist()
    assert one["block"].tolist() == two["block"].tolist()


def test_the_frames_are_those_of_a_live_comparison(found, fleet):
    live = compare(
        fleet(("a", 0.02), ("b", 0.03)), ["first", "last"],
        workload=Workload(tool="echo", rate=50.0, requests=100), progress=False,
    )  # fmt: skip
    pd.testing.assert_index_equal(found.calls.columns, live.calls.columns)
    assert [str(kind) for kind in found.calls.dtypes] == [str(kind) for kind in live.calls.dtypes]
    pd.testing.assert_index_equal(found.blocks.columns, live.blocks.columns)
    pd.testing.assert_index_equal(found.summary.columns, live.summary.columns)
    assert found.timeline["calls"].sum() == 2 * 1_140


def test_one_run_is_cut_into_twelve_batches_and_says_so(found):
    assert found.block_count == 12
    assert "one of 12 batches of consecutive calls" in " ".join(found.notes)
    assert found.paired["conclusive"].any()
    assert "simulated" in found.text()


def test_six_repeats_and_more_are_the_blocks_themselves():
    found = compare(
        SCENARIO, ["random", "p2c"], workload=Workload(rate=30, requests=100), repeats=6, progress=False
    )
    assert found.block_count == 6
    assert "one of 6 independent repeats" in " ".join(found.notes)
    ends = found.calls.groupby(["repeat", "strategy"], observed=True)["intended_at"].max().unstack()
    assert ends["random"].tolist() == ends["p2c"].tolist()
    assert ends["random"].nunique() == 6


def test_the_number_of_batches_can_be_chosen():
    found = compare(SCENARIO, ["p2c"], workload=WORKLOAD, blocks=4, repeats=2, progress=False)
    assert found.block_count == 8


def test_a_scenario_brings_its_own_workload_and_marks_what_happens():
    found = compare(scenarios.one_slow(), ["p2c"], progress=False)
    assert found.workload.rate == 70
    assert [(mark.label, mark.begin) for mark in found.marks] == [
        ("s0 10\N{MULTIPLICATION SIGN} as slow", 20.0), ("s0 usual pace", 40.0),
    ]  # fmt: skip
    assert found.kind == "simulated one_slow"


def test_many_changes_are_marked_as_one_stretch():
    (mark,) = compare(scenarios.rolling_restart(), ["p2c"], progress=False).marks
    assert (mark.label, mark.begin, mark.end) == ("30 changes", 20.0, 40.0)


def test_changes_at_one_time_are_one_mark():
    timeline = [At(5, "s0", crash=True), At(5, "s1", crash=True)]
    scenario = Scenario(SCENARIO.servers, timeline)
    (mark,) = compare(scenario, ["p2c"], workload=WORKLOAD, progress=False).marks
    assert mark.label == "s0 crash and 1 more"


def test_without_a_workload_of_its_own_a_scenario_asks_for_one():
    with pytest.raises(TypeError, match="workload must be"):
        compare(SCENARIO, ["p2c"])


def test_an_unstable_strategy_is_named_in_the_notes():
    found = compare(scenarios.heterogeneous(), ["round_robin", "p2c"], progress=False)
    (note,) = [note for note in found.notes if "unstable" in note]
    assert note.startswith("round_robin is unstable: ")


def test_a_closed_loop_with_a_duration_can_be_compared():
    workload = Workload(arrivals="closed", concurrency=3, duration=20.0, warmup=5)
    found = compare(SCENARIO, ["random", "least_request"], workload=workload, progress=False)
    assert found.summary["requests"].min() > 100
    assert not any("unstable" in note for note in found.notes)


def test_a_mix_of_tools_is_told_call_by_call():
    workload = Workload({"a": 1, "b": 3}, rate=30, requests=200)
    found = compare(SCENARIO, ["p2c"], workload=workload, seed=2, progress=False)
    assert found.calls["tool"].tolist() == [call.tool for call in workload.calls(seed=2)]


def test_hedges_and_retries_are_in_the_summary():
    from mcpnb.resilience.settings import Resilience

    flaky = Scenario(
        [SimServer(f"s{i}", service.exponential(0.1), error_rate=0.1) for i in range(4)],
        resilience=Resilience(retry=2, hedge=0.2),
    )
    row = compare(flaky, ["p2c"], workload=WORKLOAD, progress=False).summary.loc["p2c"]
    assert row["retries"] > 0
    assert row["hedges"] > 0
    assert row["extra_load"] == pytest.approx((row["retries"] + row["hedges"]) / row["requests"])


def test_an_executor_may_do_the_work():
    with ThreadPoolExecutor(1) as pool:
        found = compare(SCENARIO, ["random", "p2c"], workload=WORKLOAD, seed=3, executor=pool, progress=False)
    again = compare(SCENARIO, ["random", "p2c"], workload=WORKLOAD, seed=3, progress=False)
    pd.testing.assert_frame_equal(found.calls, again.calls)


def test_progress_counts_the_calls_run_by_run():
    seen = []
    compare(
        SCENARIO, ["random", "p2c"], workload=Workload(rate=30, requests=50), repeats=2, progress=seen.append
    )
    assert [(p.done, p.total, p.strategy, p.round, p.rounds) for p in seen] == [
        (50, 200, "random", 1, 2), (100, 200, "p2c", 1, 2), (150, 200, "random", 2, 2),
        (200, 200, "p2c", 2, 2),
    ]  # fmt: skip


def test_nonsense_is_refused_by_name():
    with pytest.raises(StrategyError, match="p2d"):
        compare(SCENARIO, ["random", "p2d"], workload=WORKLOAD)
    with pytest.raises(ValueError, match="strategies is empty"):
        compare(SCENARIO, [], workload=WORKLOAD)
    with pytest.raises(TypeError, match="executor must have"):
        compare(SCENARIO, ["p2c"], workload=WORKLOAD, executor=3)
    with pytest.raises(ValueError, match="seed must be"):
        compare(SCENARIO, ["p2c"], workload=WORKLOAD, seed=-1)


def test_pairing_sees_a_difference_that_unpaired_intervals_would_not_show():
    found = compare(
        SCENARIO, ["p2c", "least_request"], workload=Workload(rate=30, requests=6_000), progress=False
    )
    row = found.paired.set_index("metric").loc["mean"]
    assert row["difference_ms"] < 0
    assert row["conclusive"]
    assert np.isfinite(found.summary["p95_ms_low"]).all()
