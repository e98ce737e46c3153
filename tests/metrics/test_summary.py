"""What the numbers of a summary count and what they leave out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.metrics import AttemptLog, Summary, summaries_by_server, summarise, summarise_window
from mcpnb.model import FAULTS, OUTCOMES


def logged(*rows: dict[str, Any], capacity: int = 1000) -> AttemptLog:
    log = AttemptLog(capacity)
    for call, row in enumerate(rows):
        log.append(**{
            "call": call, "attempt": 1, "started_at": 1000.0, "tool": "t", "server": "alpha",
            "strategy": "p2c", "outcome": "ok", "latency": 0.1, "queued": 0.0, "hedge": False,
            "cached": False, "size": 0, "error": "", **row,
        })  # fmt: skip
    return log


def only(rows: list[Summary]) -> Summary:
    assert len(rows) == 1
    return rows[0]


row = st.fixed_dictionaries(
    {
        "server": st.sampled_from(["alpha", "beta", "gamma"]),
        "tool": st.sampled_from(["t", "u"]),
        "outcome": st.sampled_from(OUTCOMES),
        "latency": st.floats(0, 10) | st.just(math.nan),
        "cached": st.booleans(),
    }
)


@given(st.lists(row, max_size=60))
def test_summaries_agree_with_counting_by_hand(rows: list[dict[str, Any]]) -> None:
    found = {s.key: s for s in summarise(logged(*rows).columns(), ["server", "tool"], span=10.0)}
    assert found.keys() == {(r["server"], r["tool"]) for r in rows if not r["cached"]}
    for key, summary in found.items():
        mine = [r for r in rows if (r["server"], r["tool"]) == key and not r["cached"]]
        ms = [
            r["latency"] * 1000
            for r in mine
            if r["outcome"] in {"ok", "tool_error"} and not math.isnan(r["latency"])
        ]
        assert summary.count == len(mine)
        assert summary.errors == sum(r["outcome"] in FAULTS for r in mine)
        assert summary.error_rate == summary.errors / summary.count
        assert summary.throughput == pytest.approx(len(ms) / 10)
        expected = [np.mean(ms), *np.quantile(ms, [0.5, 0.9, 0.95, 0.99]), max(ms)] if ms else [math.nan] * 6
        shown = [
            summary.mean_ms, summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms, summary.max_ms,
        ]  # fmt: skip
        assert shown == pytest.approx(expected, nan_ok=True)


def test_groups_come_in_the_order_in_which_their_names_first_came_up() -> None:
    log = logged({"server": "zeta"}, {"server": "alpha"}, {"server": "zeta"})
    assert [s.key for s in summarise(log.columns())] == [("zeta",), ("alpha",)]


def test_a_call_rejected_before_a_server_was_picked_counts_for_its_tool_but_for_no_server() -> None:
    log = logged({}, {"server": "", "outcome": "rejected", "latency": math.nan})
    assert only(summarise(log.columns(), "server")).count == 1
    assert only(summarise(log.columns(), "tool")).count == 2


def test_answers_from_the_cache_count_for_nobody() -> None:
    kept = {"cached": True, "attempt": 0, "strategy": "", "latency": 0.0001}
    log = logged({"outcome": "timeout"}, *[kept] * 9)
    assert (only(summarise(log.columns())).count, only(summarise(log.columns())).error_rate) == (1, 1.0)
    assert summarise(logged(kept).columns(), "tool") == []


def test_without_a_span_the_throughput_is_over_the_time_from_first_start_to_last_end() -> None:
    log = logged({"started_at": 1000.0}, {"started_at": 1009.0, "latency": 1.0})
    assert only(summarise(log.columns())).throughput == pytest.approx(0.2)


def test_an_empty_log_has_no_summaries() -> None:
    log = logged()
    assert summarise(log.columns()) == []
    assert summarise_window(log, ["tool", "server"], window=5.0, now=None) == []
    assert summaries_by_server(log) == {}


def test_a_window_takes_the_attempts_that_started_in_it_and_rates_over_its_length() -> None:
    log = logged(*({"started_at": 1000.0 + i} for i in range(100)))
    found = only(summarise_window(log, window=10.0, now=1100.0))
    assert (found.count, found.throughput) == (10, 1.0)


def test_a_log_younger_than_the_window_is_rated_over_its_own_age() -> None:
    log = logged(*({"started_at": 1000.0 + i} for i in range(4)))
    assert only(summarise_window(log, window=60.0, now=1004.0)).throughput == 1.0


def test_the_very_first_call_is_rated_over_a_second() -> None:
    assert only(summarise_window(logged({}), window=60.0, now=1000.1)).throughput == 1.0


def test_summaries_by_server_look_at_the_newest_rows_only() -> None:
    log = logged(*({"started_at": 1000.0 + i, "server": f"s{i % 2}"} for i in range(100)))
    found = summaries_by_server(log, 60.0, now=1100.0, last=10)
    assert {name: s.count for name, s in found.items()} == {"s0": 5, "s1": 5}
    assert found["s0"].throughput == pytest.approx(0.5)


def test_without_now_the_window_ends_with_the_newest_attempt() -> None:
    log = logged(*({"started_at": 1000.0 + i} for i in range(100)))
    assert summaries_by_server(log, 9.6)["alpha"].count == 10
    assert only(summarise_window(log, window=9.6, now=None)).count == 10


@pytest.mark.parametrize("by", ["colour", "outcome", [], ["server", "server"], ["server", "colour"]])
def test_anything_else_to_group_by_is_refused_by_saying_what_there_is(by: str | list[str]) -> None:
    with pytest.raises(ValueError, match="server, tool, strategy"):
        summarise(logged({}).columns(), by)


def test_many_names_in_every_column_still_group_exactly() -> None:
    log = logged(*({"server": f"s{i}", "tool": f"t{i}", "strategy": f"x{i}"} for i in range(150)))
    found = summarise(log.columns(), ["server", "tool", "strategy"])
    assert [s.key for s in found] == [(f"s{i}", f"t{i}", f"x{i}") for i in range(150)]
