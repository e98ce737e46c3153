"""Attempts cut into buckets of time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.metrics import AttemptLog, series
from mcpnb.model import FAULTS, OUTCOMES


def logged(*rows: dict[str, Any]) -> AttemptLog:
    log = AttemptLog(1000)
    for call, row in enumerate(rows):
        log.append(**{
            "call": call, "attempt": 1, "started_at": 1000.0, "tool": "t", "server": "alpha",
            "strategy": "p2c", "outcome": "ok", "latency": 0.1, "queued": 0.0, "hedge": False,
            "cached": False, "size": 0, "error": "", **row,
        })  # fmt: skip
    return log


row = st.fixed_dictionaries(
    {
        "server": st.sampled_from(["", "alpha", "beta"]),
        "started_at": st.floats(990, 1070),
        "outcome": st.sampled_from(OUTCOMES),
        "latency": st.floats(0, 10) | st.just(math.nan),
        "cached": st.booleans(),
    }
)


@given(st.lists(row, max_size=60), st.integers(1, 12), st.floats(1030, 1060))
def test_each_cell_is_what_one_would_count_by_hand(
    rows: list[dict[str, Any]], buckets: int, now: float
) -> None:
    cut = series(logged(*rows).columns(), buckets=buckets, span=30.0, now=now)
    sent = [r for r in rows if r["server"] and r["outcome"] != "rejected" and not r["cached"]]
    for s, server in enumerate(cut.servers):
        for b in range(buckets):
            cell = [
                r
                for r in sent
                if r["server"] == server and cut.edges[b] <= r["started_at"] < cut.edges[b + 1]
            ]
            ms = [
                r["latency"] * 1000
                for r in cell
                if r["outcome"] in {"ok", "tool_error"} and not math.isnan(r["latency"])
            ]
            assert cut.count[s, b] == len(cell)
            assert cut.errors[s, b] == sum(r["outcome"] in FAULTS for r in cell)
            assert cut.p95_ms[s, b] == pytest.approx(np.quantile(ms, 0.95) if ms else math.nan, nan_ok=True)
    shown = [r for r in sent if cut.edges[0] <= r["started_at"] < cut.edges[-1]]
    assert set(cut.servers) == {r["server"] for r in shown}
    assert cut.count.sum() == len(shown)


def test_the_last_bucket_contains_now_and_the_buckets_span_what_was_asked() -> None:
    cut = series(logged().columns(), buckets=60, span=300.0, now=1_700_000_003.0)
    assert cut.edges[-2] <= 1_700_000_003.0 < cut.edges[-1]
    assert cut.edges[-1] - cut.edges[0] == 300.0
    assert cut.count.shape == cut.p95_ms.shape == (0, 60)


def test_a_finished_bucket_keeps_its_numbers_while_time_goes_on() -> None:
    columns = logged(*({"started_at": 1000.0 + i} for i in range(30))).columns()
    early = series(columns, buckets=10, span=50.0, now=1031.0)
    late = series(columns, buckets=10, span=50.0, now=1034.0)
    assert early.edges.tolist() == late.edges.tolist()
    assert early.count.tolist() == late.count.tolist()


@pytest.mark.parametrize(("buckets", "span"), [(0, 1.0), (1, 0.0), (1, math.nan)])
def test_no_buckets_or_no_time_is_refused(buckets: int, span: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        series(logged().columns(), buckets=buckets, span=span, now=1.0)
