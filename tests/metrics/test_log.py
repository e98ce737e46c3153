"""The log of attempts against a plain list, under threads, and under servers that invent names."""

from __future__ import annotations

import math
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.metrics import AttemptLog, Columns
from mcpnb.metrics.log import ROW_BYTES
from mcpnb.metrics.names import OTHER, NameTable
from mcpnb.model import OUTCOMES

Row = dict[str, Any]


def row(call: int = 0, **changes: Any) -> Row:
    return {
        "call": call, "attempt": 1, "started_at": 1000.0 + call, "tool": "weather.now", "server": "alpha",
        "strategy": "p2c", "outcome": "ok", "latency": 0.1, "queued": 0.0, "hedge": False, "cached": False,
        "size": 100, "error": "", **changes,
    }  # fmt: skip


def rows_of(columns: Columns) -> list[Row]:
    """The rows again as they were appended, NaN as None so that they compare."""
    tables = {name: columns.coded(name) for name in ("tool", "server", "strategy", "outcome", "error")}
    return [
        {
            **{name: getattr(columns, name)[i].item() for name in row() if name not in tables},
            **{name: table[codes[i]] for name, (codes, table) in tables.items()},
        }
        for i in range(len(columns))
    ]


def plain(row: Row) -> Row:
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}


names = st.sampled_from(["", "alpha", "beta", "gamma:1", "日本", "<b>"])
seconds = st.floats(0, 1e6)
any_row = st.fixed_dictionaries({
    "call": st.integers(0, 2**62), "attempt": st.integers(1, 60_000), "started_at": st.floats(0, 1e5),
    "tool": names, "server": names, "strategy": names, "outcome": st.sampled_from(OUTCOMES),
    "latency": seconds | st.just(math.nan), "queued": seconds, "hedge": st.booleans(),
    "cached": st.booleans(), "size": st.integers(0, 2**32 - 1), "error": names,
})  # fmt: skip


@given(
    st.integers(1, 40), st.lists(any_row, max_size=120), st.none() | st.integers(0, 130), st.none() | seconds
)
def test_the_log_reads_like_a_list_of_its_newest_rows(
    capacity: int, appended: list[Row], last: int | None, since: float | None
) -> None:
    log = AttemptLog(capacity)
    for one in appended:
        log.append(**one)

    kept = appended[-capacity:]
    expected = kept if last is None else kept[len(kept) - min(last, len(kept)) :]
    expected = [one for one in expected if since is None or one["started_at"] >= since]
    assert [plain(one) for one in rows_of(log.columns(last=last, since=since))] == [
        plain(one) for one in expected
    ]
    assert (len(log), log.total) == (len(kept), len(appended))
    assert log.dropped == len(appended) - len(kept)
    assert log.oldest() == (kept[0]["started_at"] if kept else None)


def test_columns_are_a_copy_that_later_appends_do_not_change() -> None:
    log = AttemptLog(8)
    log.append(**row(1))
    columns = log.columns()
    columns.latency[:] = 7.0
    for call in range(2, 30):
        log.append(**row(call))
    assert columns.call.tolist() == [1]
    assert 7.0 not in log.columns().latency


def test_an_empty_log_has_the_same_dtypes_as_a_full_one() -> None:
    log = AttemptLog()
    empty = log.columns()
    log.append(**row())
    full = log.columns()
    assert len(empty) == 0
    for name in row():
        assert getattr(empty, name).dtype == getattr(full, name).dtype


def faults_of(columns: Columns) -> list[str]:
    """What is wrong with columns in which call, latency and size of each row are one number."""
    expected = [f"s{call % 500}" for call in columns.call]
    checks = {
        "too many rows": len(columns) > 1000,
        "rows that do not follow each other": bool((np.diff(columns.call) != 1).any()),
        "a row of two attempts": bool(
            ((columns.latency != columns.call) | (columns.size != columns.call)).any()
        ),
        "another server's name": [columns.servers[code] for code in columns.server] != expected,
    }
    return [fault for fault, found in checks.items() if found]


def test_readers_in_other_threads_see_whole_consecutive_rows_while_the_log_wraps() -> None:
    log = AttemptLog(1000)
    faults: list[str] = []

    def write() -> None:
        for call in range(30_000):
            log.append(**row(call, latency=float(call), server=f"s{call % 500}", size=call))

    def read() -> None:
        while writer.is_alive():
            faults.extend(faults_of(log.columns()))
            faults.extend(faults_of(log.columns(last=100, since=0.0)))
            log.oldest()

    writer = threading.Thread(target=write)
    threads = [writer, *(threading.Thread(target=read) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert faults_of(log.columns()) == []
    assert log.dropped == 29_000


def test_memory_grows_with_use_and_stays_within_64_bytes_a_row() -> None:
    tracemalloc.start()
    try:
        log = AttemptLog()
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
        for call in range(50_000):
            log.append(**row(call))
        assert tracemalloc.get_traced_memory()[0] < 50_000 * 64
    finally:
        tracemalloc.stop()
    assert ROW_BYTES <= 64


def test_a_hostile_server_cannot_grow_the_log_by_inventing_error_texts() -> None:
    log = AttemptLog(100)
    tracemalloc.start()
    try:
        for call in range(20_000):
            log.append(**row(call, outcome="tool_error", error=f"{call}: {'x' * 5000}"))
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
    columns = log.columns()
    assert {columns.errors[code] for code in columns.error} == {OTHER}
    assert log.overflow["error"] > 18_000
    assert log.overflow["tool"] == 0


def test_a_number_beyond_its_field_is_kept_as_the_nearest_that_fits() -> None:
    log = AttemptLog()
    log.append(**row(size=2**40, attempt=10**9))
    log.append(**row(size=-1))
    columns = log.columns()
    assert columns.size.tolist() == [2**32 - 1, 0]
    assert columns.attempt.tolist() == [2**16 - 1, 1]


def test_an_unknown_outcome_is_refused_and_leaves_no_row() -> None:
    log = AttemptLog()
    with pytest.raises(KeyError):
        log.append(**row(outcome="maybe"))
    assert len(log) == 0


def test_a_log_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AttemptLog(0)


def test_an_unknown_column_of_names_is_refused_by_saying_which_exist() -> None:
    with pytest.raises(ValueError, match="server, tool, strategy"):
        AttemptLog().columns().coded("colour")


def test_a_log_says_how_full_it_is_and_what_it_forgot() -> None:
    log = AttemptLog(2)
    for call in range(5):
        log.append(**row(call))
    assert repr(log) == "<AttemptLog: 2 attempts, 3 older dropped>"


@given(st.lists(st.text(max_size=4)))
def test_a_name_table_gives_each_name_one_code_and_each_code_its_name(names: list[str]) -> None:
    table = NameTable(1000)
    codes = [table[name] for name in names]
    assert [table[name] for name in names] == codes
    assert [table.names[code] for code in codes] == [
        n.encode("utf-8", "backslashreplace").decode() for n in names
    ]
    assert len(set(table.names)) == len(table.names)


def test_names_that_look_alike_once_cut_share_a_code() -> None:
    table = NameTable(1000)
    first, second = table["x" * 400 + "a"], table["x" * 400 + "b"]
    assert first == second
    assert len(table.names[first]) == 300


def test_a_full_table_counts_what_it_cannot_keep_and_keeps_what_it_has() -> None:
    table = NameTable(3)
    assert [table[name] for name in "abcda"] == [1, 2, 3, 3, 1]
    assert table.names == ["", "a", "b", OTHER]
    assert table.overflow == 2


def test_a_lone_surrogate_is_spelt_out_because_arrow_would_refuse_it() -> None:
    table = NameTable(10)
    assert table.names[table["bad \ud800"]] == "bad \\ud800"
