"""Records of many sources in one list: the same one once, ranked, each with its sources."""

from __future__ import annotations

import random

import pytest

from mcpnb.aggregation import Answer, Rules, fuse
from mcpnb.aggregation.records import _worth_comparing


def answers(*values, **options) -> list[Answer]:
    return [Answer("abcdefghij"[i], value, **options) for i, value in enumerate(values)]


def found(fused) -> list[tuple[object, str]]:
    return [(item.get("title"), item["_source"]) for item in fused.value]


def test_records_of_one_address_are_one():
    fused = fuse(
        answers(
            [{"title": "Tea", "url": "https://www.example.org/tea/"}],
            [{"title": "All about tea", "url": "http://example.org/tea?utm_source=x#top", "year": 2020}],
        )
    )
    (item,) = fused.value
    assert item["_source"] == "a, b"
    assert item["year"] == 2020  # what only the other has is not lost
    assert fused.rows[0].servers == ("a", "b")
    assert [conflict.key for conflict in fused.conflicts] == ["[0].title"]


def test_records_that_read_alike_are_one():
    fused = fuse(
        answers(
            [{"id": 1, "title": "The history of the Silk Road"}],
            [{"id": 9, "title": "The History of the Silk-Road"}],
        )
    )
    assert found(fused) == [("The history of the Silk Road", "a, b")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "Annual report of 2023"}, {"title": "Annual report of 2024"}),
        ({"title": "Introduction to tea", "year": 1999}, {"title": "Introduction to tea!", "year": 2005}),
        (
            {"title": "Introduction to tea", "url": "https://a.org/1"},
            {"title": "Introduction to tea", "url": "https://b.org/2"},
        ),
        ({"title": "Tea"}, {"title": "Tee"}),
        ({"id": 1, "title": "Green tea and its uses"}, {"id": 1, "title": "A railway timetable"}),
    ],
)
def test_records_against_which_a_fact_speaks_stay_two(one, other):
    assert len(fuse(answers([one], [other])).value) == 2


def test_two_records_of_one_source_are_never_made_one():
    twice = [{"title": "The history of tea"}, {"title": "The history of  tea."}]
    assert len(fuse(answers(twice, [{"title": "The history of tea"}])).value) == 2


def test_a_declared_key_tells_records_apart():
    rules = Rules(key="code")
    fused = fuse(answers([{"code": "X", "n": 1}], [{"code": "X", "n": 1}, {"n": 5}]), rules=rules)
    assert [item.get("code") for item in fused.value] == ["X", None]


def test_likeness_can_be_switched_off():
    given = answers([{"title": "The history of the Silk Road"}], [{"title": "The History of the Silk-Road"}])
    assert len(fuse(given, rules=Rules(similarity=1.0)).value) == 2


def test_scores_of_one_scale_rank_the_records():
    fused = fuse(
        answers(
            [{"title": "x", "score": 0.3}, {"title": "y", "score": 0.2}],
            [{"title": "z", "score": 0.9}, {"title": "y", "score": 0.8}],
        )
    )
    assert found(fused) == [("z", "b"), ("y", "a, b"), ("x", "a")]
    assert fused.value[1]["score"] == 0.8


def test_scores_of_scales_of_their_own_are_replaced_by_ranks():
    fused = fuse(
        answers(
            [{"title": "x", "score": 17.3}, {"title": "y", "score": 12.0}],
            [{"title": "z", "score": 0.4}, {"title": "y", "score": 0.3}],
            [{"title": "y", "bm25": -3.0}],
        )
    )
    assert found(fused) == [("y", "a, b, c"), ("x", "a"), ("z", "b")]


def test_a_source_field_of_the_servers_own_is_not_overwritten():
    fused = fuse(answers([{"_source": {"title": "x"}, "n": 1}], [{"n": 2}]))
    assert {"_source": {"title": "x"}, "n": 1} in fused.value


def test_what_stands_beside_the_records_is_voted_on_and_kept():
    fused = fuse(
        answers(
            {"query": "tea", "results": [{"title": "x"}], "total": 1},
            {"query": "tea", "results": [{"title": "y"}], "total": 1},
            {"query": "tea", "results": [], "total": 0},
        )
    )
    assert fused.method == "concat"
    assert fused.value == {
        "query": "tea",
        "results": [{"title": "x", "_source": "a"}, {"title": "y", "_source": "b"}],
        "total": 1,
    }
    assert [row.key for row in fused.rows] == ["results[0]", "results[1]"]
    assert [conflict.key for conflict in fused.conflicts] == ["total"]
    assert (fused.left_out[0].server, fused.left_out[0].reason) == ("c", "an empty list")


def test_what_stands_beside_lists_of_unlike_names_is_left_out_with_the_reason():
    fused = fuse(answers({"q": "tea", "hits": [{"title": "x"}]}, [{"title": "y"}]))
    assert [item["title"] for item in fused.value] == ["x", "y"]
    assert [(part.server, part.key) for part in fused.left_out] == [("a", "q")]


def test_lists_that_are_no_records_keep_their_order():
    assert fuse(answers(["b", "a"], ["c", "b"])).value == ["b", "a", "c"]


def test_thousands_of_records_are_joined_by_equality():
    many = [[{"title": f"Document number {place} of many"} for place in range(600)] for _ in range(3)]
    assert len(fuse(answers(*many)).value) == 600


def _title(place: int) -> str:
    pick = random.Random(place)
    return " ".join("".join(pick.choices("abcdefgh", k=5)) for _ in range(7))


def test_among_thousands_a_misspelt_record_is_still_the_same():
    titles = [_title(place) for place in range(800)]
    misspelt = [f"{title[:9]}x{title[10:]}" for title in titles]
    fused = fuse(answers([{"title": each} for each in titles], [{"title": each} for each in misspelt]))
    assert len(fused.value) < 820


@pytest.mark.parametrize("common", ["", "the annual report of the company of "])
def test_comparing_records_does_not_take_the_square_of_their_number(common):
    few, many = (
        sum(1 for _ in _worth_comparing([f"{common}{_title(i % count)}".split() for i in range(2 * count)]))
        for count in (1_000, 4_000)
    )
    assert many < 8 * few
