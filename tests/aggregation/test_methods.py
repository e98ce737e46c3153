"""What each method makes of numbers, words and objects, and how far it believes them."""

from __future__ import annotations

import math

import pytest

from mcpnb.aggregation import Answer, Option, Trust, fuse
from mcpnb.aggregation.numbers import close, median, outliers, weighted_average


def answers(*values, **options) -> list[Answer]:
    return [Answer("abcdefghij"[i], value, **options) for i, value in enumerate(values)]


# -- numbers


def test_a_mean_leaves_out_what_is_far_from_the_others_and_says_so():
    fused = fuse(answers(10, 10.2, 1000))
    assert fused.value == pytest.approx(10.1)
    assert fused.left_out[0].server == "c"
    assert "far from what the others gave" in fused.left_out[0].reason
    (conflict,) = fused.conflicts
    assert (conflict.values["c"], conflict.chosen) == (1000, pytest.approx(10.1))
    assert conflict.agreeing == ("a", "b")
    assert fused.rows[0].servers == ("a", "b")


@pytest.mark.parametrize("numbers", [(10, 1000), (100, 104, 110), (0, 0, 0.1), (5, 5, 5), (20, 20, 20, 22)])
def test_nobody_is_left_out_where_nothing_tells_who_is_off(numbers):
    assert fuse(answers(*numbers), "mean").left_out == ()


def test_words_of_more_than_half_are_not_overruled_by_a_number():
    fused = fuse(answers({"uv": "low", "t": 1}, {"uv": "low", "t": 1}, {"uv": 3, "t": 1}), "mean")
    assert fused.value == {"uv": "low", "t": 1}
    assert fuse(answers({"uv": "low", "t": 1}, {"uv": 3, "t": 1}), "mean").value == {"uv": 3, "t": 1}


def test_who_gave_something_else_counts_against_agreement():
    fused = fuse(answers(3, {"t": 3}, [3], "three", None))
    assert (fused.value, fused.confidence) == (3, pytest.approx(1 / 4))
    assert [fused.trust[server].agreement for server in "bcd"] == [pytest.approx(1 / 4)] * 3


def test_a_median_is_the_number_in_the_middle():
    assert fuse(answers(1, 2, 1000), "median").value == 2
    assert fuse(answers(1, 2, 3, 1000), "median").value == 2.5
    assert median([10**400, 1, 10**400 + 2]) == 10**400


def test_a_weighted_mean_counts_sources_by_their_confidence():
    given = [Answer("a", {"t": 10}, confidence=0.9), Answer("b", {"t": 20}, confidence=0.1)]
    assert fuse(given, "weighted").value == {"t": pytest.approx(11)}
    reliable = [Answer("a", 10, reliability=0.25), Answer("b", 20, reliability=0.75)]
    assert fuse(reliable, "weighted").value == pytest.approx(17.5)
    assert weighted_average([1, 3], [0.0, 0.0]) == 2


def test_numbers_are_close_within_a_share_of_the_greater():
    assert close(100, 95, 0.05)
    assert not close(100, 94, 0.05)
    assert close(0, 0.0, 0)
    assert close(10**400, 10**400 + 1, 0.05)
    assert not close(10**400, 1.5, 0.05)
    assert not close(1.7e308, -1.7e308, 0.05)


def test_outliers_are_found_among_huge_numbers_too():
    assert outliers([10**400, 10**400 + 1, 10**401], 0) == frozenset({2})


# -- words


def test_a_vote_is_won_by_what_weighs_most():
    given = [
        Answer("a", "rain", confidence=0.2),
        Answer("b", "rain", confidence=0.2),
        Answer("c", "sun", confidence=0.9),
    ]
    fused = fuse(given, "vote")
    assert fused.value == "sun"
    assert fused.alternatives == (Option("rain", ("a", "b"), pytest.approx(0.2 * 2 / 3)),)


def test_words_that_differ_in_case_or_spaces_only_are_one_in_a_vote():
    fused = fuse(answers("Light  rain", "light rain", "light rain", "Sun", "Sun"))
    assert fused.value == "light rain"
    assert fused.rows[0].servers == ("a", "b", "c")


def test_a_vote_without_a_majority_goes_field_by_field():
    fused = fuse(
        answers({"sky": "rain", "wind": "SW"}, {"sky": "rain", "wind": "W"}, {"sky": "sun", "wind": "W"})
    )
    assert (fused.method, fused.value) == ("vote", {"sky": "rain", "wind": "W"})


def test_a_majority_wins_whole_against_many_that_say_more():
    fused = fuse(answers({}, {}, {}, {"a": 1}, {"a": 1, "b": 2}), "vote")
    assert fused.value == {}


def test_the_best_answer_is_that_of_the_highest_confidence_and_whole():
    given = [
        Answer("a", {"text": "Hallo", "formal": False}, confidence=0.7),
        Answer("b", {"text": "Guten Tag"}, confidence=0.9),
    ]
    fused = fuse(given, "best")
    assert fused.value == {"text": "Guten Tag"}
    assert fused.conflicts[0].key == "text"
    assert fused.conflicts[0].chosen == "Guten Tag"
    assert fused.left_out[0].reason == "not in the answer of b, which was taken whole"
    assert fused.alternatives[0].value == {"text": "Hallo", "formal": False}
    assert fused.confidence == pytest.approx(0.45)


def test_a_boastful_source_loses_against_two_that_confirm_each_other():
    given = [Answer("a", "x", confidence=0.9), *(Answer(name, "y", confidence=0.8) for name in "bc")]
    assert fuse(given, "best").value == "y"


def test_the_first_answer_is_compared_with_the_others_field_by_field():
    given = [Answer("slow", {"x": 1, "y": 2}, 2.0), Answer("fast", {"x": 1, "y": 3}, 1.0)]
    fused = fuse(given, "first")
    assert fused.value == {"x": 1, "y": 3}
    assert [(row.key, row.servers) for row in fused.rows] == [("x", ("fast", "slow")), ("y", ("fast",))]
    assert [conflict.key for conflict in fused.conflicts] == ["y"]


def test_a_null_in_the_answer_that_is_taken_stays_null():
    fused = fuse([Answer("fast", {"x": None}, 1.0), Answer("slow", {"x": 5}, 2.0)], "first")
    assert (fused.value, fused.rows[0].value) == ({"x": None}, None)


def test_all_null_is_null_whatever_the_method():
    for method in ("best", "first", "vote", "merge"):
        fused = fuse(answers(None, None), method)
        assert (fused.value, fused.rows[0].servers) == (None, ("a", "b"))


# -- objects and lists


def test_a_merge_is_deep_and_unites_lists():
    fused = fuse(
        answers(
            {"tags": ["tea", "leaf"], "counts": {"words": 3}, "lang": "en"},
            {"tags": ["Tea", "cup"], "counts": {"lines": 1}, "lang": "en"},
            {"tags": []},
        ),
        "merge",
    )
    assert fused.value == {
        "tags": ["tea", "leaf", "cup"],
        "counts": {"words": 3, "lines": 1},
        "lang": "en",
    }
    by_key = {row.key: row.servers for row in fused.rows}
    assert by_key["tags[0]"] == ("a", "b")
    assert by_key["tags[2]"] == ("b",)
    assert by_key["counts.lines"] == ("b",)
    assert ("c", "tags", "an empty list") in [(p.server, p.key, p.reason) for p in fused.left_out]


def test_records_in_a_merge_are_joined_by_their_key():
    fused = fuse(
        answers(
            {"entities": [{"name": "China", "type": "place"}]},
            {"entities": [{"name": "Assam"}, {"name": "China", "type": "country"}]},
            {"entities": [{"name": "China", "type": "place"}]},
        ),
        "merge",
    )
    assert fused.value == {"entities": [{"name": "Assam"}, {"name": "China", "type": "place"}]}
    assert fused.conflicts[0].key == "entities[1].type"


def test_series_are_averaged_by_their_dates_and_not_by_their_places():
    fused = fuse(
        answers(
            {"days": [{"date": "2026-07-28", "high": 20}, {"date": "2026-07-29", "high": 22}]},
            {"days": [{"date": "2026-07-29", "high": 24}, {"date": "2026-07-30", "high": 18}]},
        )
    )
    assert fused.method == "mean"
    assert [day["high"] for day in fused.value["days"]] == [20, 23, 18]


def test_records_that_only_others_have_are_not_in_an_answer_that_is_taken_whole():
    given = [
        Answer("fast", {"days": [{"date": "2026-07-29", "high": 22}]}, 1.0),
        Answer(
            "slow", {"days": [{"date": "2026-07-28", "high": 20}, {"date": "2026-07-29", "high": 30}]}, 2.0
        ),
    ]
    fused = fuse(given, "first")
    assert fused.value == given[0].value
    assert [(row.key, row.value) for row in fused.rows] == [
        ("days[0].date", "2026-07-29"),
        ("days[0].high", 22),
    ]
    assert [(part.server, part.key) for part in fused.left_out] == [("slow", "days")]


def test_a_list_that_is_in_no_order_keeps_the_order_of_its_source():
    given = {"items": [{"id": 3, "n": 1}, {"id": 1, "n": 2}]}
    assert fuse(answers(given), "mean").value == given


def test_answers_of_unlike_shapes_are_fused_by_the_one_that_weighs_most():
    fused = fuse(answers({"sky": "rain"}, {"sky": "rain"}, "it rains"), "vote")
    assert fused.value == {"sky": "rain"}
    (left,) = fused.left_out
    assert (left.server, left.reason) == ("c", "text, where others gave an object")


# -- confidence


def test_confidence_is_the_product_of_its_parts_and_each_can_be_seen():
    given = [
        Answer("a", {"t": 10.0}, confidence=0.8, reliability=0.5, age=3600.0),
        Answer("b", {"t": 20.0}),
    ]
    trust = fuse(given, "mean").trust["a"]
    assert trust == Trust(reported=0.8, reliability=0.5, freshness=0.5, agreement=0.5)
    assert trust.confidence == pytest.approx(0.1)


def test_an_answer_that_says_it_is_older_counts_less():
    given = [
        Answer("new", {"t": 10, "observed_at": "2026-07-28T12:00:00Z"}),
        Answer("old", {"t": 20, "observed_at": "2026-07-28T11:00:00+00:00"}),
        Answer("silent", {"t": 15}),
    ]
    fused = fuse(given, "mean")
    assert "observed_at" not in [conflict.key for conflict in fused.conflicts]
    trust = fused.trust
    assert [trust[name].freshness for name in ("new", "old", "silent")] == [1.0, pytest.approx(0.5), 1.0]


def test_moments_may_be_numbers_too():
    given = [Answer("new", {"timestamp": 1_800_003_600_000}), Answer("old", {"timestamp": 1_800_000_000})]
    assert fuse(given, "first").trust["old"].freshness == pytest.approx(0.5)
    odd = [
        Answer("a", {"timestamp": 10**400}),
        Answer("b", {"timestamp": -1}),
        Answer("c", {"timestamp": None}),
    ]
    assert all(trust.freshness == 1 for trust in fuse(odd, "first").trust.values())


def test_what_sources_say_of_themselves_is_no_disagreement():
    given = [
        Answer("a", {"text": "Hallo", "confidence": 0.9}),
        Answer("b", {"text": "hallo", "confidence": 0.4}),
    ]
    assert fuse(given, "best").conflicts == ()


def test_agreement_is_the_share_of_sources_that_say_the_same():
    fused = fuse(answers("x", "x", "y", "x"), "vote")
    assert [fused.trust[name].agreement for name in "abcd"] == [0.75, 0.75, 0.25, 0.75]
    assert math.isnan(fused.conflicts[0].spread)


def test_a_source_that_cannot_be_compared_is_not_doubted():
    assert fuse([Answer("only", {"a": 1})]).confidence == 1.0
