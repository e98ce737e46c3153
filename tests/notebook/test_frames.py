"""The fleet's DataFrames: columns and dtypes, the same with rows and without."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcpnb.aggregation import FusedRow
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import OUTCOMES, Event, ServerStatus
from mcpnb.notebook import frames

TEXT = pd.Series(["a"]).dtype
UTC = "datetime64[us, UTC]"

CALLS = {
    "call": "int64", "attempt": "int32", "started_at": UTC, "tool": "category", "server": "category",
    "strategy": "category", "outcome": "category", "latency_ms": "float64", "queued_ms": "float64",
    "hedge": "bool", "cached": "bool", "bytes": "int64", "error": "category",
}  # fmt: skip
SERVERS = {
    "server": TEXT, "state": "category", "transport": "category", "protocol": "category", "version": TEXT,
    "region": "category", "tags": TEXT, "weight": "float64", "priority": "int64", "tools": "int64",
    "resources": "int64", "prompts": "int64", "in_flight": "int64", "queued": "int64", "calls": "int64",
    "errors": "int64", "error_rate": "float64", "p50_ms": "float64", "p95_ms": "float64", "p99_ms": "float64",
    "breaker": "category", "connected_at": UTC, "last_error": TEXT,
}  # fmt: skip
TOOLS = {
    "tool": TEXT, "server": "category", "title": TEXT, "description": TEXT, "version": TEXT,
    "replicas": "int64", "read_only": "bool", "idempotent": "bool", "destructive": "bool", "arguments": TEXT,
    "fingerprint": TEXT, "selected": "bool",
}  # fmt: skip
EVENTS = {"at": UTC, "kind": "category", "server": "category", "detail": TEXT}
CONFLICTS = {
    "at": UTC,
    "kind": "category",
    "tool": TEXT,
    "policy": "category",
    "chosen": "category",
    "rejected": TEXT,
    "why": TEXT,
}


def logged(*rows: dict[str, Any]) -> AttemptLog:
    log = AttemptLog(1000)
    for call, row in enumerate(rows):
        log.append(**{
            "call": call, "attempt": 1, "started_at": 1_700_000_000.25, "tool": "t", "server": "alpha",
            "strategy": "p2c", "outcome": "ok", "latency": 0.25, "queued": 0.5, "hedge": False,
            "cached": False, "size": 12, "error": "", **row,
        })  # fmt: skip
    return log


class Catalog:
    """The part of a catalog that frames read."""

    def __init__(self, *, empty: bool = False) -> None:
        ref = SimpleNamespace(tool="weather.now", server="alpha")
        entry = SimpleNamespace(
            ref=ref, title="", description="Weather", version=None, read_only=True, idempotent=True,
            destructive=False, signature="location: str", fingerprint="abc",
        )  # fmt: skip
        conflict = SimpleNamespace(
            tool="weather.now",
            policy="namespace",
            chosen="",
            rejected=("alpha", "beta"),
            why="they differ",
            at=1.5,
            kind="tool",
        )
        self.entries = () if empty else (entry,)
        self.conflicts = () if empty else (conflict,)

    def replicas_of(self, entry: object) -> tuple[str, ...]:
        return ("alpha", "beta")

    def selected(self, entry: object) -> bool:
        return True


def status(**changes: Any) -> ServerStatus:
    return ServerStatus("alpha", "connected", "http", **changes)


def made(*, empty: bool) -> dict[str, tuple[pd.DataFrame, dict[str, Any]]]:
    events = EventLog()
    if not empty:
        events.append(Event(1.5, "conflict", None, "two of them"))
    statuses = [] if empty else [status(connected_at=1.5, tags=("a", "b")), status()]
    return {
        "calls": (frames.calls_frame(logged() if empty else logged({})), CALLS),
        "servers": (frames.servers_frame(statuses), SERVERS),
        "tools": (frames.tools_frame(Catalog(empty=empty)), TOOLS),
        "events": (frames.events_frame(events), EVENTS),
        "conflicts": (frames.conflicts_frame(Catalog(empty=empty)), CONFLICTS),
    }


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("name", ["calls", "servers", "tools", "events", "conflicts"])
def test_columns_and_dtypes_are_the_same_with_rows_and_without(name: str, empty: bool) -> None:
    frame, expected = made(empty=empty)[name]
    assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == {
        column: str(dtype) for column, dtype in expected.items()
    }
    assert list(frame.columns) == list(expected)
    assert frame.empty == empty


def test_calls_have_utc_moments_milliseconds_and_missing_values_for_what_is_unknown() -> None:
    frame = frames.calls_frame(
        logged({}, {"server": "", "outcome": "rejected", "latency": math.nan, "error": "queue full"})
    )
    first, second = frame.iloc[0], frame.iloc[1]
    assert first["started_at"] == pd.Timestamp("2023-11-14 22:13:20.25", tz="UTC")
    assert (first["latency_ms"], first["queued_ms"], first["bytes"]) == (250.0, 500.0, 12)
    assert pd.isna(first["error"])
    assert pd.isna(second["server"])
    assert pd.isna(second["latency_ms"])
    assert second["error"] == "queue full"


def test_outcomes_always_have_all_their_categories() -> None:
    for log in (logged(), logged({"outcome": "timeout"})):
        assert tuple(frames.calls_frame(log)["outcome"].cat.categories) == OUTCOMES


@pytest.mark.parametrize("count", [100, 127, 128, 300, 33_000])
def test_categories_decode_whatever_their_number(count: int) -> None:
    log = AttemptLog()
    for call in range(count):
        log.append(
            call=call, attempt=1, started_at=0.0, tool="t", server=f"s{call}", strategy="p2c", outcome="ok",
            latency=0.1, queued=0.0, hedge=False, cached=False, size=0, error="",
        )  # fmt: skip
    assert frames.calls_frame(log)["server"].tolist() == [f"s{call}" for call in range(count)]


def test_a_frame_of_calls_does_not_change_the_log_nor_the_other_way_round() -> None:
    log = logged({})
    frame = frames.calls_frame(log)
    frame["latency_ms"] = 0.0
    frame.loc[0, "bytes"] = 7
    log.append(
        call=9, attempt=1, started_at=0.0, tool="t", server="beta", strategy="p2c", outcome="ok", latency=0.1,
        queued=0.0, hedge=False, cached=False, size=0, error="",
    )  # fmt: skip
    assert frames.calls_frame(log)["latency_ms"].tolist() == [250.0, 100.0]
    assert frames.calls_frame(log)["bytes"].tolist() == [12, 0]
    assert len(frame) == 1


def test_errors_with_lone_surrogates_and_markup_come_through_as_text() -> None:
    frame = frames.calls_frame(logged({"error": "<script>\ud800"}))
    assert frame["error"].tolist() == ["<script>\\ud800"]


def test_servers_show_what_they_did_not_say_as_missing() -> None:
    row = frames.servers_frame([status()]).iloc[0]
    assert pd.isna(row["connected_at"])
    assert pd.isna(row["last_error"])
    assert pd.isna(row["version"])
    assert pd.isna(row["p50_ms"])
    assert row["tags"] == ""


def test_a_breaker_state_that_nobody_knew_is_shown_all_the_same() -> None:
    frame = frames.servers_frame([status(breaker="half-open, 1 probe")])
    assert frame["breaker"].tolist() == ["half-open, 1 probe"]
    assert list(frame["breaker"].cat.categories)[:3] == ["closed", "open", "half_open"]


def test_tools_and_conflicts_read_like_the_catalog() -> None:
    tool = frames.tools_frame(Catalog()).iloc[0]
    assert (tool["tool"], tool["replicas"], tool["arguments"]) == ("weather.now", 2, "location: str")
    assert pd.isna(tool["title"])
    conflict = frames.conflicts_frame(Catalog()).iloc[0]
    assert pd.isna(conflict["chosen"])
    assert conflict["rejected"] == "alpha, beta"


LATENCY = list(frames.LATENCY_COLUMNS)


@pytest.mark.parametrize("rows", [[], [{}]])
def test_latency_has_the_same_columns_dtypes_and_index_with_rows_and_without(
    rows: list[dict[str, Any]],
) -> None:
    frame = frames.latency_frame(logged(*rows), now=1_700_000_001.0)
    assert list(frame.columns) == LATENCY
    assert [str(dtype) for dtype in frame.dtypes] == ["int64", "int64", *["float64"] * 8]
    assert frame.index.name == "server"
    assert frame.index.dtype == TEXT
    several = frames.latency_frame(logged(*rows), ["tool", "server"], 60.0, now=1_700_000_001.0)
    assert list(several.index.names) == ["tool", "server"]
    assert list(several.columns) == LATENCY


def test_latency_is_in_milliseconds_and_faults_are_errors() -> None:
    frame = frames.latency_frame(
        logged({}, {"outcome": "timeout"}, {"outcome": "tool_error", "latency": 0.75})
    )
    alpha = frame.loc["alpha"]
    assert (alpha["count"], alpha["errors"]) == (3, 1)
    assert alpha["error_rate"] == pytest.approx(1 / 3)
    assert (alpha["mean_ms"], alpha["p50_ms"], alpha["max_ms"]) == (500.0, 500.0, 750.0)


def test_a_window_leaves_out_what_started_before_it() -> None:
    log = logged({"started_at": 100.0}, {"started_at": 200.0, "server": "beta"})
    assert list(frames.latency_frame(log, window=50.0, now=210.0).index) == ["beta"]
    assert frames.latency_frame(log, window=50.0).empty, "by default the window ends now"


def test_one_key_in_a_list_gives_a_plain_index() -> None:
    assert frames.latency_frame(logged({}), ["tool"]).index.tolist() == ["t"]


def test_fused_objects_spread_over_columns_beside_their_key_and_source() -> None:
    frame = frames.rows_frame(
        [
            FusedRow("a", {"title": "A", "at": {"page": 1}, "server": "own"}, ("alpha",)),
            FusedRow("b", 3.5, ("beta", "gamma")),
        ]
    )
    assert list(frame.columns) == ["key", "server", "title", "at.page", "server_", "value"]
    assert frame["server"].tolist() == ["alpha", "beta, gamma"]
    assert frame["value"].tolist()[1] == 3.5
    assert np.isnan(frame["at.page"].tolist()[1])


def test_no_fused_rows_are_an_empty_frame_with_its_columns() -> None:
    assert list(frames.rows_frame([]).columns) == ["key", "server", "value"]
