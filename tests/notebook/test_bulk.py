"""`fleet.map` as a person meets it: a row out for a row in, whatever the servers make of it."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pandas as pd
import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb.model import OUTCOMES
from mcpnb.portal import get_portal

COLUMNS = ["value", "server", "latency_ms", "attempts", "outcome", "error"]
READS = ToolAnnotations(read_only_hint=True)


class Counted:
    """A server that remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.asked: list[object] = []
        self.server = MCPServer(name, log_level="CRITICAL")
        self.open = asyncio.Event()

        @self.server.tool(annotations=READS)
        async def square(n: int) -> int:
            """The square of a number."""
            self.asked.append(n)
            if n == 13:
                raise RuntimeError("thirteen")
            return n * n

        @self.server.tool(annotations=READS)
        async def weather(location: str, days: int = 1, value: str = "") -> dict[str, object]:
            self.asked.append((location, days, value))
            return {"location": location, "days": days}

        self.busy = threading.Event()

        @self.server.tool(annotations=READS)
        async def gated(n: int) -> int:
            self.asked.append(n)
            if len(self.asked) == 3:
                self.busy.set()
            await self.open.wait()
            return n


@pytest.fixture(scope="module")
def counted() -> Counted:
    return Counted("alpha")


@pytest.fixture(scope="module")
def connected(counted):
    with mcpnb.connect({"alpha": counted.server}) as fleet:
        yield fleet


@pytest.fixture
def fleet(connected, counted):
    counted.asked.clear()
    counted.open = asyncio.Event()
    counted.busy.clear()
    return connected


async def opened(counted: Counted) -> None:
    counted.open.set()


def mapped(verbs, tool, rows, **settings) -> pd.DataFrame:
    return verbs.map(tool, rows, progress=False, **settings)


def test_dicts_come_back_with_what_became_of_them_in_their_order(fleet):
    frame = mapped(fleet, "square", [{"n": n} for n in range(20, 60)], concurrency=7)
    assert list(frame.columns) == ["n", *COLUMNS]
    assert frame["value"].tolist() == [n * n for n in range(20, 60)]
    assert set(frame["server"]) == {"alpha"}
    assert (frame["latency_ms"] > 0).all()
    assert (frame["attempts"] == 1).all()
    assert (frame["outcome"] == "ok").all()
    assert frame["error"].isna().all()


def test_the_columns_and_their_kinds_are_the_same_when_there_are_no_rows(fleet):
    empty, full = mapped(fleet, "square", []), mapped(fleet, "square", [{"n": 2}])
    assert list(empty.columns) == COLUMNS
    assert list(empty["outcome"].cat.categories) == list(OUTCOMES)
    for column in ("latency_ms", "attempts", "outcome", "error"):
        assert empty[column].dtype == full[column].dtype


def test_a_frame_keeps_its_columns_and_its_index_and_leaves_out_empty_cells(fleet, counted):
    rows = pd.DataFrame({"location": ["Rome", "Oslo", "Łódź"], "days": [2, None, 3]}, index=["r", "o", "l"])
    frame = mapped(fleet, "weather", rows)
    assert list(frame.index) == ["r", "o", "l"]
    assert frame["days"].isna().tolist() == [False, True, False]
    assert sorted(counted.asked) == [("Oslo", 1, ""), ("Rome", 2, ""), ("Łódź", 3, "")]
    assert [type(days) for _, days, _ in counted.asked] == [int, int, int]
    pd.testing.assert_frame_equal(rows, frame[["location", "days"]])


def test_single_values_are_the_one_required_argument(fleet):
    assert mapped(fleet, "square", range(3))["value"].tolist() == [0, 1, 4]
    assert mapped(fleet, "weather", ["Rome"])["location"].tolist() == ["Rome"]
    cities = pd.Series(["Rome", "Oslo"], index=[7, 9], name="city")
    assert mapped(fleet, "weather", cities)["location"].to_dict() == {7: "Rome", 9: "Oslo"}
    days = pd.Series([np.int64(3)], name="days")
    assert mapped(fleet, "weather", days)["error"][0].startswith("weather: location: is required")


def test_a_generator_may_call_the_fleet_itself(fleet):
    def numbers():
        for n in range(3):
            yield {"n": fleet.call("square", n=n).value}

    assert mapped(fleet, "square", numbers())["value"].tolist() == [0, 1, 16]


def test_rows_with_the_same_arguments_are_called_once(fleet, counted):
    frame = mapped(fleet, "square", [{"n": 4}, {"n": 5}, {"n": 4}, {"n": 13}, {"n": 13}])
    assert sorted(counted.asked) == [4, 5, 13]
    assert frame["value"].tolist()[:3] == [16, 25, 16]
    assert frame["attempts"].tolist() == [1, 1, 0, 1, 0]
    assert frame["outcome"].tolist()[3:] == ["tool_error", "tool_error"]
    assert frame["latency_ms"][2] == frame["latency_ms"][0]


def test_a_bad_row_is_a_row_that_says_what_is_wrong(fleet, counted):
    rows = [{"n": 2}, {"n": "two"}, {"m": 2}, "text", {"n": {1, 2}}, {"n": 13}]
    frame = mapped(fleet, "square", rows)
    assert counted.asked == [2, 13]
    assert frame["outcome"].tolist() == ["ok", *["rejected"] * 4, "tool_error"]
    assert frame["latency_ms"].isna().tolist() == [False, True, True, True, True, False]
    said = frame["error"].tolist()
    assert "must be a whole number, not the text 'two'" in said[1]
    assert "is required" in said[2]
    assert "must be a whole number" in said[3]  # a single value is the argument
    assert said[4] == "n: a set has no JSON form"
    assert said[5] == "Error executing tool square"


def test_an_argument_called_like_a_column_of_ours_is_told_apart(fleet):
    frame = mapped(fleet, "weather", [{"location": "Rome", "value": "x"}])
    assert list(frame.columns) == ["location", "value_", *COLUMNS]
    assert list(mapped(fleet, "weather", pd.DataFrame({"location": ["a"], "value": ["b"]})).columns) == [
        "location", "value_", *COLUMNS,
    ]  # fmt: skip


def test_raise_stops_at_the_first_error_and_the_error_has_what_was_done(fleet):
    with pytest.raises(mcpnb.MapStopped, match=r'row 3 \{"n":13\}') as caught:
        mapped(fleet, "square", [1, 2, 3, 13, *range(20, 500)], on_error="raise", concurrency=1)
    assert isinstance(caught.value.error, mcpnb.ToolError)
    assert caught.value.__cause__ is caught.value.error
    assert caught.value.row == 3
    frame = caught.value.frame
    assert len(frame) == 484
    assert frame["value"][:3].tolist() == [1, 4, 9]
    assert frame["outcome"].iloc[-1] == "cancelled"


def test_rows_that_break_off_leave_what_was_done(fleet, tmp_path):
    def rows(*, whole):
        yield {"n": 3}
        yield {"n": 4}
        if not whole:
            raise OSError("the disk is gone")
        yield {"n": 5}

    with pytest.raises(mcpnb.MapStopped, match="row 2: OSError: the disk is gone") as caught:
        mapped(fleet, "square", rows(whole=False), checkpoint=tmp_path / "kept")
    assert caught.value.row == 2
    assert caught.value.frame["value"].tolist() == [9, 16]
    goes_on = mapped(fleet, "square", rows(whole=True), checkpoint=tmp_path / "kept")
    assert goes_on["value"].tolist() == [9, 16, 25]
    assert goes_on["latency_ms"].tolist()[:2] == caught.value.frame["latency_ms"].tolist()


def test_a_generator_is_pulled_no_further_ahead_than_its_window(fleet, counted):
    pulled = []

    def endless():
        for n in range(10_000):
            pulled.append(n)
            if n == 200:  # only once the first calls have ended can it come this far
                assert counted.open.is_set()
            yield {"n": n}

    def release() -> None:
        assert counted.busy.wait(20)
        assert len(pulled) <= 64
        get_portal().call(opened, counted)

    opener = threading.Thread(target=release)
    opener.start()
    frame = mapped(fleet, "gated", (row for row in endless() if row["n"] < 300), concurrency=4)
    opener.join()
    assert frame["value"].tolist() == list(range(300))


def test_the_same_verb_can_be_awaited_and_is_on_views(fleet):
    async def cell() -> pd.DataFrame:
        return await fleet.aio.map("square", [1, 2], progress=False)

    assert asyncio.run(cell())["value"].tolist() == [1, 4]
    assert mapped(fleet.options(server="alpha", timeout=20), "square", [3])["value"].tolist() == [9]


def test_an_awaited_run_that_is_cancelled_cancels_what_is_out(fleet, counted):
    async def cell() -> None:
        running = asyncio.ensure_future(fleet.aio.map("gated", range(9), progress=False, concurrency=3))
        assert await asyncio.to_thread(counted.busy.wait, 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    before = len(fleet.calls)
    asyncio.run(cell())
    assert counted.asked == [0, 1, 2]
    assert fleet.calls["outcome"][before:].tolist() == ["cancelled"] * 3


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ("Rome", TypeError, "rows is one str"),
        (7, TypeError, "rows is one int"),
        ({"n": 1}, TypeError, r"\[row\]"),
        (pd.DataFrame({0: [1]}), mcpnb.ArgumentError, "each column"),
        (pd.DataFrame([[1, 2]], columns=["n", "n"]), mcpnb.ArgumentError, "each column"),
    ],
)
def test_what_is_no_rows_is_refused_at_once(fleet, counted, rows, error, words):
    with pytest.raises(error, match=words):
        mapped(fleet, "square", rows)
    assert counted.asked == []


def test_single_values_need_a_tool_that_takes_one(fleet):
    @(server := MCPServer("two", log_level="CRITICAL")).tool()
    def add(a: int, b: int) -> int:
        return a + b

    with (
        mcpnb.connect({"two": server}) as two,
        pytest.raises(mcpnb.ArgumentError, match="one required argument; it takes a: int, b: int"),
    ):
        mapped(two, "add", [1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"on_error": "ignore"}, "'record' or 'raise'"),
    ],
)
def test_a_setting_that_is_none_is_refused(fleet, settings, words):
    with pytest.raises(ValueError, match=words):
        mapped(fleet, "square", [1], **settings)


def test_an_executor_is_refused_in_words(fleet):
    with pytest.raises(mcpnb.ConfigError, match="Dask"):
        mapped(fleet, "square", [1], executor=object())


def test_a_tool_that_nobody_has_is_mapped_over_what_stands_in_for_it(fleet, counted):
    fleet.fallback("power", ["nowhere", "square"])
    try:
        frame = mapped(fleet, "power", [2, 3])
    finally:
        fleet.fallback("power", [])
    assert frame["value"].tolist() == [4, 9]
    assert counted.asked == [2, 3]


def test_an_unknown_tool_is_refused_before_any_row_is_looked_at(fleet):
    def never():
        raise AssertionError
        yield

    with pytest.raises(mcpnb.ToolNotFound, match="square"):
        mapped(fleet, "sqare", never())


def test_the_bar_says_rows_and_errors_and_leaves_no_thread(fleet, capsys):
    before = threading.active_count()
    fleet.map("square", [1, 13, "x", 1])
    said = capsys.readouterr().err
    assert "square: 100%" in said
    assert "4/4" in said
    assert "2 errors" in said
    assert threading.active_count() == before


def test_values_that_are_all_whole_stay_whole_beside_failures(fleet):
    frame = mapped(fleet, "square", [2**30, 13])
    assert frame["value"].dtype == "Int64"
    assert frame["value"][0] == 2**60
