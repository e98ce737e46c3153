"""The `.df` of an answer: what counts as a table, what does not, and what is said then."""

from __future__ import annotations

import copy
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.errors import McpnbError
from mcpnb.notebook.frames import NoTable, to_frame

RECORDS = [
    {"day": 1, "temp": {"min": 3.5, "max": 9.0}},
    {"day": 2, "temp": {"min": 4.0, "max": 8.5}, "rain": True},
]


def cells(frame: pd.DataFrame) -> dict[Any, list[Any]]:
    """Columns as lists, missing cells as None."""
    objects = frame.astype(object)
    return objects.where(objects.map(_present), None).to_dict("list")


def _present(cell: object) -> bool:
    return isinstance(cell, (list, dict, tuple)) or not pd.isna(cell)


single = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
keys = st.sampled_from(["a", "b", "a.b", "result", "columns", "rows", "", "x_"])
answers = st.recursive(
    single,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(answers, st.text(max_size=20))
def test_any_answer_gives_a_frame_or_a_reason_and_is_not_changed(value: Any, text: str) -> None:
    before = copy.deepcopy(value)
    try:
        frame = to_frame(value, text)
    except NoTable as error:
        reason = error.found
    else:
        reason = "columns are told apart" if frame.columns.is_unique else ""
    assert reason
    assert value == before


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-1000, 1000), min_size=1), min_size=1))
def test_records_keep_every_cell(records: list[dict[str, int]]) -> None:
    frame = to_frame(records)
    assert len(frame) == len(records)
    shown = cells(frame)
    for i, record in enumerate(records):
        assert {name: column[i] for name, column in shown.items() if column[i] is not None} == record


@given(
    st.lists(
        st.tuples(st.integers(-1000, 1000), st.sampled_from(["x", "a b", "007", "true-ish"])), min_size=1
    )
)
def test_csv_markdown_and_json_of_one_table_are_the_same_frame(rows: list[tuple[int, str]]) -> None:
    csv = "n,name\n" + "".join(f"{n},{name}\n" for n, name in rows)
    markdown = "| n | name |\n|--:|:-----|\n" + "".join(f"| {n} | {name} |\n" for n, name in rows)
    records = json.dumps([{"n": n, "name": name} for n, name in rows])
    expected = to_frame({"n": [n for n, _ in rows], "name": [name for _, name in rows]})
    for text in (csv, markdown, records, f"```\n{csv}```"):
        pd.testing.assert_frame_equal(to_frame(text), expected)


def test_records_spread_nested_objects_over_dotted_columns() -> None:
    assert cells(to_frame(RECORDS)) == {
        "day": [1, 2], "temp.min": [3.5, 4.0], "temp.max": [9.0, 8.5], "rain": [None, True],
    }  # fmt: skip


def test_an_object_around_one_list_of_records_repeats_its_other_fields_in_each_row() -> None:
    frame = to_frame({"location": {"name": "London"}, "days": RECORDS, "units": "C"})
    assert list(frame.columns) == ["location.name", "day", "temp.min", "temp.max", "rain", "units"]
    assert frame["location.name"].tolist() == ["London", "London"]


def test_the_one_list_of_records_is_found_at_any_depth() -> None:
    assert cells(to_frame({"data": {"items": [{"a": 1}], "page": 2}})) == {"a": [1], "data.page": [2]}


def test_an_outer_field_with_the_name_of_a_column_is_told_apart() -> None:
    frame = to_frame({"location": "outer", "days": [{"location": "inner"}]})
    assert cells(frame) == {"location_": ["outer"], "location": ["inner"]}
    assert cells(to_frame({"a": {"b": 1}, "a.b": 2})) == {"a.b": [1], "a.b_": [2]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2], "b": ["x", None]}, {"a": [1, 2], "b": ["x", None]}),
        ({"temperature": 20.5, "sky": {"cover": 0.3}}, {"temperature": [20.5], "sky.cover": [0.3]}),
        ({"temperature": 20, "alerts": []}, {"temperature": [20], "alerts": [[]]}),
        (
            {"temperature": 20, "alerts": ["wind", "rain"]},
            {"temperature": [20], "alerts": [["wind", "rain"]]},
        ),
        ({"lat": 1, "h": {"t": [1, 2], "v": [3, 4]}}, {"lat": [1, 1], "h.t": [1, 2], "h.v": [3, 4]}),
        ({"columns": ["a", "b"], "rows": [[1, "x"], [2, "y"]]}, {"a": [1, 2], "b": ["x", "y"]}),
        ({"columns": ["a", "a"], "data": [[1, 2]]}, {"a": [1], "a_": [2]}),
        (
            {"columns": ["a", "b"], "rows": [{"a": 1, "b": "x"}, {"b": "y", "a": 2}], "row_count": 2},
            {"a": [1, 2], "b": ["x", "y"]},
        ),
        ({"columns": ["a"], "rows": []}, {"a": []}),
        ([1, 2.5, None], {"value": [1, 2.5, None]}),
        (["x", "y"], {"value": ["x", "y"]}),
        ([[1, "x"], [2, "y"]], {0: [1, 2], 1: ["x", "y"]}),
        ([], {}),
        ({"result": [1, 2]}, {"result": [1, 2]}),
        ({"result": "a,b\n1,2"}, {"a": [1], "b": [2]}),
        ({"result": {"a": 1}}, {"a": [1]}),
        ({"result": [{"a": 1}]}, {"a": [1]}),
        ([{"big": 10**30}], {"big": [10**30]}),
    ],
)
def test_shapes_that_are_tables(value: Any, expected: dict[Any, list[Any]]) -> None:
    assert cells(to_frame(value)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1;2,5\n", {"a": [1], "b": ["2,5"]}),
        ("a\tb\n1\t\n2\tx\n", {"a": [1, 2], "b": [None, "x"]}),
        ('name,said\nAnn,"Hello, Bob"\n', {"name": ["Ann"], "said": ["Hello, Bob"]}),
        ("a, b\n1, 2\n", {"a": [1], "b": [2]}),
        ("id,ok\n0012,true\n0013,FALSE\n", {"id": ["0012", "0013"], "ok": [True, False]}),
        ("id,n\n12345678901234567890,1\n1,2\n", {"id": ["12345678901234567890", "1"], "n": [1, 2]}),
        ("a,a\n1,2\n", {"a": [1], "a_": [2]}),
        ("Here:\n\n| a | b |\n|---|---|\n| 1 | x\\|y |\n\nBye | now", {"a": [1], "b": ["x|y"]}),
        ("a | b\n--|--\n1 | 2 | 3\n4", {"a": [1], "b": ["2 | 3"]}),
        ("| a | b |\n|---|---|\n| 1 |\n", {"a": [1], "b": [None]}),
        ("| a |\n|---|\n", {"a": []}),
        ('Look:\n```json\n[{"a": 1}]\n```\n', {"a": [1]}),
    ],
)
def test_texts_that_are_tables(text: str, expected: dict[str, list[Any]]) -> None:
    assert cells(to_frame(text)) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("Sunny in London, all day.", "text, 'Sunny in London, all day.'"),
        ("Hello, world\nGood, bye", "text"),
        ("First, we went home.\nThen, we slept.", "text"),
        ("x" * 100, "text of 100 characters"),
        ("1,2\n3,4\n", "text"),
        ("a,b\n1,2,3\n", "text"),
        ("| a |\n|---|\n| 1 |\n\n| b |\n|---|\n| 2 |\n", "2 Markdown tables"),
        ('{"broken": ', "text"),
        ("[" * 100_000, "text of 100,000 characters"),
        ("", "empty"),
        (None, "empty"),
        (5, "the single value 5"),
        (True, "the single value True"),
        ({}, "an empty object"),
        ({"a": [1, 2], "b": [1]}, "not equally long: a has 2, b has 1"),
        ({"x": [{"a": 1}], "y": [{"a": 1}]}, "2 tables: x, y"),
        ([1, {"a": 2}], "a list of objects and single values"),
        ([[1], [2, 3]], "lists that are not equally long"),
        (object(), "Python object of the type object"),
    ],
)
def test_what_is_no_table_is_refused_in_words(value: Any, said: str) -> None:
    with pytest.raises(NoTable, match="There is no table in this answer") as caught:
        to_frame(value)
    assert said in str(caught.value)
    assert isinstance(caught.value, McpnbError)
    assert isinstance(caught.value, ValueError)


def test_a_table_in_the_text_serves_when_the_value_has_none() -> None:
    assert cells(to_frame(None, "a,b\n1,2\n")) == {"a": [1], "b": [2]}
    assert cells(to_frame({}, "a,b\n1,2\n")) == {"a": [1], "b": [2]}


def test_when_neither_has_one_the_value_is_named() -> None:
    with pytest.raises(NoTable, match="single value 5"):
        to_frame(5, "five")


def test_a_deeply_nested_answer_stops_spreading_and_keeps_the_rest_whole() -> None:
    value: dict[str, Any] = {"leaf": 1}
    for _ in range(5000):
        value = {"in": value}
    frame = to_frame(value)
    assert frame.shape == (1, 1)
    wrapped: Any = {"a": 1}
    for _ in range(5000):
        wrapped = {"result": wrapped}
    assert cells(to_frame(wrapped)) == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    ["```x\n" * 100_000, "|a\n|" + "-" * 200_000 + " " * 200_000 + "x", "|a\n" + "|-" * 200_000 + "x"],
    ids=["fences", "a rule that ends wrong", "a rule of many columns"],
)
def test_text_made_to_be_slow_is_read_in_one_go(text: str) -> None:
    """Backtracking would take hours and end in this suite's time limit."""
    with pytest.raises(NoTable):
        to_frame(text)


def test_a_lone_surrogate_is_text_like_any_other() -> None:
    assert to_frame([{"a": "\ud800"}])["a"].tolist() == ["\ud800"]
