"""Which method the shapes ask for, and what each method makes of ordinary answers."""

from __future__ import annotations

import math

import pytest

from mcpnb.aggregation import METHODS, Answer, Fused, FusedRow, fuse

LONDON = {"location": "London", "temperature": 12.0, "humidity": 80, "wind": {"speed": 10}}


def answers(*values, **options) -> list[Answer]:
    return [Answer("abcdefghij"[i], value, **options) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "method"),
    [
        ([[{"id": 1}], [{"id": 2}]], "concat"),
        ([[], []], "concat"),
        ([{"result": [1, 2]}, {"result": [3]}], "concat"),
        ([[{"id": 1}], None], "concat"),
        ([1, 2.5], "mean"),
        ([LONDON, LONDON], "mean"),
        ([{"days": [{"high": 1, "low": 2}], "town": "x"}], "mean"),
        ([{"place": "x", "days": [{"date": "2026-07-28", "high": 20, "sky": "sun", "wind": "SW"}]}], "mean"),
        ([[{"date": "2026-07-28", "title": "News", "year": 2026}]], "concat"),
        (["text", "text"], "vote"),
        ([{"text": "Hallo", "language": "de", "confidence": 0.9}], "best"),
        ([{"sky": "rain", "wind": "SW"}], "vote"),
        ([{"summary": "x", "topics": ["a"], "words": 3}], "merge"),
        ([{"query": "tea", "results": [{"title": "Tea"}], "total": 1}], "concat"),
        ([True, False], "vote"),
        ([None, None], "vote"),
        ([], "vote"),
        ([1, "a", "b"], "vote"),
        ([1, 2, "b"], "mean"),
    ],
)
def test_the_shape_of_the_answers_picks_the_method(values, method):
    assert fuse(answers(*values)).method == method


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown fusion method 'maen'\. Did you mean mean") as caught:
        fuse(answers(1), "maen")
    assert all(name in str(caught.value) for name in METHODS)


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf])
def test_a_senseless_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance="):
        fuse(answers(1), tolerance=tolerance)


def test_numbers_of_objects_are_averaged_field_by_field():
    other = {"location": "London", "temperature": 14.0, "humidity": 80, "wind": {"speed": 20}}
    fused = fuse(answers(LONDON, other))
    assert fused.value == {"location": "London", "temperature": 13.0, "humidity": 80, "wind": {"speed": 15}}
    assert [row.key for row in fused.rows] == ["location", "temperature", "humidity", "wind.speed"]
    assert fused.rows[1].servers == ("a", "b")
    assert fused.rows[1].server == "a, b"


def test_numbers_further_apart_than_the_tolerance_are_a_disagreement():
    fused = fuse(answers(100, 104, 110), "mean", tolerance=0.05)
    (conflict,) = fused.conflicts
    assert conflict.values == {"a": 100, "b": 104, "c": 110}
    assert conflict.spread == pytest.approx(10 / 110)
    assert fuse(answers(100, 104), "mean", tolerance=0.05).conflicts == ()
    assert fuse(answers(100, 104), "mean", tolerance=0).conflicts != ()


def test_words_are_taken_from_most_sources_and_the_others_are_listed():
    fused = fuse(answers({"sky": "rain", "t": 1}, {"sky": "sun", "t": 1}, {"sky": "sun", "t": 1}), "mean")
    assert fused.value == {"sky": "sun", "t": 1}
    (conflict,) = fused.conflicts
    assert conflict.key == "sky"
    assert conflict.values == {"a": "rain", "b": "sun", "c": "sun"}
    assert math.isnan(conflict.spread)
    assert fused.confidence == pytest.approx((2 / 3 + 5 / 6 + 5 / 6) / 3)


def test_a_truth_value_is_no_number():
    fused = fuse(answers(1, 3, True), "mean")
    assert fused.value == 2
    assert [(each.server, each.reason) for each in fused.left_out] == [
        ("c", "True, where others gave a number")
    ]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_left_out_with_the_reason(odd):
    fused = fuse(answers({"t": 1.0}, {"t": odd}, {"t": 3.0}), "mean")
    assert fused.value == {"t": 2.0}
    (left,) = fused.left_out
    assert (left.server, left.key) == ("b", "t")
    assert str(odd) in left.reason


def test_answers_of_different_shapes_fuse_to_what_can_be_fused():
    fused = fuse(answers(10, "about ten", 14, None, {"value": 12}), "mean")
    assert fused.value == 12
    assert {each.server: each.reason for each in fused.left_out} == {
        "b": "text, where others gave a number",
        "d": "null",
        "e": "an object, where others gave a number",
    }


def test_lists_of_equal_length_are_averaged_and_others_are_compared():
    forecast = [{"days": [{"high": 10}, {"high": 12}]}, {"days": [{"high": 12}, {"high": 12}]}]
    fused = fuse(answers(*forecast), "mean")
    assert fused.value == {"days": [{"high": 11}, {"high": 12}]}
    assert [row.key for row in fused.rows] == ["days[0].high", "days[1].high"]
    uneven = fuse(answers([1], [1, 2]), "mean")
    assert uneven.value == [1]
    assert uneven.conflicts[0].values == {"a": [1], "b": [1, 2]}


def test_a_field_that_only_some_sources_have_is_kept_with_its_sources():
    fused = fuse(answers({"t": 1, "rain": 5}, {"t": 3}, {}), "mean")
    assert fused.value == {"t": 2, "rain": 5}
    assert {row.key: row.servers for row in fused.rows} == {"t": ("a", "b"), "rain": ("a",)}
    assert fused.left_out[0].reason == "an object without fields"


def test_huge_numbers_neither_overflow_nor_lose_digits():
    assert fuse(answers(10**400, 10**400 + 2), "mean").value == 10**400 + 1
    assert fuse(answers(10**400, 0.5), "mean").value == 10**400 // 2
    assert fuse(answers(1.7e308, 1.7e308, 1.6e308), "mean").value == pytest.approx(5 / 3 * 1e308)
    assert fuse(answers(10**20 + 1, 10**20 + 3), "mean").value == 10**20 + 2


def test_records_are_joined_and_equal_ones_are_merged_with_all_their_sources():
    fused = fuse(answers([{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 3}]))
    assert fused.value == [
        {"id": 2, "_source": "a, b"},  # the one that both have comes first
        {"id": 1, "_source": "a"},
        {"id": 3, "_source": "b"},
    ]
    assert [row.servers for row in fused.rows] == [("a", "b"), ("a",), ("b",)]
    assert [row.key for row in fused.rows] == ["[0]", "[1]", "[2]"]


def test_records_are_equal_whatever_the_order_of_their_fields_but_not_across_kinds():
    fused = fuse(answers([{"a": 1, "b": [1.0]}], [{"b": [1], "a": 1}], [{"a": True, "b": [1]}]))
    assert [row.servers for row in fused.rows] == [("a", "b"), ("c",)]


def test_what_one_source_says_twice_stays_twice():
    assert fuse(answers([1, 1, 2], [1, 2, 2])).value == [1, 1, 2, 2]


def test_a_shared_wrapper_of_a_list_stays_around_the_joined_list():
    assert fuse(answers({"result": [1]}, {"result": [2]})).value == {"result": [1, 2]}
    assert fuse(answers({"result": [1]}, [2])).value == [1, 2]


def test_what_is_no_record_is_left_out_of_a_concat_with_the_reason():
    fused = fuse(answers([{"id": 1}], "nothing found", None, [], {"id": 2, "name": "x"}), "concat")
    assert fused.value == [{"id": 1, "_source": "a"}, {"id": 2, "name": "x", "_source": "e"}]
    assert {each.server: each.reason for each in fused.left_out} == {
        "b": "text, where others gave records",
        "c": "null",
        "d": "an empty list",
    }


def test_lone_values_can_be_joined_too():
    assert fuse(answers("x", "y", "x"), "concat").value == ["x", "y"]


def test_first_is_the_fastest_answer():
    slow, fast = Answer("slow", "a", 2.0, 0.5), Answer("fast", "b", 1.0, 0.8)
    fused = fuse([slow, fast], "first")
    assert (fused.value, fused.method) == ("b", "first")
    assert fused.rows == (FusedRow("", "b", ("fast",)),)
    assert fused.conflicts[0].values == {"slow": "a", "fast": "b"}
    assert fused.confidence == pytest.approx(0.4)


def test_first_goes_by_the_given_order_when_latencies_are_unknown_and_skips_null():
    fused = fuse(answers(None, "x", "x"), "first")
    assert (fused.value, fused.rows[0].servers, fused.conflicts) == ("x", ("b", "c"), ())
    assert fused.left_out[0].reason == "null"


def test_a_callable_fuses_copies_of_the_answers():
    given = answers({"items": [1]}, {"items": [2]})

    def longest(them):
        them[0].value["items"].append("changed")
        return max((answer.value["items"] for answer in them), key=len)

    fused = fuse(given, longest)
    assert (fused.value, fused.method) == ([1, "changed"], "longest")
    assert given[0].value == {"items": [1]}
    assert fused.rows[0].servers == ("a", "b")


def test_a_callable_may_give_a_whole_fusion():
    whole = Fused(1, "mine")
    assert fuse(answers(1, 2), lambda _: whole) is whole


@pytest.mark.parametrize("method", [None, *METHODS])
def test_no_answers_make_an_empty_fusion(method):
    fused = fuse([], method)
    assert fused.value in (None, [])
    assert (fused.rows, fused.conflicts, fused.left_out, fused.confidence) == ((), (), (), 0.0)


def test_a_confidence_that_is_no_share_counts_as_full():
    given = [
        Answer("a", [1], confidence=math.nan),
        Answer("b", [2], confidence=7),
        Answer("c", [3], confidence=0.4),
    ]
    assert fuse(given).confidence == pytest.approx(0.8)
