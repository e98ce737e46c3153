"""Listings for the catalog's tests."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_types import Tool, ToolAnnotations

from mcpnb.catalog import Catalog
from mcpnb.catalog.entry import ToolEntry, from_tool

FORECAST = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "description": "A town"},
        "days": {"type": "integer", "default": 3, "minimum": 1, "maximum": 10},
        "unit": {"enum": ["celsius", "fahrenheit"], "default": "celsius"},
    },
    "required": ["location"],
    "additionalProperties": False,
}
OTHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def make_tool(
    name: str = "forecast",
    schema: dict[str, Any] | None = None,
    *,
    hints: dict[str, bool] | None = None,
    output: dict[str, Any] | None = None,
    **fields: Any,
) -> Tool:
    annotations = ToolAnnotations.model_validate(hints) if hints else None
    inputs = FORECAST if schema is None else schema
    return Tool(name=name, input_schema=inputs, annotations=annotations, output_schema=output, **fields)


def make_entry(schema: dict[str, Any] | None = None, *, server: str = "alpha", **fields: Any) -> ToolEntry:
    return from_tool(server, make_tool(schema=schema, **fields))


def make_catalog(listings: dict[str, list[Tool]], **options: Any) -> Catalog:
    catalog = Catalog(**options)
    for server in listings:
        catalog.declare(server)
    for server, tools in listings.items():
        catalog.update(server, tools, version="1.0", at=0.0)
    return catalog


@pytest.fixture
def tool():
    return make_tool


@pytest.fixture
def entry():
    return make_entry


@pytest.fixture
def catalog_of():
    return make_catalog


@pytest.fixture
def other() -> dict[str, Any]:
    return OTHER
