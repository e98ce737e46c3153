"""What a bulk call holds: little, and nothing of it changed by being packed."""

from __future__ import annotations

import gc
import math
import tracemalloc

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import Tool

from mcpnb.catalog.entry import from_tool
from mcpnb.notebook.bulk.answers import Ended
from mcpnb.notebook.bulk.packed import joined, packed, unpacked
from mcpnb.notebook.bulk.rows import Row, rows_of
from mcpnb.notebook.bulk.run import Bulk, Settings
from mcpnb.notebook.bulk.seen import Seen
from mcpnb.notebook.bulk.verbs import driven
from mcpnb.notebook.tables import series

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ENTRY = from_tool("alpha", Tool(name="double", input_schema=SCHEMA))

TEXTS = st.text(st.characters(exclude_categories=()), max_size=4)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CELLS = (
    st.lists(st.integers(), max_size=6)
    | st.lists(st.floats(), max_size=6)
    | st.lists(st.none() | st.integers(-(2**70), 2**70), max_size=6)
    | st.lists(st.none() | TEXTS, max_size=6)
    | st.lists(NESTED | st.just((1, "a")), max_size=6)
)


@given(parts=st.lists(CELLS, max_size=4))
@settings(max_examples=80, deadline=None)
def test_cells_come_out_as_they_went_in_with_the_dtype_that_all_of_them_get_at_once(parts):
    cells = [cell for part in parts for cell in part]
    held = [packed(part) for part in parts]
    assert repr(unpacked(held)) == repr(cells)
    pd.testing.assert_series_equal(joined(held), series(cells))


def test_what_json_would_change_is_kept_as_it_is():
    class Text(str):
        __slots__ = ()

    odd = [Text("a"), {1: "a"}, {"a": (1,)}, 10**5000, object(), math]
    for cell in odd:
        assert packed([cell, None]).cells()[0] is cell


@given(keys=st.lists(st.integers(0, 40).map(str) | TEXTS.map(ascii), max_size=80))
@settings(max_examples=60, deadline=None)
def test_the_first_row_with_some_arguments_is_found_again(keys):
    seen, first = Seen(), dict[str, int]()
    for row, key in enumerate(keys):
        assert seen.first(key, row) == first.setdefault(key, row)


def test_the_index_finds_everything_again_after_it_has_grown():
    seen = Seen()
    assert [seen.first(str(n), n) for n in range(5_000)] == list(range(5_000))
    assert [seen.first(str(n), 9_999) for n in range(0, 5_000, 7)] == list(range(0, 5_000, 7))


@pytest.mark.parametrize(
    ("answer", "most"), [(lambda n: 2 * n, 110), (lambda n: {"twice": 2 * n, "town": f"town {n}"}, 150)]
)
def test_a_row_of_a_generator_holds_little_more_than_its_arguments_and_its_answer(answer, most):
    async def ask(row: Row) -> Ended:
        value = answer(row.arguments["n"])
        return Ended(row.place, value, "alpha", 0.1, 1, "ok", None, row.key)

    count, held = 20_000, []

    def numbers():
        for n in range(count):
            yield n
            if n == count - 1:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        made = Settings(progress=False, concurrency=64)
        frame = driven(Bulk(ENTRY.name, rows_of(numbers(), ENTRY), ask, made), lambda: None)
    finally:
        tracemalloc.stop()
    window = 2 * 4_096 * 400  # rows that are not packed yet
    assert held[0] < count * most + window
    assert len(frame) == count
