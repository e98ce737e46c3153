"""Long listings are read in slices, between which the loop goes on."""

from __future__ import annotations

import pytest
from mcp_types import Tool

from mcpnb.catalog import Catalog, draft
from mcpnb.client.drafts import Reading

pytestmark = pytest.mark.anyio

CYCLE: dict = {"type": "object"}
CYCLE["self"] = CYCLE


class Loop:
    """A loop whose clock each look at puts on, by what the work between two looks takes."""

    def __init__(self, *, busy: bool, step: float = 0.0001) -> None:
        self.busy, self._step, self._now = busy, step, 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        self._now += self._step
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds

    def reading(self) -> Reading:
        return Reading(lambda but: self.busy, clock=self.clock, sleep=self.sleep)


def tools(count: int) -> list[Tool]:
    schemas = [
        {"type": "object", "properties": {"x": {"type": "integer", "default": n}}} for n in range(count)
    ]
    return [Tool(name=f"tool_{n}", input_schema=schema) for n, schema in enumerate(schemas)]


async def test_while_calls_are_made_reading_takes_a_tenth_of_the_loop() -> None:
    loop, listed = Loop(busy=True), tools(100)
    assert await loop.reading().draft(listed) == tuple(map(draft, listed))
    work = loop._now - sum(loop.slept)
    assert 9 * work * 0.8 < sum(loop.slept) < 9 * work
    assert max(loop.slept) < 0.01


async def test_while_nobody_calls_it_only_lets_the_loop_go_round() -> None:
    loop, listed = Loop(busy=False), tools(100)
    assert await loop.reading().draft(listed) == tuple(map(draft, listed))
    assert loop.slept
    assert set(loop.slept) == {0}


async def test_the_end_of_the_traffic_is_noticed_in_the_middle_of_a_listing() -> None:
    loop = Loop(busy=True)
    asked = iter([True, True] + [False] * 1000)
    reading = Reading(lambda but: next(asked), clock=loop.clock, sleep=loop.sleep)
    await reading.draft(tools(100))
    assert [seconds > 0 for seconds in loop.slept[:4]] == [True, True, False, False]


async def test_a_short_listing_is_read_at_once() -> None:
    loop, listed = Loop(busy=True), tools(3)
    assert await loop.reading().draft(listed) == tuple(map(draft, listed))
    assert loop.slept == []


async def test_between_two_pages_there_is_a_rest_for_each_item_while_calls_are_made() -> None:
    loop = Loop(busy=True)
    await loop.reading().rest(500)
    loop.busy = False
    await loop.reading().rest(500)
    assert loop.slept == [pytest.approx(0.25)]


async def test_a_long_answer_leaves_the_loop_to_those_who_call_other_servers() -> None:
    loop = Loop(busy=True)
    asked: list[str] = []
    reading = Reading(lambda but: asked.append(but) or loop.busy, clock=loop.clock, sleep=loop.sleep)
    await reading.give_way("big", 65_536)
    loop.busy = False
    await reading.give_way("big", 65_536)
    assert asked == ["big", "big"]  # whose own callers do not count
    assert loop.slept == [pytest.approx(0.0065536)]


def test_entries_are_the_same_with_drafts_and_without() -> None:
    listed = [*tools(3), Tool.model_construct(name="odd", input_schema=CYCLE), *tools(1)]
    plain, drafted = Catalog(), Catalog()
    told = plain.update("one", listed, version="1", at=1.0)
    assert drafted.update("one", listed, version="1", drafts=[*map(draft, listed)], at=1.0) == told
    assert drafted.entries == plain.entries
    assert [entry.name for entry in plain.entries] == ["tool_0", "tool_1", "tool_2", "odd"]
