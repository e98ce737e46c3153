"""Arguments are checked before anything is sent, and a stranger's schema cannot break that."""

from __future__ import annotations

import re
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from mcp_types import Tool

from mcpnb.catalog import Catalog
from mcpnb.catalog.entry import from_tool
from mcpnb.errors import ArgumentError
from mcpnb.schema.patterns import cheap, matches
from mcpnb.schema.quick import quick


@pytest.fixture
def events():
    return []


@pytest.fixture
def catalog(events):
    return Catalog(on_event=events.append, now=lambda: 7.0)


def refusal(catalog, entry, arguments) -> tuple[str, str]:
    with pytest.raises(ArgumentError) as caught:
        catalog.check(entry, arguments)
    return caught.value.field, caught.value.problem


def schema_of(**properties):
    return {"type": "object", "properties": properties}


def test_arguments_that_fit_pass(catalog, entry, events):
    catalog.check(entry(), {"location": "London"})
    catalog.check(entry(), {"location": "London", "days": 10, "unit": "celsius"})
    assert events == []


@pytest.mark.parametrize(
    ("arguments", "field", "problem"),
    [
        ({}, "location", r"is required \(text\) and missing"),
        ({"location": 5}, "location", "must be text, not the number 5"),
        ({"location": None}, "location", "must be text, not None"),
        ({"location": "x", "days": "3"}, "days", "a whole number, not the text '3'; write 3 without quotes"),
        ({"location": "x", "days": 2.5}, "days", "a whole number, not the number 2.5"),
        ({"location": "x", "days": True}, "days", "a whole number, not True"),
        ({"location": "x", "days": 0}, "days", "must be at least 1, not 0"),
        ({"location": "x", "days": 11}, "days", "must be at most 10, not 11"),
        (
            {"location": "x", "unit": "celcius"},
            "unit",
            r"must be one of 'celsius', .*Did you mean 'celsius'\?",
        ),
        (
            {"location": "x", "dayz": 1},
            "dayz",
            r"is not a field of this tool. Did you mean days\?.*Known fields: loc",
        ),
        ({"locatoin": "x"}, "locatoin", r"Did you mean location\?.*and 1 more"),
        ({"location": {"a": 1}}, "location", "not the object"),
        ({"location": ["a"]}, "location", "not the list"),
        ({"location": object()}, "location", "a builtins.object, which JSON does not have"),
    ],
)
def test_a_refusal_names_the_field_and_says_what_is_wrong(catalog, entry, arguments, field, problem):
    found, text = refusal(catalog, entry(), arguments)
    assert found == field
    assert re.search(problem, text), text


def test_a_missing_name_points_to_the_one_that_was_given_instead(catalog, entry):
    open_schema = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
    assert refusal(catalog, entry(open_schema), {"locaton": "x"}) == (
        "location", "is required (text) and missing; 'locaton' was given instead",
    )  # fmt: skip


def test_a_field_inside_is_named_by_its_path(catalog, entry):
    inner = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    nested = entry(schema_of(filters=schema_of(items={"type": "array", "items": inner})))
    assert (
        refusal(catalog, nested, {"filters": {"items": [{"name": "a"}, {"name": 3}]}})[0]
        == "filters.items[1].name"
    )
    assert refusal(catalog, nested, {"filters": {"items": [{}]}})[0] == "filters.items[0].name"


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 5, "must be text or None, not the number 5"),
        ({"type": ["string", "null"]}, 5, "must be text or None, not the number 5"),
        (
            {"oneOf": [{"type": "string", "minLength": 3}, {"type": "integer"}]},
            "a",
            "nearest of 2 allowed forms",
        ),
        ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 5, "several of the forms"),
        ({"const": "x"}, "y", "must be 'x', not 'y'"),
        ({"exclusiveMinimum": 0}, 0, "must be more than 0, not 0"),
        ({"exclusiveMaximum": 1}, 1, "must be less than 1, not 1"),
        ({"minLength": 3}, "a", "must have at least 3 characters, has 1"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 items, has 2"),
        ({"multipleOf": 5}, 7, "must be a multiple of 5, not 7"),
        ({"uniqueItems": True}, [1, 1], "same item twice"),
        ({"pattern": "^[A-Z]{2}$"}, "abc", r"must match the pattern '\^\[A-Z\]\{2\}\$', not 'abc'"),
        ({"not": {"type": "string"}}, "abc", "should not be valid"),
        (False, 1, "is not allowed here"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, ["a", 2], "at most 1 item"),
    ],
)
def test_every_rule_has_plain_words(catalog, entry, schema, value, problem):
    field, text = refusal(catalog, entry(schema_of(x=schema)), {"x": value})
    assert field == "x"
    assert re.search(problem, text), text


def test_a_local_reference_is_followed(catalog, entry, events):
    schema = {**schema_of(unit={"$ref": "#/$defs/Unit"}), "$defs": {"Unit": {"enum": ["c", "f"]}}}
    catalog.check(entry(schema), {"unit": "c"})
    assert refusal(catalog, entry(schema), {"unit": "k"})[0] == "unit"
    assert events == []


def test_a_tuple_counts_as_a_list(catalog, entry):
    for items in ({"type": "string", "pattern": "^a"}, {"not": {"type": "integer"}}):
        catalog.check(entry(schema_of(x={"type": "array", "items": items})), {"x": ("a", "ab")})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strnig"},
        {"type": "object", "required": "abc"},
        {"type": "object", "properties": {"a": {"minimum": "3"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/absent"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.invalid/schema.json"}}},
        {"$id": "https://example.invalid/", "properties": {"a": {"$ref": "other.json"}}},
        {"properties": {"a": {"$dynamicRef": "#meta"}}},
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$schema": ["odd"], "minProperties": 9},
        {"properties": {"a": {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 5}}},
        {"anyOf": [{"minProperties": 1}] * 5000},
    ],
)
def test_a_schema_that_cannot_be_used_lets_the_call_through_with_one_event(
    catalog, entry, events, schema, monkeypatch
):
    def no_network(*_):
        raise AssertionError("a schema made us open a socket")

    monkeypatch.setattr(socket, "socket", no_network)
    used = entry(schema)
    for _ in range(3):
        catalog.check(used, {"a": 1})
    (event,) = events
    assert (event.kind, event.server, event.at) == ("schema_ignored", "alpha", 7.0)
    assert "alpha:forecast" in event.detail


def test_a_schema_that_is_no_json_lets_the_call_through(catalog, entry, events):
    circle: dict[str, object] = {"type": "object", "minProperties": 1}
    circle["properties"] = {"self": circle}
    catalog.check(entry(circle), {})
    assert "not JSON" in events[0].detail


def test_references_that_double_at_every_step_are_given_up(catalog, entry, events):
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    schema = {"$defs": {**defs, "d40": {"type": "object"}}, "$ref": "#/$defs/d0"}
    for _ in range(3):
        catalog.check(entry(schema), {"a": 1})
    (event,) = events
    assert "takes too long" in event.detail


def test_a_dialect_hidden_behind_a_reference_does_not_lift_the_limits(catalog, entry, events):
    dialect = "https://json-schema.org/draft/2020-12/schema"
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    schema = {
        "$schema": dialect,
        "$defs": {**defs, "d40": {"$ref": "#"}},
        "properties": {"a": {"$ref": "#/$defs/d0"}},
    }
    catalog.check(entry(schema), {"a": 1})
    assert len(events) == 1


def test_big_arguments_may_go_unchecked_without_giving_the_schema_up(catalog, entry, events):
    words = {"type": "array", "items": {"not": {"const": "b"}}}
    used = entry(schema_of(words=words))
    catalog.check(used, {"words": ["a"] * 50_000})
    assert "take too long" in events[0].detail
    assert refusal(catalog, used, {"words": ["b"]})[0] == "words[0]"


def test_a_pattern_that_could_run_for_ever_is_left_to_the_server(catalog, entry, events):
    used = entry(schema_of(x={"type": "string", "pattern": "^(a+)+$"}))
    catalog.check(used, {"x": "a" * 60 + "b"})
    assert "patterns" in events[0].detail
    assert refusal(catalog, used, {"x": 5})[0] == "x"


def test_patterns_for_names_are_run_with_the_same_care(catalog, entry, events):
    hostile = {"type": "object", "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
    catalog.check(entry(hostile), {"a" * 60 + "b": 1})
    assert len(events) == 1
    kind = {"type": "object", "patternProperties": {"^x_": {"type": "string"}}, "additionalProperties": False}
    catalog.check(entry(kind), {"x_a": "text"})
    assert refusal(catalog, entry(kind), {"x_a": 5})[0] == "x_a"
    assert refusal(catalog, entry(kind), {"y": 5})[0] == "y"


def test_unevaluated_rules_are_left_to_the_server(catalog, entry, events):
    schema = {"type": "object", "allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}
    catalog.check(entry(schema), {"b": 1})
    assert events == []


@pytest.mark.parametrize(
    ("pattern", "length", "answer"),
    [
        (r"^\d{4}-\d{2}-\d{2}$", 1000, True),
        (r"^[a-z]+$", 500, True),
        (r"[+*(){}]+", 500, True),
        (r"\(\)*", 500, True),
        (r"(a+)+$", 30, False),
        (r"(a|aa){5,}", 30, False),
        ("a?" * 30 + "a" * 30, 30, False),
        ("a*" * 10, 1000, False),
        ("x" * 501, 1, False),
    ],
)
def test_only_patterns_that_take_few_steps_are_run(pattern, length, answer):
    assert cheap(pattern, length) is answer


@pytest.mark.parametrize("pattern", [r"\p{L}", "(", "(?<name>x)", "[z-a]"])
def test_a_pattern_of_another_dialect_gives_no_answer(pattern):
    assert matches(pattern, "abc") is None


def test_a_server_that_changes_its_schema_for_ever_does_not_fill_the_memory(catalog, entry):
    for i in range(4200):
        catalog.check(entry({"type": "object", "title": str(i)}), {})
    assert len(catalog._checker._schemas) <= 4096


def test_a_number_too_large_to_write_is_left_to_the_server(catalog, entry, events):
    catalog.check(entry(), {"location": "x", "days": 10**5000})
    assert "checking against it broke" in events[0].detail


plain_types = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
leaves = st.fixed_dictionaries(
    {},
    optional={
        "type": plain_types | st.lists(plain_types, min_size=1, max_size=2, unique=True),
        "enum": st.lists(st.sampled_from(["a", "b", 1, None, True]), min_size=1, max_size=3, unique_by=repr),
        "const": st.sampled_from(["a", 1, True, None]),
        "minimum": st.integers(-2, 2) | st.floats(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "b$", "c+", ""]),
        "minItems": st.integers(0, 2),
        "description": st.text(max_size=3),
    },
)
schemas = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": plain_types,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=6,
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, "a", "b", "abc", float("nan")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(schemas, values)
def test_the_fast_yes_never_accepts_what_a_validator_refuses(schema, value):
    accept = quick(schema)
    if accept is not None and accept(value):
        assert Draft202012Validator(schema).is_valid(value)


def refused(schema, arguments, told) -> bool:
    entry = from_tool("alpha", Tool(name="x", input_schema=schema))
    try:
        Catalog(on_event=told.append).check(entry, arguments)
    except ArgumentError:
        return True
    return False


@settings(max_examples=150, deadline=None)
@given(schemas, st.dictionaries(st.sampled_from("abc"), values, max_size=3))
def test_the_check_agrees_with_the_reference_validator(schema, arguments):
    told: list[object] = []
    assert refused(schema, arguments, told) is not Draft202012Validator(schema).is_valid(arguments)
    assert told == []


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "required", "enum", "anyOf", "items", "$ref", "pattern"]),
        values,
    ),
    st.dictionaries(st.sampled_from("abc"), values, max_size=3),
)
def test_only_a_valid_schema_can_refuse_arguments(schema, arguments):
    try:
        Draft202012Validator.check_schema(schema)
        valid = True
    except SchemaError:
        valid = False
    assert valid or not refused(schema, arguments, [])
