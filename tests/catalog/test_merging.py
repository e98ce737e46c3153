"""Several tools as one: who gets a call, and which of its arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpnb.catalog import Catalog, MergedEntry
from mcpnb.errors import ArgumentError

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def takes(*required: str, closed: bool = True, **properties: object) -> dict[str, object]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {**schema, "additionalProperties": False} if closed else schema


@pytest.fixture
def merge(tool):
    def made(**schemas: dict[str, object]) -> Catalog:
        catalog = Catalog(policy="merge")
        for server, schema in schemas.items():
            catalog.update(server, [tool("search", schema)], version="1", at=0.0)
        return catalog

    return made


def sent(catalog: Catalog, **arguments: object) -> dict[str, dict[str, object]]:
    found = catalog.fit(catalog.resolve("search"), arguments)
    return {server: found.entry.arguments_for(server, arguments) for server in found.servers}


def three(merge) -> Catalog:
    return merge(
        a=takes("query", query=TEXT),
        b=takes("query", query=TEXT, limit=NUMBER),
        c=takes("query", query=TEXT, language=TEXT, closed=False),
    )


def test_everybody_gets_what_everybody_knows(merge):
    assert set(sent(three(merge), query="tea")) == {"a", "b", "c"}


def test_who_knows_every_argument_goes_first(merge):
    assert sent(three(merge), query="tea", limit=3) == {"b": {"query": "tea", "limit": 3}}


def test_where_nobody_knows_all_each_gets_what_it_knows_and_the_explanation_says_so(merge):
    catalog = three(merge)
    arguments = {"query": "tea", "limit": 3, "language": "en"}
    assert sent(catalog, **arguments) == {
        "a": {"query": "tea"}, "b": {"query": "tea", "limit": 3}, "c": {"query": "tea", "language": "en"},
    }  # fmt: skip
    note = catalog.fit(catalog.resolve("search"), arguments).note
    assert "merge: a, b, c as one" in note
    assert "limit, language not told to those that do not know it" in note


def test_arguments_are_checked_against_each_servers_own_schema(merge):
    catalog = merge(a=takes("query", query=TEXT), b=takes("query", query=NUMBER))
    assert set(sent(catalog, query="tea")) == {"a"}
    assert set(sent(catalog, query=7)) == {"b"}
    with pytest.raises(ArgumentError, match="query"):
        sent(catalog, query=None)


def test_an_argument_that_nobody_lists_is_not_dropped(merge):
    with pytest.raises(ArgumentError, match="limits"):
        sent(merge(a=takes(query=TEXT), b=takes(limit=NUMBER)), limits=3)
    open_ = merge(a=takes(query=TEXT, closed=False), b=takes(limit=NUMBER))
    assert sent(open_, anything=1) == {"a": {"anything": 1}}


def test_the_arguments_of_the_caller_are_not_changed(merge):
    arguments = {"query": "tea", "limit": 3, "language": "en"}
    sent(three(merge), **arguments)
    assert arguments == {"query": "tea", "limit": 3, "language": "en"}


def test_the_union_shows_other_types_as_alternatives_and_keeps_references_alive(merge):
    named = {"type": "object", "properties": {"to": {"$ref": "#/$defs/Town"}}, "$defs": {"Town": TEXT}}
    coded = {"type": "object", "properties": {"to": {"$ref": "#/$defs/Town"}}, "$defs": {"Town": NUMBER}}
    catalog = merge(a=named, b=coded)
    entry = catalog.resolve("search").entry
    assert isinstance(entry, MergedEntry)
    assert entry.signature == "to: str | int = ..."
    assert sent(catalog, to=3) == {"b": {"to": 3}}


def test_hints_are_those_that_hold_for_all(tool):
    catalog = Catalog(policy="merge")
    catalog.update("a", [tool("search", takes(a=TEXT), hints={"readOnlyHint": True})], at=0.0)
    catalog.update("b", [tool("search", takes(b=TEXT))], at=0.0)
    entry = catalog.resolve("search").entry
    assert (entry.read_only, entry.idempotent, entry.destructive) == (False, False, True)
    assert entry.at("a").read_only


def test_a_check_of_the_whole_passes_when_one_part_takes_its_share(merge):
    catalog = three(merge)
    catalog.check(catalog.resolve("search").entry, {"query": "tea", "limit": 3})
    with pytest.raises(ArgumentError):
        catalog.check(catalog.resolve("search").entry, {"limit": 3})


names = st.sampled_from(["a", "b", "c", "d"])
schemas = st.dictionaries(
    names, st.sampled_from([TEXT, NUMBER, True, {}, None, 3, {"$ref": "#"}]), max_size=4
)


@given(st.lists(schemas, min_size=2, max_size=4), st.dictionaries(names, st.one_of(st.text(), st.integers())))
def test_whatever_schemas_are_merged_a_call_is_sent_what_it_said_or_refused(listed, arguments):
    from mcp_types import Tool

    catalog = Catalog(policy="merge")
    for number, properties in enumerate(listed):
        schema = {"type": "object", "properties": properties}
        catalog.update(f"s{number}", [Tool(name="search", input_schema=schema)], at=0.0)
    try:
        told = sent(catalog, **arguments)
    except ArgumentError:
        return
    assert told
    for server, known in told.items():
        own = listed[int(server[1:])]
        lost = arguments.keys() - known.keys()
        assert known.items() <= arguments.items()
        assert not lost & own.keys()
        assert all(any(name in properties for properties in listed) for name in lost)
