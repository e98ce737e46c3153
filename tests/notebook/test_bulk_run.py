"""Runs of bulk calls without servers: windows, checkpoints, interrupts, and that nothing is called twice."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import Tool

from mcpnb.catalog.entry import from_tool
from mcpnb.errors import ConfigError, ServerDisconnected
from mcpnb.notebook.bulk.answers import Ended
from mcpnb.notebook.bulk.checkpoint import Checkpoint
from mcpnb.notebook.bulk.rows import Row, plain, rows_of
from mcpnb.notebook.bulk.run import Bulk, MapStopped, Settings
from mcpnb.notebook.bulk.verbs import driven

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ENTRY = from_tool("alpha", Tool(name="double", input_schema=SCHEMA))


class Servers:
    """Answers rows, and remembers which."""

    def __init__(self, bad: Iterable[int] = (), kind: str = "tool_error", stop_at: int | None = None) -> None:
        self.asked: list[int] = []
        self._bad, self._kind, self._stop_at = set(bad), kind, stop_at

    async def __call__(self, row: Row) -> Ended:
        n = row.arguments["n"]
        self.asked.append(n)
        if n == self._stop_at:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if n in self._bad:
            return Ended(row.place, None, "alpha", 0.1, 1, self._kind, "no", row.key)  # type: ignore[arg-type]
        return Ended(row.place, {"twice": 2 * n}, "alpha", 0.1, 1, "ok", None, row.key)


class Ticks:
    """A clock that moves a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def run(
    rows: object, servers: Servers, *, repeatable: bool = False, check=lambda: None, **given: object
) -> pd.DataFrame:
    made = Settings(progress=False, **given)  # type: ignore[arg-type]
    clock = Ticks() if made.checkpoint else time.monotonic  # with ticks every row or two is kept at once
    bulk = Bulk(ENTRY.name, rows_of(rows, ENTRY), servers, made, repeatable=repeatable, clock=clock)
    return driven(bulk, check)


@given(rows=st.lists(st.integers(0, 30), max_size=60), size=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_every_row_is_answered_in_its_place_and_no_arguments_are_sent_twice(rows, size):
    servers = Servers()
    frame = run(rows, servers, concurrency=size)
    assert [value["twice"] for value in frame["value"]] == [2 * n for n in rows]
    assert sorted(servers.asked) == sorted(set(rows))


def test_however_many_rows_there_are_only_a_window_of_them_is_held():
    pulled = 0
    ahead = []

    def endless():
        nonlocal pulled
        for n in range(20_000):
            pulled += 1
            ahead.append(pulled - len(servers.asked))
            yield n

    servers = Servers()
    frame = run(endless(), servers, concurrency=16)
    assert len(frame) == 20_000
    assert max(ahead) <= 64 + 1
    assert frame["value"][19_999] == {"twice": 39_998}


def test_a_generator_of_dicts_keeps_arguments_that_not_every_row_has():
    rows = ({"n": n} if n % 2 else {"n": n, "m": n} for n in range(9_000))
    frame = run(rows, Servers(), concurrency=16)
    assert frame["m"].notna().sum() == 4_500
    assert frame["m"][8_998] == 8_998
    assert frame["n"].tolist() == list(range(9_000))


# -- interrupts


def interrupting(servers: Servers, after: int):
    """A check that behaves like Kernel → Interrupt once that many rows were asked."""

    def check() -> None:
        if len(servers.asked) >= after:
            raise KeyboardInterrupt

    return check


def test_an_interrupt_gives_what_is_done_and_says_so_in_one_line(capsys):
    servers = Servers(stop_at=70)
    frame = run(range(200), servers, concurrency=2, check=interrupting(servers, 71))
    assert len(frame) == 200
    assert frame["n"].tolist() == list(range(200))
    done = frame[frame["outcome"] == "ok"]
    assert done["n"].tolist()[:70] == list(range(70))
    assert frame["error"][70] == "interrupted while it was out: it may have run"
    assert frame["error"][199].startswith("not sent")
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"interrupted after {len(done)} of 200 rows" in said


def test_of_an_interrupted_generator_the_frame_has_the_rows_that_were_pulled():
    servers = Servers(stop_at=5)
    frame = run((n for n in range(100_000)), servers, concurrency=1, check=interrupting(servers, 6))
    assert 6 <= len(frame) <= 200
    assert frame["outcome"].iloc[0] == "ok"
    assert frame["outcome"].iloc[-1] == "cancelled"


def test_an_interrupt_within_the_rows_own_code_is_an_interrupt():
    def rows():
        yield 1
        yield 2
        raise KeyboardInterrupt

    assert len(run(rows(), Servers())) == 2


@given(at=st.integers(9, 5_000))
@settings(max_examples=30, deadline=None)
def test_whatever_line_of_ours_an_interrupt_hits_no_row_is_lost_or_half_written(at):
    left = at

    def trace(frame, event, _):
        nonlocal left  # the first lines are those before anything begins
        if "notebook/bulk/" not in frame.f_code.co_filename.replace(os.sep, "/"):
            return None
        left -= event == "line"
        if left == 0 and event == "line":
            left = -1  # once
            raise KeyboardInterrupt
        return trace

    servers = Servers(bad=[7])
    made = Settings(progress=False, concurrency=3)
    bulk = Bulk(ENTRY.name, rows_of([*range(100), 5, 7], ENTRY), servers, made)
    before = sys.gettrace()
    try:
        sys.settrace(trace)
        frame = driven(bulk, lambda: None)
    finally:
        sys.settrace(before)
    assert len(frame) == 102
    for row in frame.itertuples():
        if row.outcome == "ok":
            assert row.value == {"twice": 2 * row.n}
        else:
            assert row.outcome == "cancelled" or row.n == 7
    done = int((frame["outcome"] != "cancelled").sum())
    assert done >= min(len(servers.asked) - 3, 100)  # all but what was out


# -- checkpoints


def test_rows_that_are_done_are_not_called_again(tmp_path: Path):
    first, again = Servers(), Servers()
    before = run(range(50), first, checkpoint=tmp_path / "c", concurrency=3)
    after = run(range(60), again, checkpoint=tmp_path / "c", concurrency=3)
    assert again.asked == list(range(50, 60))
    pd.testing.assert_frame_equal(before, after.iloc[:50], check_dtype=False)
    files = len(list((tmp_path / "c").iterdir()))
    run(range(60), Servers(), checkpoint=tmp_path / "c")
    assert len(list((tmp_path / "c").iterdir())) == files


@pytest.mark.parametrize("stopped_at", [0, 1, 17, 48])
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, stopped_at: int, capsys):
    first, again = Servers(stop_at=stopped_at), Servers()
    run(range(50), first, checkpoint=tmp_path / "c", concurrency=1, check=interrupting(first, stopped_at + 1))
    assert "goes on from here" in capsys.readouterr().out
    frame = run(range(50), again, checkpoint=tmp_path / "c", concurrency=1)
    assert sorted(first.asked + again.asked) == list(range(50))
    assert frame["outcome"].tolist().count("ok") == 49
    assert frame["error"][stopped_at] == "interrupted while it was out: it may have run"
    last = Servers()
    whole = run(range(50), last, checkpoint=tmp_path / "c", repeatable=True)
    assert last.asked == [stopped_at]
    assert (whole["outcome"] == "ok").all()


@pytest.mark.parametrize(
    ("kind", "repeatable", "called"),
    [
        ("tool_error", True, []),
        ("timeout", False, []),
        ("timeout", True, [3]),
        ("disconnected", True, [3]),
        ("refused", False, [3]),
    ],
)
def test_of_rows_that_failed_those_are_called_again_that_may_be(tmp_path: Path, kind, repeatable, called):
    run(range(6), Servers([3], kind), checkpoint=tmp_path / "c")
    again = Servers()
    frame = run(range(6), again, checkpoint=tmp_path / "c", repeatable=repeatable)
    assert again.asked == called
    assert frame["outcome"][3] == ("ok" if called else kind)


def test_who_stops_at_errors_has_the_row_called_again(tmp_path: Path):
    with pytest.raises(MapStopped):
        run(range(3), Servers([1]), checkpoint=tmp_path / "c", on_error="raise", concurrency=1)
    again = Servers()
    run(range(3), again, checkpoint=tmp_path / "c", on_error="raise")
    assert again.asked[0] == 1
    with pytest.raises(MapStopped, match="no"):
        run([9], Servers([9], "timeout"), checkpoint=tmp_path / "d", on_error="raise")
    with pytest.raises(MapStopped, match="no"):
        run([9], Servers(), checkpoint=tmp_path / "d", on_error="raise")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([5, 1, 2], r'row 0 is \{"n":5\} and was \{"n":0\}'),
        ([0, 1], "there are 2 now, and row 2 was done"),
        ([0, 1, {"x": object()}], "row 2 is x: a object"),
    ],
)
def test_other_rows_are_refused(tmp_path: Path, rows, words):
    run(range(3), Servers(), checkpoint=tmp_path / "c")
    servers = Servers()
    with pytest.raises(ConfigError, match=words):
        run(rows, servers, checkpoint=tmp_path / "c")
    assert servers.asked == []


def test_another_tool_another_format_and_another_folder_are_refused(tmp_path: Path):
    Checkpoint(tmp_path / "c", "double")
    with pytest.raises(ConfigError, match="'double', not of 'treble'"):
        Checkpoint(tmp_path / "c", "treble")
    (tmp_path / "c" / "_mcpnb.json").write_text('{"mcpnb_checkpoint": 2, "tool": "double"}')
    with pytest.raises(ConfigError, match="format 2"):
        Checkpoint(tmp_path / "c", "double")
    (tmp_path / "c" / "_mcpnb.json").write_text("{")
    with pytest.raises(ConfigError, match="can be read"):
        Checkpoint(tmp_path / "c", "double")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        Checkpoint(tmp_path / "file", "double")
    with pytest.raises(ConfigError, match="something else"):
        Checkpoint(tmp_path, "double")


def test_without_pyarrow_a_checkpoint_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("mcpnb.notebook.bulk.checkpoint.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"mcpnb\[parquet\]"):
        run([1], Servers(), checkpoint=tmp_path / "c")


def test_a_torn_part_is_said_and_only_its_rows_are_called_again(tmp_path: Path):
    folder = tmp_path / "c"
    run(range(40), Servers(), checkpoint=folder, concurrency=1)
    parts = sorted(folder.glob("part-*"))
    assert len(parts) > 1
    whole = sum(len(pd.read_parquet(part)) for part in parts[:-1])
    parts[-1].write_bytes(parts[-1].read_bytes()[:-20])
    again = Servers()
    with pytest.warns(UserWarning, match="cannot be read"):
        frame = run(range(40), again, checkpoint=folder)
    assert len(again.asked) == 40 - whole
    assert (frame["outcome"] == "ok").all()
    assert len(pd.read_parquet(folder)) == 40


def test_a_disk_that_is_full_stops_the_run_and_loses_nothing(tmp_path: Path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", lambda _: None)
    folder = tmp_path / "c"
    Checkpoint(folder, "double")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MapStopped, match="No space left") as caught:
        run(range(30), Servers(), checkpoint=folder, concurrency=1)
    assert caught.value.frame["value"].notna().any()
    assert [each.name for each in folder.iterdir()] == ["_mcpnb.json"]


def test_a_checkpoint_is_a_parquet_table_of_its_own(tmp_path: Path):
    run([1, 1, 2], Servers([2]), checkpoint=tmp_path / "c")
    table = pd.read_parquet(tmp_path / "c").sort_values("row")
    assert table["row"].tolist() == [0, 2]  # the second was answered by the first
    assert table["arguments"].tolist() == ['{"n":1}', '{"n":2}']
    assert table["value"].tolist() == ['{"twice": 2}', "null"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
), max_leaves=8))  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_values_come_out_of_a_checkpoint_as_they_went_in(tmp_path_factory, value):
    checkpoint = Checkpoint(tmp_path_factory.mktemp("c"), "double")
    row = Ended(0, value, "a", math.nan, 0, "ok", "half \ud800", "{}")
    checkpoint.write([row])
    ((part, rows),) = checkpoint.parts()
    assert rows == [0]
    (back,) = checkpoint.read(part)
    assert repr(back.value) == repr(value)
    assert back.error == "half ?"
    assert math.isnan(back.latency)


# -- cells


@pytest.mark.parametrize(
    ("cell", "json"),
    [
        (pd.Timestamp("2026-01-02 03:04", tz="UTC"), "2026-01-02T03:04:00+00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Series([7])[0], 7),
        (pd.Series([1.5]).to_numpy(), [1.5]),
        ((1, {"a": pd.Series([2])[0]}), [1, {"a": 2}]),
    ],
)
def test_cells_become_json(cell, json):
    assert plain(cell) == json


def test_an_error_of_half_characters_is_a_row_like_any_other():
    async def ask(row: Row) -> Ended:
        return Ended(row.place, "\ud800", "alpha", 0.1, 1, "tool_error", "half \ud800", row.key)

    frame = driven(Bulk("double", rows_of([1], ENTRY), ask, Settings(progress=False)), lambda: None)
    assert frame["error"].tolist() == ["half ?"]
    assert frame["value"].tolist() == ["\ud800"]


def test_an_error_that_is_raised_is_the_servers_own():
    class Gone(Servers):
        async def __call__(self, row: Row) -> Ended:
            error = ServerDisconnected("alpha")
            return Ended(row.place, None, "alpha", 0.1, 1, "disconnected", str(error), row.key, error)

    with pytest.raises(MapStopped) as caught:
        run([1], Gone(), on_error="raise")
    assert isinstance(caught.value.error, ServerDisconnected)
