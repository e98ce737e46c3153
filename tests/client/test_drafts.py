"""Long listings are read in slices, between which the loop goes on."""

from __future__ import annotations

import asyncio

import pytest
from mcp_types import Tool

from mcpnb.catalog import Catalog, draft
from mcpnb.client.drafts import drafts_of

pytestmark = pytest.mark.anyio

CYCLE: dict = {"type": "object"}
CYCLE["self"] = CYCLE


def tools(count: int) -> list[Tool]:
    schemas = [
        {"type": "object", "properties": {"x": {"type": "integer", "default": n}}} for n in range(count)
    ]
    return [Tool(name=f"tool_{n}", input_schema=schema) for n, schema in enumerate(schemas)]


async def test_the_loop_goes_on_while_a_long_listing_is_read() -> None:
    listed = tools(100)
    reading = asyncio.create_task(drafts_of(listed))
    await asyncio.sleep(0)
    assert not reading.done()
    assert await reading == tuple(map(draft, listed))


def test_a_short_listing_is_read_at_once() -> None:
    listed = tools(3)
    with pytest.raises(StopIteration) as end:
        drafts_of(listed).send(None)
    assert end.value.value == tuple(map(draft, listed))


def test_entries_are_the_same_with_drafts_and_without() -> None:
    listed = [*tools(3), Tool.model_construct(name="odd", input_schema=CYCLE), *tools(1)]
    plain, drafted = Catalog(), Catalog()
    told = plain.update("one", listed, version="1", at=1.0)
    assert drafted.update("one", listed, version="1", drafts=[*map(draft, listed)], at=1.0) == told
    assert drafted.entries == plain.entries
    assert [entry.name for entry in plain.entries] == ["tool_0", "tool_1", "tool_2", "odd"]
