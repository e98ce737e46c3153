"""What an entry keeps of a tool: hints, version, fingerprint, parameters."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import Tool

from mcpnb.catalog.entry import UNREADABLE, canonical, from_tool
from mcpnb.model import ToolRef


def test_a_tool_without_hints_may_destroy_and_is_not_idempotent(entry):
    plain = entry()
    assert (plain.read_only, plain.idempotent, plain.destructive) == (False, False, True)


def test_a_tool_that_only_reads_is_idempotent_and_destroys_nothing(entry):
    reading = entry(hints={"readOnlyHint": True})
    assert (reading.read_only, reading.idempotent, reading.destructive) == (True, True, False)
    gentle = entry(hints={"destructiveHint": False, "idempotentHint": True})
    assert (gentle.read_only, gentle.idempotent, gentle.destructive) == (False, True, False)


def test_a_tools_own_version_goes_before_its_servers(tool):
    own = tool(meta={"version": "2.1"})
    assert from_tool("alpha", own, server_version="1.0").version == "2.1"
    assert from_tool("alpha", tool(meta={"fastmcp": {"version": "3"}}), server_version="1.0").version == "3"
    assert from_tool("alpha", tool(meta={"version": 4}), server_version="1.0").version == "1.0"
    assert from_tool("alpha", tool()).version is None


def test_the_identity_is_a_pair(entry):
    assert entry(server="alpha").ref == ToolRef("alpha", "forecast")


def test_a_fingerprint_is_the_same_on_every_server_and_for_every_order_of_keys(entry):
    one = {"type": "object", "properties": {"a": {"default": 1}, "b": {}}, "required": ["a", "b"]}
    same = {"required": ["b", "a"], "properties": {"b": {}, "a": {"default": 1.0}}, "type": "object"}
    assert entry(one).fingerprint == entry(same, server="beta").fingerprint
    assert entry(one).fingerprint != entry({**one, "required": ["a"]}).fingerprint
    assert entry(one).fingerprint != entry(one, output={"type": "object"}).fingerprint
    assert canonical({"default": True}) != canonical({"default": 1})


def test_a_schema_that_is_no_json_equals_no_other(entry):
    circle: dict[str, object] = {"type": "object"}
    circle["properties"] = {"self": circle}
    left, right = entry(circle), entry(circle, server="beta")
    assert left.fingerprint.startswith(UNREADABLE)
    assert left.fingerprint != right.fingerprint


def test_parameters_read_like_a_python_signature(entry):
    assert entry().signature == (
        "location: str, days: int = 3, unit: Literal['celsius', 'fahrenheit'] = 'celsius'"
    )
    first = entry().parameters[0]
    assert (first.name, first.required, first.has_default, first.description) == (
        "location",
        True,
        False,
        "A town",
    )


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        ({"type": "string"}, "str"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "float | None"),
        ({"type": "array", "items": {"type": "string"}}, "list[str]"),
        ({"type": "array"}, "list"),
        ({"type": "array", "items": {}}, "list"),
        ({"type": "object"}, "dict"),
        ({"const": "x"}, "Literal['x']"),
        ({"enum": [1.5]}, "Any"),
        ({"$ref": "#/$defs/Unit"}, "Literal['c', 'f']"),
        ({"$ref": "#/$defs/Loop"}, "Any"),
        ({"$ref": "https://example.com/x"}, "Any"),
        ({"anyOf": [{"type": "string"}, {}]}, "Any"),
        ({}, "Any"),
        (True, "Any"),
        ({"type": 5}, "Any"),
    ],
)
def test_annotations_are_python_text(entry, schema, annotation):
    defs = {"Unit": {"enum": ["c", "f"]}, "Loop": {"$ref": "#/$defs/Loop"}}
    (parameter,) = entry({"type": "object", "properties": {"x": schema}, "$defs": defs}).parameters
    assert parameter.annotation == annotation
    assert not parameter.required
    assert str(parameter) == f"x: {annotation} = ..."


@pytest.mark.parametrize(
    "schema", [{"properties": []}, {"properties": {"a": 3}, "required": "a"}, {"required": [1]}]
)
def test_a_malformed_schema_still_makes_an_entry(entry, schema):
    assert all(parameter.annotation == "Any" for parameter in entry(schema).parameters)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["type", "properties", "required", "enum", "anyOf", "$ref"]), json_values)
)
def test_any_json_as_a_schema_makes_an_entry_and_leaves_the_schema_as_it_is(schema):
    before = copy.deepcopy(schema)
    made = from_tool("alpha", Tool(name="x", input_schema=schema))
    assert made.input_schema == before
    assert made.signature is not None
