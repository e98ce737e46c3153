"""The race in a comparison: one and the same call under each strategy, attempt by attempt."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

import mcpnb
from mcpnb.experiment import Workload
from mcpnb.experiment.comparison import Comparison
from mcpnb.experiment.rows import AttemptRow, BlockRow, CallRow
from mcpnb.notebook.comparing import comparison_html, typical_call


class Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)

    def handle_data(self, data):
        self.text += data


def shown(c: Comparison) -> str:
    return Text(comparison_html(c)).text


def bars(c: Comparison) -> list[str]:
    return re.findall(r'mcpnb-bar mcpnb-(\w+)"', comparison_html(c))


def call(strategy: str, i: int, ms: float, attempts: int = 1, *, warmup: bool = False) -> CallRow:
    hedges = int(attempts > 1)
    return CallRow(
        strategy, i, i, float(i), 0.0, ms, f"server{i % 3}", "ok", attempts, "", "t", 0, 0, hedges, warmup
    )


def comparison(
    latencies: dict[str, list[float]], *, twice: int = 7, attempts: tuple[AttemptRow, ...] = ()
) -> Comparison:
    calls = [
        call(strategy, i, ms, 1 + (i == twice), warmup=i == 0)
        for strategy, each in latencies.items()
        for i, ms in enumerate(each)
    ]
    blocks = [BlockRow(s, 0, 0, n, 0.0, 0.0, 20.0, 20.0) for n, s in enumerate(latencies)]
    return Comparison.from_rows(
        calls,
        blocks,
        strategies=tuple(latencies),
        workload=Workload("t", rate=1.0, requests=20),
        attempts=attempts,
    )


SLOW = [100.0] * 18 + [900.0, 1000.0]


def test_a_comparison_races_the_call_that_is_nearest_to_everybodys_p95():
    c = comparison({"p2c": SLOW, "random": [2 * ms for ms in SLOW]})
    assert typical_call(c) == 18
    assert "call 18 under every strategy" in shown(c)
    assert "server0 · ✓ won · 1.8 s" in shown(c)


def test_a_call_near_it_that_was_hedged_tells_more_and_each_attempt_has_its_bar():
    sent = (
        AttemptRow("p2c", 0, 19, 1, "slow", "t", "first", False, 0.0, 0.0, 1000.0, "cancelled"),
        AttemptRow("p2c", 0, 19, 2, "quick", "t", "hedge", True, 900.0, 30.0, 100.0, "ok"),
    )
    c = comparison({"p2c": SLOW, "random": SLOW}, attempts=sent)
    assert typical_call(c) == 19
    text = shown(c)
    assert "slow · ⊘ cancelled" in text
    assert "quick · ⋯ queued 30 ms · ✓ won" in text
    assert sorted(bars(c)) == ["cancelled", "won", "won"]
    assert comparison_html(c).count('class="mcpnb-wait"') == 1


def test_of_a_call_whose_attempts_nobody_kept_their_number_is_told():
    c = comparison({"p2c": [100.0, 200.0]}, twice=1)
    assert "p2c · 2 attempts" in shown(c)


def test_a_comparison_in_which_nothing_succeeded_has_no_race():
    c = comparison({"p2c": [100.0, 200.0]})
    c.calls["outcome"] = "timeout"
    assert comparison_html(c) == ""


@pytest.fixture(scope="module")
def hedged() -> Comparison:
    scenario = mcpnb.scenarios.one_slow(4, resilience=mcpnb.Resilience(retry=2, hedge=True))
    workload = Workload(rate=15, requests=400)
    return mcpnb.compare(scenario, ["round_robin", "random"], workload=workload, seed=3, progress=False)


def test_a_simulated_comparison_keeps_the_attempts_of_what_was_sent_more_than_once(hedged):
    more = hedged.calls[hedged.calls["attempts"] > 1]
    assert len(more) > 20
    counts = hedged.attempts.groupby(["strategy", "i"], observed=True).size()
    assert set(more["i"]) <= set(hedged.attempts["i"])
    assert counts.loc["random"].max() == hedged.calls.query("strategy == 'random'")["attempts"].max()


def test_its_race_shows_who_won_and_who_was_cancelled(hedged):
    assert {"won", "cancelled"} <= set(bars(hedged))
    assert "mcpnb-races" in hedged._repr_html_()


def test_the_attempts_come_back_from_parquet(hedged, tmp_path):
    again = Comparison.from_parquet(hedged.to_parquet(tmp_path / "c.parquet"))
    pd.testing.assert_frame_equal(again.attempts, hedged.attempts)
    assert shown(again) == shown(hedged)
