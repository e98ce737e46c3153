"""What holds of every fusion, whatever the answers are."""

from __future__ import annotations

import copy
import math
import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.aggregation import METHODS, Answer, Fused, fuse
from mcpnb.aggregation.numbers import average, close, neighbours, relative_spread
from mcpnb.aggregation.shapes import alike
from mcpnb.aggregation.units import convert

numbers = st.integers() | st.floats() | st.sampled_from([0, 1, 10**400, -(10**400), 1.7e308, -0.0, math.nan])
# A shared machine stalls now and then, and pint takes half a second to load: neither is a failure.
patient = settings(deadline=None)

bare_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=3),
    max_leaves=10,
)
"""Without names and texts that mean something."""
texts = st.text(max_size=3) | st.sampled_from(
    ["12 °C", "50 °F", "1,234", "12,5", "2026-07-28", "28 July 2026", "2026-07-28T10:00:00Z", "[1]",
     '{"a": 1}', "°C", "°F", "a longer text", "A  longer text", "rain", "Rain", "https://example.org/a/"]
)  # fmt: skip
scalars = st.none() | st.booleans() | numbers | texts
names = st.sampled_from(
    ["a", "b", "value", "result", "temp_c", "temp_f", "temperature", "wind_mph", "windKmh", "unit", "id",
     "url", "date", "title", "score", "confidence", "timestamp", "_source"]
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
# Servers that often say the same or nearly so, as real ones do.
alike_values = st.lists(values, min_size=1, max_size=3).flatmap(
    lambda few: st.lists(st.sampled_from(few), min_size=1, max_size=5)
)
many_values = alike_values | st.lists(values, min_size=1, max_size=5)
finite = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)
PAIRS = [
    ("degF", "degC"), ("mile/hour", "kilometer/hour"), ("inHg", "hectopascal"), ("mile", "kilometer"),
    ("pound", "kilogram"), ("megabyte", "byte"),
]  # fmt: skip
methods = st.sampled_from([None, *METHODS])
unordered = st.sampled_from([method for method in METHODS if method != "first"])
whole = st.sampled_from([None, *(method for method in METHODS if method != "concat")])


def answers_of(them) -> list[Answer]:
    return [Answer(f"s{i}", value) for i, value in enumerate(them)]


def plain(value: object) -> object:
    """A fused value without the names of the sources in its records."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: plain(each) for name, each in value.items() if name != "_source"}


def same(left: Fused, right: Fused) -> bool:
    """Equal, with NaN equal to NaN."""
    return (
        alike(left.value) == alike(right.value)
        and [(row.key, alike(row.value), row.servers) for row in left.rows]
        == [(row.key, alike(row.value), row.servers) for row in right.rows]
        and [(each.key, alike(dict(each.values))) for each in left.conflicts]
        == [(each.key, alike(dict(each.values))) for each in right.conflicts]
        and sorted(left.left_out, key=repr) == sorted(right.left_out, key=repr)
        and left.confidence == right.confidence
    )


@patient
@given(many_values, methods, st.floats(0, 2))
def test_a_fusion_never_raises(them, method, tolerance):
    assert fuse(answers_of(them), method, tolerance=tolerance).method in METHODS


@patient
@given(many_values, unordered, st.data())
def test_the_order_of_the_answers_does_not_matter(them, method, data):
    given_ = answers_of(them)
    assert same(fuse(given_, method), fuse(data.draw(st.permutations(given_)), method))


@patient
@given(many_values, st.data())
def test_the_order_of_the_answers_does_not_matter_for_the_choice_of_the_method(them, data):
    given_ = answers_of(them)
    assert fuse(given_).method == fuse(data.draw(st.permutations(given_))).method


@patient
@given(values, whole)
def test_one_source_alone_is_taken_as_it_is(value, method):
    assert alike(plain(fuse([Answer("only", value)], method).value)) == alike(plain(value))


@patient
@given(values, methods)
def test_fusing_what_was_fused_changes_nothing(value, method):
    once = fuse([Answer("only", value)], method)
    again = fuse([Answer("only", once.value)], once.method)
    assert alike(again.value) == alike(once.value)


@patient
@given(st.lists(values, max_size=4))
def test_a_list_from_one_source_alone_is_concatenated_to_itself(items):
    assert alike(plain(fuse([Answer("only", items)], "concat").value)) == alike(plain(items))


@patient
@given(many_values, methods)
def test_every_source_is_in_a_row_or_a_conflict_or_left_out_with_a_reason(them, method):
    fused = fuse(answers_of(them), method)
    seen = {server for row in fused.rows for server in row.servers}
    seen |= {server for conflict in fused.conflicts for server in conflict.values}
    seen |= {each.server for each in fused.left_out if each.reason}
    assert seen == {answer.server for answer in answers_of(them)}


def at(value, key: str):
    """What stands at a row's key."""
    for name, place in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        value = value[int(place)] if place else value[name]
    return value


@patient
@given(many_values, whole)
def test_every_row_says_what_stands_in_the_value(them, method):
    fused = fuse(answers_of(them), method)
    if fused.method != "concat":
        for row in fused.rows:
            assert alike(at(fused.value, row.key)) == alike(row.value)


@patient
@given(many_values, methods)
def test_answers_are_never_changed(them, method):
    before = copy.deepcopy(them)
    fuse(answers_of(them), method)
    assert alike(them) == alike(before)


@patient
@given(values, st.integers(2, 5), st.sampled_from([method for method in METHODS if method != "concat"]))
def test_equal_answers_fuse_to_that_answer_without_a_conflict(value, count, method):
    fused = fuse(answers_of([value] * count), method)
    assert alike(fused.value) == alike(value)
    assert fused.conflicts == ()


@patient
@given(
    st.lists(scalars, min_size=1, max_size=3),
    st.integers(1, 5),
    st.lists(st.sampled_from([0.1, 0.5, 1.0]), min_size=11, max_size=11),
)
def test_a_vote_picks_a_true_majority(others, extra, weights):
    winner = "the winner"
    given_ = [
        Answer(f"a{i}", value, confidence=w)
        for i, (value, w) in enumerate(zip(others, weights, strict=False))
    ]
    lead = math.ceil(sum(each.confidence for each in given_)) + extra
    given_ += [Answer(f"w{i}", winner) for i in range(lead)]
    assert fuse(given_, "vote").value == winner


@patient
@given(st.lists(finite, min_size=4, max_size=4), finite)
def test_an_outlier_of_one_source_among_five_moves_the_median_by_one_rank_at_most(them, outlier):
    honest = sorted(them)
    assert honest[1] <= fuse(answers_of([*them, outlier]), "median").value <= honest[2]


@patient
@given(finite, st.integers(1, 50), st.sampled_from(["mean", "median", "weighted"]))
def test_the_mean_of_equal_numbers_is_that_number(number, count, method):
    assert fuse(answers_of([number] * count), method).value == number


@patient
@given(st.floats(-1e6, 1e6), st.sampled_from(PAIRS))
def test_a_conversion_there_and_back_is_the_number_itself(number, pair):
    there = convert(number, *pair)
    assert convert(there, pair[1], pair[0]) == pytest.approx(number, rel=1e-9, abs=1e-6)


@patient
@given(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_a_mean_lies_between_its_numbers(them):
    assert min(them) <= average(them) <= max(them)


@patient
@given(many_values, methods)
def test_confidence_is_a_share(them, method):
    assert 0.0 <= fuse(answers_of(them), method).confidence <= 1.0


@patient
@given(st.lists(bare_values, min_size=1, max_size=5))
def test_every_record_of_every_source_is_in_a_concat_or_left_out(them):
    lists = [value if isinstance(value, list) else [value] for value in them]
    fused = fuse(answers_of(lists), "concat")
    kept = {alike(row.value) for row in fused.rows}
    assert kept == {alike(item) for items in lists for item in items}


@settings(max_examples=20, deadline=None)
@given(values, methods)
def test_fifty_servers_are_fused_like_two(value, method):
    fused = fuse(answers_of([value] * 50), method)
    assert {server for row in fused.rows for server in row.servers} <= {f"s{i}" for i in range(50)}


@settings(max_examples=10, deadline=None)
@given(
    st.lists(values, min_size=2, max_size=6).flatmap(
        lambda few: st.lists(st.sampled_from(few), min_size=50, max_size=50)
    ),
    methods,
)
def test_fifty_servers_that_say_different_things_do_not_raise(them, method):
    fused = fuse(answers_of(them), method)
    seen = {server for row in fused.rows for server in row.servers}
    seen |= {server for conflict in fused.conflicts for server in conflict.values}
    assert seen | {each.server for each in fused.left_out} == {f"s{i}" for i in range(50)}


@patient
@given(st.lists(finite, min_size=1, max_size=12, unique=True), st.floats(0, 0.99))
def test_numbers_close_to_each_other_are_found_without_comparing_each_with_each(them, tolerance):
    ordered = sorted(them)
    near = [[other for other in ordered if close(number, other, tolerance)] for number in ordered]
    assert [[ordered[place] for place in places] for places in neighbours(ordered, tolerance)] == near


@patient
@given(st.lists(finite, min_size=1, max_size=7))
def test_what_is_worked_out_in_floats_is_what_fractions_give(them):
    exact = sum(map(Fraction, them)) / len(them)
    assert average(them) == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
    assert relative_spread(them) == pytest.approx(
        relative_spread([number * Fraction(10) ** 200 for number in them]), rel=1e-9
    )


@pytest.mark.parametrize("method", [None, *METHODS])
def test_values_nested_beyond_reason_do_not_raise(method):
    deep: object = 1
    for _ in range(5_000):
        deep = [deep]
    assert fuse([Answer("a", deep), Answer("b", deep)], method).rows
    wide: object = {"a": 1}
    for _ in range(5_000):
        wide = {"a": wide, "b": 1}
    assert fuse([Answer("a", wide), Answer("b", 3)], method).rows


@pytest.mark.parametrize("method", list(METHODS))
def test_values_that_are_no_json_do_not_raise(method):
    fused = fuse(
        [Answer("a", object()), Answer("b", {1: {2}}), Answer("c", b"x"), Answer("d", (1, 2))], method
    )
    assert fused.method == method
