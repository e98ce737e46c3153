"""What holds of every fusion, whatever the answers are."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpnb.aggregation import METHODS, Answer, Fused, fuse
from mcpnb.aggregation.mean import average
from mcpnb.aggregation.shapes import alike

numbers = st.integers() | st.floats() | st.sampled_from([0, 1, 10**400, -(10**400), 1.7e308, -0.0, math.nan])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=3)
names = st.sampled_from(["a", "b", "value", "result"])
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
methods = st.sampled_from([None, *METHODS])
unordered = st.sampled_from(["concat", "mean"])


def answers_of(them) -> list[Answer]:
    return [Answer(f"s{i}", value) for i, value in enumerate(them)]


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


@given(many_values, methods, st.floats(0, 2))
def test_a_fusion_never_raises(them, method, tolerance):
    assert fuse(answers_of(them), method, tolerance=tolerance).method in METHODS


@given(many_values, unordered, st.data())
def test_the_order_of_the_answers_does_not_matter(them, method, data):
    given_ = answers_of(them)
    assert same(fuse(given_, method), fuse(data.draw(st.permutations(given_)), method))


@given(many_values, st.data())
def test_the_order_of_the_answers_does_not_matter_for_the_choice_of_the_method(them, data):
    given_ = answers_of(them)
    assert fuse(given_).method == fuse(data.draw(st.permutations(given_))).method


@given(values, st.sampled_from(["first", "mean", None]))
def test_one_source_alone_is_taken_as_it_is(value, method):
    assert alike(fuse([Answer("only", value)], method).value) == alike(value)


@given(values, methods)
def test_fusing_what_was_fused_changes_nothing(value, method):
    once = fuse([Answer("only", value)], method)
    again = fuse([Answer("only", once.value)], once.method)
    assert alike(again.value) == alike(once.value)


@given(st.lists(values, max_size=4))
def test_a_list_from_one_source_alone_is_concatenated_to_itself(items):
    assert alike(fuse([Answer("only", items)], "concat").value) == alike(items)


@given(many_values, methods)
def test_every_source_is_in_a_row_or_a_conflict_or_left_out_with_a_reason(them, method):
    fused = fuse(answers_of(them), method)
    seen = {server for row in fused.rows for server in row.servers}
    seen |= {server for conflict in fused.conflicts for server in conflict.values}
    seen |= {each.server for each in fused.left_out if each.reason}
    assert seen == {answer.server for answer in answers_of(them)}


@given(many_values, methods)
def test_answers_are_never_changed(them, method):
    before = copy.deepcopy(them)
    fuse(answers_of(them), method)
    assert alike(them) == alike(before)


@given(values, st.integers(2, 5), st.sampled_from(["mean", "first"]))
def test_equal_answers_fuse_to_that_answer_without_a_conflict(value, count, method):
    fused = fuse(answers_of([value] * count), method)
    assert alike(fused.value) == alike(value)
    assert fused.conflicts == ()


@given(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_a_mean_lies_between_its_numbers(them):
    assert min(them) <= average(them) <= max(them)


@given(many_values, methods)
def test_confidence_is_a_share(them, method):
    assert 0.0 <= fuse(answers_of(them), method).confidence <= 1.0


@given(many_values)
def test_every_record_of_every_source_is_in_a_concat_or_left_out(them):
    lists = [value if isinstance(value, list) else [value] for value in them]
    fused = fuse(answers_of(lists), "concat")
    kept = {alike(row.value) for row in fused.rows}
    assert kept == {alike(item) for items in lists for item in items}


@settings(max_examples=20)
@given(values, methods)
def test_fifty_servers_are_fused_like_two(value, method):
    fused = fuse(answers_of([value] * 50), method)
    assert {server for row in fused.rows for server in row.servers} <= {f"s{i}" for i in range(50)}


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
