"""Answers read alike: names, units, numbers, dates and JSON; and only where sources differ."""

from __future__ import annotations

import copy

import pytest

from mcpnb.aggregation import Answer, Rules, fuse, units_in
from mcpnb.aggregation.names import parted, words_of
from mcpnb.aggregation.reading import date_of, json_of, number_of, seconds_of
from mcpnb.aggregation.units import convert, dimension_of, known_unit, units_of


def answers(*values, **options) -> list[Answer]:
    return [Answer("abcdefghij"[i], value, **options) for i, value in enumerate(values)]


def readings(fused) -> list[tuple[str, str, str]]:
    return [(each.server, each.key, each.what) for each in fused.readings]


# -- units


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"temp_c": 10}, {"temp_f": 50}, {"temp_c": 10}),
        ({"temperature_celsius": 10}, {"temperatureFahrenheit": 50}, {"temperature_celsius": 10}),
        ({"wind_kmh": 16.09344}, {"wind_mph": 10}, {"wind_kmh": 16.09344}),
        ({"wind_mps": 10}, {"wind_kmh": 36}, {"wind_kmh": 36}),
        ({"pressure_hpa": 1000}, {"pressure_mb": 1000}, {"pressure_hpa": 1000}),
        ({"visibility_km": 1}, {"vis_m": 1000}, {"vis_m": 1000}),
        ({"size_mb": 1}, {"size_kb": 1000}, {"size_kb": 1000}),
        ({"took_ms": 1500}, {"took_s": 1.5}, {"took_s": 1.5}),
    ],
)
def test_units_are_found_at_the_end_of_names(one, other, expected):
    fused = fuse(answers(one, other), "mean")
    assert fused.value == pytest.approx(expected)
    assert fused.conflicts == ()
    assert len(fused.readings) == 1


def test_the_unit_of_most_sources_is_taken_and_what_was_converted_is_told():
    fused = fuse(answers({"temp_f": 50}, {"temp_c": 12}, {"temp_f": 53.6}))
    assert fused.value == {"temp_f": pytest.approx((50 + 53.6 + 53.6) / 3)}
    assert readings(fused) == [("b", "temp_c", "read as temp_f, °C converted to °F")]


def test_units_stand_beside_numbers_or_in_their_text():
    beside = fuse(answers({"value": 50, "unit": "°F"}, {"value": 10, "unit": "celsius"}), "mean")
    assert beside.value == {"value": 10, "unit": "celsius"}
    named = fuse(
        answers(
            {"wind": 10, "wind_unit": "mph"},
            {"wind": 20, "wind_unit": "km/h"},
            {"wind": 20, "wind_unit": "km/h"},
        )
    )
    assert named.value["wind_unit"] == "km/h"
    assert named.rows[0].key == "wind"
    assert fuse(answers({"temp": "50 °F"}, {"temp_c": 10}), "mean").value == {"temp_c": 10}
    assert fuse(answers("50 °F", "10 °C", "11 °C"), "median").value == 10


def test_units_are_found_in_output_schemas():
    schema = {
        "properties": {
            "now": {"$ref": "#/$defs/Now"},
            "days": {"type": "array", "items": {"properties": {"high": {"unit": "°F"}}}},
        },
        "$defs": {"Now": {"properties": {"temperature": {"description": "Air temperature in °F"}}}},
    }
    assert units_in(schema) == {"now.temperature": "degF", "days[].high": "degF"}
    given = [
        Answer("us", {"now": {"temperature": 50}, "days": [{"high": 59}]}, units=units_in(schema)),
        Answer("eu", {"now": {"temperature_c": 12}, "days": [{"high_c": 17}]}),
    ]
    assert fuse(given, "mean").value == {"now": {"temperature_c": 11}, "days": [{"high_c": 16}]}


def test_a_schema_that_refers_to_itself_or_says_nothing_is_no_trouble():
    looped = {"properties": {"next": {"$ref": "#"}}}
    assert units_in(looped) == {}
    assert units_in(None) == units_in({"properties": {"x": 3}, "items": []}) == {}
    assert units_in({"properties": {"x": {"description": "the number of days in a row"}}}) == {}
    assert units_in({"properties": {"x": {"$ref": "#/nowhere/at/all", "unit": "mph"}}}) == {"x": "mile/hour"}


def test_a_field_whose_unit_nobody_knows_is_not_taken_for_another():
    fused = fuse(answers({"temp": 50}, {"temp_c": 10}), "mean")
    assert fused.value == {"temp": 50, "temp_c": 10}
    assert fused.readings == ()


def test_an_answer_that_gives_both_units_keeps_both():
    fused = fuse(answers({"temp_c": 10, "temp_f": 50}, {"temp_f": 52}), "mean")
    assert fused.value == {"temp_c": 10, "temp_f": 51}


def test_a_minimum_is_not_minutes():
    given = {"temp": 10, "temp_min": 5, "temp_max": 15}
    assert fuse(answers(given, {**given, "temp": 12}), "mean").value == {**given, "temp": 11}


def test_units_of_different_things_are_never_converted():
    fused = fuse(answers({"size_m": 3}, {"size_kg": 4}), "mean")
    assert fused.value == {"size_m": 3, "size_kg": 4}


def test_a_source_that_mixes_units_under_one_name_is_left_alone():
    mixed = [{"value": 1, "unit": "km"}, {"value": 5, "unit": "m"}]
    fused = fuse(answers(mixed, [{"value": 2, "unit": "km"}, {"value": 6, "unit": "km"}]), "concat")
    assert {"value": 5, "unit": "m", "_source": "a"} in fused.value


def test_numbers_beyond_the_floats_do_not_raise_in_a_conversion():
    fused = fuse(answers({"d_km": 10**400}, {"d_mi": -(10**400)}, {"d_km": 1}), "mean")
    assert "inf" in str(fused.left_out)


def test_lists_of_numbers_are_converted_item_by_item():
    fused = fuse(answers({"t_c": [10, 20]}, {"t_f": [50, None]}, {"t_c": [10, 20]}), "mean")
    assert fused.value == {"t_c": [10, 20]}


def test_a_word_may_mean_several_units_and_pint_knows_the_rest():
    assert set(units_of("mb")) == {"millibar", "megabyte"}
    assert units_of("Km/H") == ("kilometer/hour",)
    assert known_unit("furlong") == "furlong"
    assert known_unit("nonsense!") is None
    assert dimension_of("furlong") == dimension_of("meter") or convert(1, "furlong", "meter") > 200
    assert convert(5, "meter", "meter") == 5


# -- names


def test_names_are_taken_apart_into_words_and_a_unit():
    assert words_of("windSpeed_kmh") == ("wind", "speed", "kmh")
    assert words_of("HTTPStatus-code") == ("http", "status", "code")
    assert parted("temp_f") == (("temperature",), ("degF",))
    assert parted("speed_miles_per_hour") == (("speed",), ("mile/hour",))
    assert parted("f") == (("f",), ())


def test_spellings_of_one_name_are_one_field():
    fused = fuse(
        answers({"lat": 1.0, "windDir": "N"}, {"latitude": 3.0, "wind_direction": "N"}, {"latitude": 2.0})
    )
    assert fused.value == {"latitude": 2.0, "wind_direction": "N"}
    assert fused.rows[0].servers == ("a", "b", "c")


def test_declared_aliases_and_units_hold_for_one_source_too():
    rules = Rules(
        aliases={"temperature": ("t", "temp_f")}, units={"t": "degF", "temp_f": "degF", "temperature": "degC"}
    )
    assert fuse(answers({"t": 50}), "mean", rules=rules).value == {"temperature": 10}
    fused = fuse(answers({"t": 50}, {"temperature": 12}, {"temp_f": 53.6}), "median", rules=rules)
    assert fused.value == {"temperature": 12}


def test_an_alias_never_overwrites_a_field_that_is_there():
    rules = Rules(aliases={"temperature": ("t",)})
    given = {"t": 1, "temperature": 2}
    assert fuse(answers(given), "first", rules=rules).value == given


def test_a_unit_beside_the_only_number_is_that_numbers():
    fused = fuse(
        answers(
            {"speed": 10, "direction": 270, "unit": "mph"}, {"speed": 16.1, "direction": 270, "unit": "km/h"}
        )
    )
    assert fused.value == {"speed": pytest.approx(16.1, abs=0.1), "direction": 270, "unit": "km/h"}
    assert not [conflict for conflict in fused.conflicts if conflict.key == "unit"]


@pytest.mark.parametrize("method", ["mean", "median", "weighted", "vote", "merge"])
@pytest.mark.parametrize(("odd", "unit"), [("kg", "m"), ("EUR", "USD"), ("imperial", "metric")])
def test_numbers_in_units_that_do_not_convert_are_never_made_one(method, odd, unit):
    fused = fuse(
        answers({"value": 3, "unit": odd}, {"value": 5, "unit": unit}, {"value": 5, "unit": unit}), method
    )
    assert fused.value == {"value": 5, "unit": unit}
    (part,) = [part for part in fused.left_out if part.key == "value"]
    assert (part.server, part.reason) == ("a", f"in {odd}, where others are in {unit}")


def test_a_difference_of_temperatures_is_not_converted_like_a_temperature():
    given = {"temp_change_c": 2.0, "depth_change_m": 1.0}, {"temp_change_f": 3.6, "depth_change_ft": 3.28084}
    fused = fuse(answers(*given))
    assert fused.value == {"temp_change_c": 2.0, "depth_change_m": pytest.approx(1.0)}
    assert fused.conflicts == ()


def test_a_unit_that_only_one_text_names_is_told():
    fused = fuse(answers({"t": "68 °F"}, {"t": 20}))
    assert readings(fused) == [("a", "t", "text read as a number, its °F put aside")]
    assert fused.conflicts


# -- texts


@pytest.mark.parametrize(
    ("text", "value", "units"),
    [
        ("12", 12, ()),
        (" -12.5 ", -12.5, ()),
        ("1,234,567.5", 1234567.5, ()),
        ("12,5", 12.5, ()),
        ("1e3", 1000.0, ()),
        ("\N{MINUS SIGN}3 °C", -3, ("degC",)),
        ("80%", 80, ("percent",)),
        ("9007199254740993", 9007199254740993, ()),
        ("1.234,5", 1234.5, ()),
        ("1.234.567", 1234567, ()),
        ("1 234,5 km", 1234.5, ("kilometer",)),
        ("1\N{NO-BREAK SPACE}234", 1234, ()),
        ("1'234.5", 1234.5, ()),
        ("12,34,567", 1234567, ()),
    ],
)
def test_numbers_in_text_are_read(text, value, units):
    assert number_of(text) == (value, units)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "about 12",
        "12 monkeys",
        "1,23,4",
        "1.2.3",
        "12-13",
        "1.234,5,6",
        "1 23",
        "1, 2",
        "x" * 100,
        "1" * 99,
    ],
)
def test_what_is_not_clearly_a_number_is_not_read(text):
    assert number_of(text) is None


def test_truth_values_in_text_count_where_another_source_gives_them():
    fused = fuse(answers({"open": True}, {"open": "true"}, {"open": "No"}))
    assert fused.value == {"open": True}
    assert fused.conflicts[0].values == {"a": True, "b": True, "c": False}
    assert fuse(answers({"open": "yes"}, {"open": "true"})).readings == ()


def test_dates_are_read_alike_also_beside_what_is_none():
    fused = fuse(answers({"at": "2026-07-28"}, {"at": "28.07.2026"}, {"at": "03/04/2026"}, {"at": "soon"}))
    assert fused.value == {"at": "2026-07-28"}
    assert fused.conflicts[0].values["c"] == "03/04/2026"


def test_a_number_in_text_counts_where_others_give_numbers():
    fused = fuse(answers({"n": "1,200"}, {"n": 1000}, {"n": 1100}), "mean")
    assert fused.value == {"n": 1100}
    assert fuse(answers({"zip": "01234"}, {"zip": "01235"}), "vote").value == {"zip": "01234"}
    assert fuse(answers({"n": "a few"}, {"n": 3}, {"n": 5}), "mean").left_out[0].server == "a"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-07-28", "2026-07-28"),
        ("28 July 2026", "2026-07-28"),
        ("28/07/2026", "2026-07-28"),
        ("07/28/2026", "2026-07-28"),
        ("03.04.2026", "2026-04-03"),
        ("Tue, 28 Jul 2026", "2026-07-28"),
        ("July 28th, 2026", "2026-07-28"),
        ("2026/7/28", "2026-07-28"),
        ("2026-07-28T10:00:00+02:00", "2026-07-28T08:00:00Z"),
        ("Tue, 28 Jul 2026 10:00:00 GMT", "2026-07-28T10:00:00Z"),
        ("2026-07-28 10:00", "2026-07-28T10:00:00"),
    ],
)
def test_dates_are_read(text, iso):
    assert date_of(text) == iso


@pytest.mark.parametrize(
    "text",
    [
        "03/04/2026",
        "may",
        "10",
        "2026",
        "",
        "about 28 July 2026",
        "2026-13-45",
        "0001-01-01T00:00+23:00",
        "x" * 99,
    ],
)
def test_what_could_be_another_date_or_none_is_not_read(text):
    assert date_of(text) is None
    assert seconds_of(text) is None


def test_one_date_in_two_spellings_is_no_disagreement():
    fused = fuse(answers({"on": "28 July 2026", "n": 1}, {"on": "2026-07-28", "n": 1}))
    assert fused.value == {"on": "2026-07-28", "n": 1}
    assert fused.conflicts == ()


def test_json_in_text_is_read_where_others_give_objects():
    fused = fuse(answers('{"t": 3}', {"t": 5}))
    assert fused.value == {"t": 4}
    assert readings(fused) == [("a", "", "text read as JSON")]
    assert fuse(answers('{"t": 3}', '{"t": 5}'), "mean").value == {"t": 4}
    assert fuse(answers('{"t": 3}', "plain words")).readings == ()
    assert json_of("{broken") is None
    assert json_of("[" * 100_000) is None
    assert json_of("3") is None


# -- in general


def test_one_source_and_sources_that_agree_are_taken_as_they_are():
    odd = {"temp_f": "50 °F", "on": "28 July 2026", "json": "[1]", "days": [{"lat": "1"}]}
    for count in (1, 3):
        fused = fuse(answers(*[odd] * count), "mean")
        assert (fused.value, fused.readings) == (odd, ())


def test_the_answers_themselves_are_not_touched():
    given = [{"temp_c": 10, "days": [{"high_f": 50}]}, {"temp_f": 50, "days": [{"high_c": "10"}]}]
    before = copy.deepcopy(given)
    fuse(answers(*given), "mean")
    assert given == before


def test_keys_that_are_no_text_are_left_alone():
    assert fuse(answers({1: 2, "temp_c": 1}, {1: 4, "temp_f": 33.8}), "mean").value == {1: 3, "temp_c": 1}
