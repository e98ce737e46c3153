"""What a comparison says: exact columns, honest words, safe markup."""

from __future__ import annotations

import dataclasses
import math
import re
import sys

import numpy as np
import pandas as pd
import pytest

from mcpnb.experiment import Comparison, Mark, Workload, compare, report
from mcpnb.experiment.palette import TIMES
from mcpnb.experiment.rows import BlockRow, CallRow

WORKLOAD = Workload(tool="weather.forecast", rate=20.0, requests=240)


def comparison(
    latencies, *, blocks=12, turns=None, workload=WORKLOAD, outcome=lambda name, i: "ok", warmup=0, seed=0
):
    """A comparison from strategy → latencies in ms, sent at 20/s; in as many turns as blocks, or fewer."""
    calls, rows = [], []
    for name, values in latencies.items():
        n = len(values)
        for i, latency in enumerate(values):
            block = i * blocks // n
            calls.append(
                CallRow(
                    name,
                    block,
                    i,
                    (i + 1) / 20,
                    0.0,
                    float(latency),
                    "ab"[i % 2],
                    outcome(name, i),
                    1,
                    "",
                    "t",
                    0,
                    0,
                    0,
                    i < warmup,
                )
            )
        for block in range(blocks if turns is None else turns):
            base = n / 20 / (turns or blocks)
            rows.append(BlockRow(name, block, 0, 0, block * base, block * base, base, base))
    return Comparison.from_rows(calls, rows, strategies=tuple(latencies), workload=workload, seed=seed)


def noisy(mean, *, n=240, spread=0.1, seed=0):
    return mean * (1 + spread * np.random.default_rng(seed).standard_normal(n))


def test_the_summary_has_exactly_these_columns_in_this_order():
    found = comparison({"p2c": noisy(50), "random": noisy(60)}).summary
    assert found.index.name == "strategy"
    assert found.index.tolist() == ["p2c", "random"]
    assert found.columns.tolist() == [
        "requests", "errors", "goodput",
        "mean_ms", "mean_ms_low", "mean_ms_high",
        "p50_ms", "p50_ms_low", "p50_ms_high",
        "p95_ms", "p95_ms_low", "p95_ms_high",
        "p99_ms", "p99_ms_low", "p99_ms_high",
        "p999_ms", "fairness", "retries", "hedges", "extra_load",
        "late_p50_ms", "late_p99_ms", "late_max_ms", "kept_up",
    ]  # fmt: skip
    assert all(found[name].dtype == np.int64 for name in ("requests", "errors", "retries", "hedges"))
    assert found["kept_up"].dtype == bool


def test_the_numbers_are_those_of_the_calls():
    found = comparison({"p2c": noisy(50)})
    row, latencies = found.summary.loc["p2c"], found.calls["latency_ms"]
    assert row["mean_ms"] == pytest.approx(latencies.mean())
    assert row["p95_ms"] == pytest.approx(latencies.quantile(0.95))
    assert row["p999_ms"] == pytest.approx(latencies.quantile(0.999))
    assert row["goodput"] == pytest.approx(20, rel=0.02)
    assert row["fairness"] == pytest.approx(1)
    for metric in ("mean", "p50", "p95", "p99"):
        assert row[f"{metric}_ms_low"] <= row[f"{metric}_ms"] <= row[f"{metric}_ms_high"]


def test_failed_calls_count_as_errors_and_in_no_latency():
    values = np.where(np.arange(240) % 4 == 0, 9000.0, 50.0)
    found = comparison({"p2c": values}, outcome=lambda _, i: "timeout" if i % 4 == 0 else "ok")
    row = found.summary.loc["p2c"]
    assert (row["requests"], row["errors"]) == (240, 60)
    assert row["p99_ms"] == 50
    assert row["goodput"] == pytest.approx(15, rel=0.02)
    assert "failed calls count as errors and are in no latency" in found.notes[0]


def test_the_warm_up_is_in_the_calls_and_in_no_summary():
    values = np.append(np.full(40, 5000.0), np.full(200, 50.0))
    found = comparison({"p2c": values}, warmup=40)
    assert len(found.calls) == 240
    assert found.summary.loc["p2c", "requests"] == 200
    assert found.summary.loc["p2c", "p99_ms"] == 50
    assert found.summary.loc["p2c", "goodput"] == pytest.approx(20, rel=0.01)
    assert found.timeline["at_s"].min() == 2.0
    assert found.timeline["goodput"].tolist() == pytest.approx([20] * len(found.timeline), rel=0.06)


def test_retries_hedges_and_extra_load_are_summed(fleet):
    found = comparison({"p2c": noisy(50)})
    calls = found.calls.assign(
        attempts=1 + (found.calls["i"] % 4 == 0), retries=(found.calls["i"] % 4 == 0) * 1
    )
    calls.loc[0, ["attempts", "hedges", "retries"]] = [0, 3, 0]  # never sent: no load, and none given back
    again = Comparison(calls, found.blocks, strategies=("p2c",), workload=WORKLOAD).summary.loc["p2c"]
    assert again["retries"] == 59
    assert again["hedges"] == 3
    assert again["extra_load"] == pytest.approx(59 / 240)


def test_calls_and_blocks_have_stable_columns_and_types_even_when_empty():
    full, empty = (
        comparison({"p2c": noisy(50)}),
        Comparison.from_rows([], [], strategies=["p2c"], workload=WORKLOAD),
    )
    assert full.calls.columns[:10].tolist() == [
        "strategy", "block", "i", "intended_at", "started_lag_ms", "latency_ms", "server", "outcome",
        "attempts", "error",
    ]  # fmt: skip
    for name in ("calls", "blocks", "timeline", "paired"):
        assert getattr(full, name).columns.tolist() == getattr(empty, name).columns.tolist()
    same = [c for c in full.calls if c not in ("server", "tool", "error")]
    assert full.calls[same].dtypes.astype(str).tolist() == empty.calls[same].dtypes.astype(str).tolist()
    assert isinstance(empty.calls["server"].dtype, pd.CategoricalDtype)


def test_nothing_at_all_is_still_shown():
    empty = Comparison.from_rows([], [], strategies=["p2c", "random"], workload=WORKLOAD)
    assert empty.summary["requests"].tolist() == [0, 0]
    assert empty.summary["goodput"].tolist() == [0, 0]
    assert "no call succeeded" in empty.text()
    assert "<table>" in empty._repr_html_()
    assert repr(empty).startswith("<Comparison of 2")


def test_paired_differences_are_from_the_first_strategy():
    found = comparison({"p2c": noisy(50), "random": noisy(60, seed=1)}).paired
    assert set(found["strategy"]) == {"random"}
    assert set(found["versus"]) == {"p2c"}
    assert found["metric"].tolist() == ["mean", "p50", "p95", "p99"]
    mean = found.iloc[0]
    assert mean["low_ms"] < 10 < mean["high_ms"]
    assert mean["low_ms"] > 5
    assert mean["conclusive"]
    assert (found["blocks"] == 12).all()


def test_pairing_by_block_sees_through_a_drift_that_hits_both():
    drift = np.repeat(np.random.default_rng(2).uniform(50, 400, 12), 20)
    found = comparison({"a": drift + noisy(5), "b": drift + noisy(9, seed=1)})
    mean = found.paired.iloc[0]
    width = found.summary.loc["a", "mean_ms_high"] - found.summary.loc["a", "mean_ms_low"]
    assert width > 50
    assert 3 < mean["low_ms"] < 4 < mean["high_ms"] < 5


def test_any_strategy_can_be_the_baseline_but_not_a_stranger():
    found = comparison({"a": noisy(50), "b": noisy(60)})
    assert (found.against("b")["difference_ms"] < 0).all()
    with pytest.raises(ValueError, match="'c' was not compared; there are a, b"):
        found.against("c")


def test_a_clear_winner_is_called_the_lowest():
    words = comparison(
        {"p2c": noisy(50), "random": noisy(60, seed=1), "round_robin": noisy(200, seed=2)}
    ).verdict
    assert words["p2c"] == "lowest p95"
    assert re.fullmatch(r"p95 1\d\.\d ms above p2c", words["random"])
    assert re.fullmatch(rf"p95 [34]\.\d{TIMES} that of p2c", words["round_robin"])


def test_strategies_that_do_the_same_are_tied():
    words = comparison(
        {"p2c": noisy(50), "peak_ewma": noisy(50, seed=1), "random": noisy(200, seed=2)}
    ).verdict
    assert sorted(words[["p2c", "peak_ewma"]]) == ["tied with p2c", "tied with peak_ewma"]


def test_a_wide_interval_is_not_called_a_tie():
    rare = np.full(240, 50.0)
    rare[100:115] = 2000.0  # one bad moment: 6 % of the calls, all in one block
    words = comparison({"p2c": noisy(50, spread=0.01), "random": rare}).verdict
    assert words["random"] == "not clearly slower than p2c"
    assert words["p2c"] == "lowest p95, not clearly"


def test_a_strategy_with_the_best_median_hears_of_it():
    tail = noisy(40, spread=0.02)
    tail[::10] = 300.0
    words = comparison({"steady": noisy(60, spread=0.02), "quick": tail}).verdict
    assert words["quick"].endswith("; best p50")
    assert words["steady"] == "lowest p95"


def test_a_strategy_that_fails_fast_does_not_win():
    found = comparison(
        {"hole": noisy(5), "p2c": noisy(50, seed=1), "random": noisy(90, seed=2)},
        outcome=lambda name, i: "refused" if name == "hole" and i % 3 else "ok",
    )
    assert found.verdict["hole"] == "fails 67 % of its calls"
    assert found.verdict["p2c"] == "lowest p95"
    assert found.text().splitlines()[-4 if len(found.notes) == 2 else -5].startswith("hole")


def test_few_blocks_are_not_judged():
    found = comparison({"p2c": noisy(50), "random": noisy(500, seed=1)}, blocks=3)
    assert found.verdict.tolist() == ["too few blocks to tell"] * 2
    assert found.paired["low_ms"].isna().all()
    assert not found.paired["conclusive"].any()
    assert found.summary["p95_ms_low"].notna().all()
    assert "Only 3 blocks" in found.notes[1]


def test_one_strategy_has_nothing_to_compare_with():
    found = comparison({"p2c": noisy(50)})
    assert found.verdict.tolist() == ["nothing to compare with"]
    assert found.paired.empty


def test_equal_strategies_are_seldom_told_apart():
    """Four equals, thirty times: the level allows for the number of strategies."""
    told = 0
    for trial in range(30):
        same = {name: noisy(50, n=120, seed=10 * trial + k) for k, name in enumerate("abcd")}
        told += any("above" in words or "that of" in words for words in comparison(same, seed=trial).verdict)
    assert told <= 4


def test_batches_of_a_run_that_are_too_short_to_stand_for_themselves_are_not_judged():
    """Slow calls in stretches of 40, and 12 batches of 50: chance, which they take for a difference."""
    stretches = {name: np.repeat(noisy(50, n=15, seed=k), 40) for k, name in enumerate("ab")}
    found = comparison(stretches, turns=1)
    assert found.leaning == {"a", "b"}
    assert "one run is too short to tell" in found.verdict.tolist()
    assert not found.paired["conclusive"].any()
    assert any("Give repeats=8" in note for note in found.notes)
    assert not comparison({name: noisy(50, n=600, seed=k) for k, name in enumerate("ab")}, turns=1).leaning
    assert not comparison(stretches).leaning  # turns of their own: between them the servers ran dry


def test_a_p99_of_few_calls_is_called_a_hint():
    assert (
        "The p99 rests on the slowest 3 of 240 calls: a hint, not a measurement."
        in comparison({"a": noisy(5)}).notes
    )
    assert len(comparison({"a": noisy(5, n=2400)}).notes) == 2


def test_the_text_is_aligned_and_best_first():
    lines = comparison({"random": noisy(1200), "p2c": noisy(50, seed=1)}).text().splitlines()
    assert lines[0].startswith(
        f"2 strategies {TIMES} 240 calls, live · weather.forecast · poisson 20/s · seed 0"
    )
    head, _, best, worst = lines[2:6]
    assert best.startswith("p2c")
    assert worst.startswith("random")
    assert head.index("verdict") == best.index("lowest p95") == worst.index("p95 2")
    assert head.index("95 % interval") == best.index("5", head.index("95 % interval"))
    assert all(len(line) <= 130 for line in lines)


def test_the_repr_is_one_line_and_str_is_the_story():
    found = comparison({"random": noisy(60), "p2c": noisy(50)})
    assert re.fullmatch(
        rf"<Comparison of 2 {TIMES} 240 calls, p95: p2c \d\d\.\d ms, random \d\d\.\d ms>", repr(found)
    )
    assert str(found) == found.text() == found._repr_mimebundle_()["text/plain"]


def test_markup_in_names_is_shown_as_text():
    evil = '<img src=x onerror="alert(1)">'
    page = comparison({evil: noisy(50), "p2c": noisy(60)})._repr_html_()
    assert "<img" not in page
    assert page.count("&lt;img src=x") >= 3
    assert "<script" not in page


def test_the_html_is_accessible_and_follows_the_theme(monkeypatch):
    monkeypatch.setattr(report, "PICTURES", [])  # what a notebook adds is tested there
    page = comparison({"p2c": noisy(50), "random": noisy(60)})._repr_html_()
    assert "<caption>" in page
    assert page.count('<th scope="row"') == 2
    assert page.count('role="img"') == 2
    assert "var(--jp-ui-font-color1" in page


def test_the_timeline_counts_every_call_once():
    found = comparison({"p2c": noisy(50), "random": noisy(60)})
    assert found.timeline.groupby("strategy")["calls"].sum().tolist() == [240, 240]
    assert found.bucket_seconds == 1.0
    inner = found.timeline[found.timeline["at_s"].between(1, 10)]
    assert inner["goodput"].tolist() == pytest.approx([20] * len(inner))
    assert inner["p95_ms"].between(40, 80).all()


def test_repeats_lie_on_top_of_each_other_on_the_time_axis(fleet):
    workload = Workload(tool="t", arrivals="constant", rate=20.0, requests=100)
    once = compare(fleet(("a", 0.05)), ["first"], workload=workload)
    twice = compare(fleet(("a", 0.05)), ["first"], workload=workload, repeats=2)
    assert twice.timeline["at_s"].tolist() == once.timeline["at_s"].tolist()
    assert twice.timeline["calls"].tolist() == [2 * n for n in once.timeline["calls"]]
    assert twice.timeline["goodput"].tolist() == pytest.approx(once.timeline["goodput"].tolist())


def test_shares_are_over_all_servers_that_anybody_used(fleet):
    found = compare(
        fleet(("a", 0.05), ("b", 0.05), ("c", 0.05)), ["first", "round_robin"],
        workload=Workload(tool="t", rate=20.0, requests=90),
    )  # fmt: skip
    assert found.share.columns.tolist() == ["a", "b", "c"]
    assert found.share.loc["first"].tolist() == [1, 0, 0]
    assert found.summary["fairness"].tolist() == pytest.approx([1 / 3, 1])


def test_calls_that_reached_nobody_are_in_no_share(fleet):
    found = comparison({"p2c": noisy(50)})
    found = Comparison(
        found.calls.assign(server=pd.Categorical([None] * 240, categories=["a"]), outcome="rejected"),
        found.blocks, strategies=("p2c",), workload=WORKLOAD,
    )  # fmt: skip
    assert math.isnan(found.summary.loc["p2c", "fairness"])
    assert found.summary.loc["p2c", "errors"] == 240


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        comparison({"p2c": noisy(50)}).to_parquet(tmp_path / "calls.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_comes_back_from_parquet_as_it_was(tmp_path):
    found = comparison({"p2c": noisy(50), "random": noisy(80, seed=1)}, warmup=10, seed=5)
    found = Comparison(
        found.calls, found.blocks, strategies=found.strategies, workload=found.workload, seed=5,
        kind="simulated x", marks=[Mark("a", 1.0), Mark("b", 2.0, 3.0)], remarks=["a remark"],
        interrupted=True,
    )  # fmt: skip
    path = found.to_parquet(tmp_path / "calls.parquet")
    again = Comparison.from_parquet(path)
    for name in ("calls", "blocks", "summary", "paired", "timeline", "share"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name))
    assert (again.marks, again.notes, again.interrupted) == (found.marks, found.notes, True)
    assert again.text() == found.text()
    pd.testing.assert_frame_equal(pd.read_parquet(path), found.calls)


@pytest.mark.parametrize(
    "workload",
    [
        Workload(
            {"a": 1, "b": 2},
            {"x": lambda i, rng: i},
            rate=20.0,
            duration=12.0,
            priorities={"high": 2, "low": 1},
        ),
        Workload("t", [{"x": 1}], arrivals="closed", concurrency=3, requests=240, timeout=2.0),
        Workload("t", arrivals="bursty", rate=20.0, requests=240, burst_ratio=7.0),
    ],
)
def test_every_workload_comes_back_without_its_arguments(tmp_path, workload):
    found = comparison({"p2c": noisy(50)}, workload=workload)
    again = Comparison.from_parquet(found.to_parquet(tmp_path / "x.parquet")).workload
    assert again == dataclasses.replace(workload, arguments={})


def test_another_parquet_file_is_refused_clearly(tmp_path):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"was not written by Comparison\.to_parquet"):
        Comparison.from_parquet(tmp_path / "x.parquet")


def test_how_late_the_client_was_is_in_the_summary_and_said_when_it_matters():
    found = comparison({"p2c": noisy(50), "random": noisy(60)})
    assert found.summary[["late_p50_ms", "late_p99_ms", "late_max_ms"]].to_numpy().tolist() == [[0, 0, 0]] * 2
    assert found.summary["kept_up"].all()
    assert "keep up" not in repr(found) + found.text()
    late = found.calls.assign(started_lag_ms=np.where(found.calls["strategy"] == "random", 40.0, 0.1))
    late.loc[late.index[-1], "started_lag_ms"] = 900.0
    found = Comparison(late, found.blocks, strategies=found.strategies, workload=WORKLOAD)
    assert found.summary["kept_up"].tolist() == [True, False]
    assert found.summary.loc["random", "late_p50_ms"] == 40
    assert found.summary.loc["random", "late_max_ms"] == 900
    assert repr(found).endswith("; the client could not keep up>")
    (said,) = [note for note in found.notes if "keep up" in note]
    assert said.startswith("This client could not keep up under random: ")
    assert "(the worst 900 ms)" in said
    assert said in found._repr_html_()
