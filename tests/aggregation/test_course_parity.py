"""The lesson's aggregation by family of tools, out of the shape of the answers: no tool is named anywhere."""

from __future__ import annotations

import pytest

from mcpnb.aggregation import Answer, fuse, reported_confidence


def gathered(**values) -> list[Answer]:
    return [
        Answer(server, value, confidence=1.0 if (said := reported_confidence(value)) is None else said)
        for server, value in values.items()
    ]


def test_search_results_are_unique_and_ranked_and_name_their_source():
    fused = fuse(
        gathered(
            one={"results": [{"title": "Green tea", "score": 0.9}, {"title": "Black tea", "score": 0.4}]},
            two={"results": [{"title": "Black tea", "score": 0.7}, {"title": "White tea", "score": 0.2}]},
        )
    )
    assert [(item["title"], item["_source"]) for item in fused.value["results"]] == [
        ("Green tea", "one"),
        ("Black tea", "one, two"),
        ("White tea", "two"),
    ]


def test_weather_is_averaged_where_it_is_numbers_and_voted_on_where_it_is_words():
    fused = fuse(
        gathered(
            one={"location": "London", "temperature_c": 12.0, "humidity": 80, "condition": "rain"},
            two={"location": "London", "temp_f": 55.4, "humidity": 82, "condition": "Rain"},
            three={"location": "London", "temperature_c": 14.0, "humidity": 81, "condition": "cloudy"},
        )
    )
    assert fused.value == {
        "location": "London",
        "temperature_c": pytest.approx(13.0),
        "humidity": 81,
        "condition": "rain",
    }
    assert "condition" in [conflict.key for conflict in fused.conflicts]


def test_of_translations_the_one_of_the_highest_confidence_is_taken():
    fused = fuse(
        gathered(
            one={"translation": "Guten Tag", "confidence": 0.7},
            two={"translation": "Hallo", "confidence": 0.9},
            three={"translation": "Servus", "confidence": 0.4},
        )
    )
    assert (fused.method, fused.value["translation"]) == ("best", "Hallo")
    assert [option.value["translation"] for option in fused.alternatives] == ["Guten Tag", "Servus"]


def test_analyses_are_merged():
    fused = fuse(
        gathered(
            one={"words": 120, "keywords": ["tea", "leaf"], "sentiment": "positive"},
            two={"readability": 61.5, "keywords": ["tea", "cup"], "sentiment": "positive"},
        )
    )
    assert fused.method == "merge"
    assert fused.value == {
        "words": 120,
        "keywords": ["tea", "leaf", "cup"],
        "sentiment": "positive",
        "readability": 61.5,
    }


def test_words_found_in_a_text_are_united_whatever_numbers_stand_beside_them():
    fused = fuse(
        gathered(
            one={"words": 120, "lines": 9, "keywords": ["tea", "leaf"], "sentiment": {"label": "good"}},
            two={"words": 120, "lines": 9, "keywords": ["tea", "cup"], "sentiment": {"label": "good"}},
        )
    )
    assert (fused.method, fused.value["keywords"]) == ("merge", ["tea", "leaf", "cup"])
    hourly = {"time": ["10:00", "11:00"], "temperature_c": [12.0, 13.0], "sky": ["sun", "rain"]}
    assert fuse(gathered(one=hourly, two=hourly | {"temperature_c": [14.0, 15.0]})).value == hourly | {
        "temperature_c": [13.0, 14.0]
    }
