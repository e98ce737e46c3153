"""Resources and prompts in a notebook: verbs that wait, things to look at, frames."""

from __future__ import annotations

import asyncio
import threading

import pandas as pd
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import Prompt, PromptArgument, Resource, ResourceTemplate

import mcpnb
from mcpnb.connection import Listing
from mcpnb.notebook.documents import prompts_frame, resources_frame


def library() -> MCPServer:
    server = MCPServer("library", version="1.0", log_level="ERROR")

    @server.resource("table://cities", mime_type="application/json")
    def cities() -> str:
        return '[{"city": "Paris", "people": 2}, {"city": "Rome", "people": 3}]'

    @server.resource("note://{number}")
    def note(number: str) -> str:
        return f"note {number}"

    @server.prompt()
    def greet(who: str, how: str = "Hello") -> str:
        return f"{how} {who}"

    @server.tool()
    async def change(ctx: Context) -> str:
        await ctx.notify_resource_updated("note://1")
        return "changed"

    return server


@pytest.fixture
def fleet():
    with mcpnb.connect({"library": library()}) as connected:
        yield connected


def test_a_resource_is_read_as_a_value_and_as_a_frame(fleet) -> None:
    cities = fleet.read("table://cities")
    assert cities.value[1] == {"city": "Rome", "people": 3}
    assert list(cities.df.columns) == ["city", "people"]
    assert cities.server == "library"
    assert "Rome" in cities._repr_mimebundle_()["text/plain"]
    assert fleet.options(server="library").read("note://7").text == "note 7"
    assert "resource table://cities" in str(cities.explain())


def test_a_prompt_is_filled_in_and_completed(fleet) -> None:
    assert fleet.prompt("greet", who="Ada").value == [{"role": "user", "content": "Hello Ada"}]
    assert fleet.complete("greet", "who", "A") == []


def test_the_same_verbs_are_awaitable(fleet) -> None:
    async def both():
        return (await fleet.aio.read("note://1")).text, (await fleet.aio.prompt("greet", who="x")).text

    assert asyncio.run(both()) == ("note 1", "Hello x")


def test_roots_can_be_changed(tmp_path) -> None:
    with mcpnb.connect({"library": library()}, roots=[tmp_path]) as fleet:
        fleet.set_roots([tmp_path / "other"])
        assert [str(root.uri) for root in fleet.client._answering.roots] == [(tmp_path / "other").as_uri()]


def test_an_update_of_a_resource_is_an_event(fleet) -> None:
    told = threading.Event()
    fleet.on("resource_updated", lambda event: told.set())
    assert fleet.subscribe("note://1") == "library"
    fleet.call("change")
    assert told.wait(20)
    fleet.unsubscribe("note://1")


def test_what_is_offered_is_listed(fleet) -> None:
    assert list(fleet.resources["uri"]) == ["table://cities", "note://{number}"]
    assert list(fleet.resources["template"]) == [False, True]
    assert list(fleet.prompts["prompt"]) == ["greet"]
    assert list(fleet.prompts["arguments"]) == ["who, how?"]


LISTING = Listing(
    resources=(Resource(uri="a://b", name="b", size=7, mime_type="text/plain"),),
    templates=(ResourceTemplate(uri_template="a://{c}", name="c"),),
    prompts=(
        Prompt(name="p", arguments=[PromptArgument(name="x", required=True), PromptArgument(name="y")]),
    ),
)


@pytest.mark.parametrize("make", [resources_frame, prompts_frame])
def test_columns_and_dtypes_are_the_same_with_rows_and_without(make) -> None:
    full, empty = make({"one": LISTING, "two": LISTING}), make({})
    assert len(full) in {2, 4}
    assert empty.empty
    assert list(full.columns) == list(empty.columns)
    kinds = [str(dtype) for dtype in full.dtypes]
    assert kinds == [str(dtype) for dtype in empty.dtypes]


def test_sizes_are_whole_numbers_and_missing_when_unknown() -> None:
    frame = resources_frame({"one": LISTING})
    assert frame["bytes"][0] == 7
    assert pd.isna(frame["bytes"][1])
