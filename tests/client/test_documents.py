"""Resources, prompts, completions, progress and questions through the client: routed like tool calls."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve
from mcp_types import Completion, ListRootsResult
from pydantic import BaseModel

from mcpnb import ArgumentError, MultiServerClient, NoServerAvailable, ToolError, ToolNotFound
from mcpnb.errors import ConfigError

pytestmark = pytest.mark.anyio

LIMIT = 20.0


class City(BaseModel):
    name: str


def which() -> Elicit[City]:
    return Elicit("Which city?", City)


def known() -> ListRoots:
    return ListRoots()


async def book(
    city: Annotated[City, Resolve(which)], roots: Annotated[ListRootsResult, Resolve(known)]
) -> str:
    return f"{city.name} {roots.roots[0].uri}"


def library(name: str, *, fails: bool = False) -> MCPServer:
    """A server with resources, a template, a prompt and completions."""
    server = MCPServer(name, version="1.0", log_level="ERROR")
    notes = {"1": "first"}

    @server.resource("about://me", mime_type="application/json")
    def about() -> str:
        if fails:
            raise RuntimeError("the shelf is empty")
        return f'{{"name": "{name}"}}'

    @server.resource("icon://me", mime_type="image/png")
    def icon() -> bytes:
        return b"\x89PNG"

    @server.resource("note://{number}")
    def note(number: str) -> str:
        return notes[number]

    @server.prompt()
    def greet(who: str, how: str = "Hello") -> str:
        return f"{how} {who}, says {name}"

    @server.completion()
    async def complete(ref, argument, context) -> Completion:
        known = ["Ada", "Alan"] if context is None else [context.arguments["how"]]
        return Completion(values=[text for text in known if text.startswith(argument.value)])

    @server.tool()
    async def change(number: str, text: str, ctx: Context) -> str:
        await ctx.report_progress(1, 1, "changed")
        notes[number] = text
        await ctx.notify_resource_updated(f"note://{number}")
        return text

    @server.tool()
    def paint(colour: str, fast: bool) -> str:
        return colour

    server._tool_manager.get_tool("paint").parameters["properties"]["colour"]["enum"] = ["red", "green"]
    return server


def two() -> dict[str, MCPServer]:
    return {"alpha": library("alpha"), "beta": library("beta")}


async def test_a_resource_is_read_and_is_what_its_type_says():
    async with MultiServerClient(two()) as client:
        about = await client.read("about://me")
        assert (about.value, about.server, about.ok) == ({"name": "alpha"}, "alpha", True)
        assert about.text == '{"name": "alpha"}'
        assert (about.content[0].text, about.raw.contents[0].uri) == (about.text, "about://me")
        assert "about://me from alpha" in repr(about)
        assert (await client.read("icon://me")).value == b"\x89PNG"
        icon = await client.read("icon://me")
        assert (icon.text, icon.content[0].mime_type) == ("", "image/png")
        assert (await client.options(server="beta").read("note://1")).value == "first"


async def test_a_prompt_is_filled_in_and_reads_as_messages():
    async with MultiServerClient(two()) as client:
        prompt = await client.options(server="beta").prompt("greet", who="Ada")
        assert prompt.value == [{"role": "user", "content": "Hello Ada, says beta"}]
        assert prompt.text == "Hello Ada, says beta"
        assert (await client.prompt("greet", {"who": "Ada"}, how="Hi")).text == "Hi Ada, says alpha"


async def test_what_a_prompt_requires_is_told_before_anything_is_sent():
    async with MultiServerClient({"alpha": library("alpha")}) as client:
        with pytest.raises(ArgumentError, match=r"^greet: who: is required and missing$"):
            await client.prompt("greet", how="Hi")
        with pytest.raises(ArgumentError, match="who: is required and missing; 'whom' was given instead"):
            await client.prompt("greet", whom="Ada")
        assert len(client.log) == 0


async def test_declared_replicas_share_what_they_all_have():
    async with MultiServerClient(two(), replicas=True, strategy="round_robin", seed=1) as client:
        servers = [(await client.read("note://1")).server for _ in range(4)]
        assert sorted(servers) == ["alpha", "alpha", "beta", "beta"]
        assert sorted({(await client.prompt("greet", who="x")).server for _ in range(2)}) == ["alpha", "beta"]


async def test_undeclared_servers_never_answer_for_each_other():
    async with MultiServerClient(two(), strategy="round_robin") as client:
        assert {(await client.read("note://1")).server for _ in range(4)} == {"alpha"}
        assert "alpha over beta" in str((await client.read("note://1")).explain())


async def test_a_resource_that_one_replica_lacks_is_read_from_the_other():
    bare = MCPServer("bare", log_level="ERROR")
    async with MultiServerClient({"bare": bare, "alpha": library("alpha")}, replicas=True) as client:
        assert (await client.read("about://me")).server == "alpha"


async def test_what_nobody_has_is_not_found_with_near_names():
    async with MultiServerClient(two()) as client:
        with pytest.raises(ToolNotFound, match=r"resource 'abuot://me'.*Did you mean about://me") as caught:
            await client.read("abuot://me")
        assert caught.value.kind == "resource"
        with pytest.raises(ToolNotFound, match=r"prompt 'gret'.*Did you mean greet"):
            await client.prompt("gret")


async def test_a_resource_that_its_server_will_not_give_is_its_error():
    async with MultiServerClient({"alpha": library("alpha", fails=True)}) as client:
        with pytest.raises(ToolError, match="about://me"):
            await client.read("about://me")


async def test_reading_is_a_row_of_the_log_by_its_template():
    async with MultiServerClient(two()) as client:
        await client.read("note://1")
        await client.prompt("greet", who="Ada")
        columns = client.log.columns()
        assert [columns.tools[code] for code in columns.tool] == ["resource note://{number}", "prompt greet"]
        assert list(columns.size) == [len("first"), len("Hello Ada, says alpha")]
        assert client.servers()[0].calls == 2


async def test_a_server_that_drains_is_told_to_be_unavailable():
    async with MultiServerClient({"alpha": library("alpha")}) as client:
        client.members["alpha"].drain()
        with pytest.raises(NoServerAvailable, match="draining"):
            await client.read("note://1")
        with pytest.raises(NoServerAvailable, match="draining"):
            await client.subscribe("note://1")


async def test_updates_of_a_resource_are_events_until_unsubscribed():
    async with MultiServerClient(two()) as client:
        told = asyncio.Event()
        client.on("resource_updated", lambda event: told.set())
        assert await client.options(server="beta").subscribe("note://1") == "beta"
        await client.options(server="beta").call("change", number="1", text="second")
        async with asyncio.timeout(LIMIT):
            await told.wait()
        assert (await client.options(server="beta").read("note://1")).value == "second"
        await client.unsubscribe("note://1")
        assert client.members["beta"].subscribed() == ()


async def test_arguments_are_completed_by_servers_and_by_schemas():
    bare = MCPServer("bare", log_level="ERROR")

    @bare.prompt()
    def plain(who: str) -> str:
        return who

    async with MultiServerClient({"alpha": library("alpha"), "bare": bare}) as client:
        assert await client.complete("greet", "who", "A") == ["Ada", "Alan"]
        assert await client.complete("greet", "who", "Al") == ["Alan"]
        assert await client.complete("greet", "how", "", how="Hi") == ["Hi"]
        assert await client.complete("note://{number}", "number", "Ad") == ["Ada"]
        assert await client.complete("paint", "colour", "r") == ["red"]
        assert await client.complete("paint", "fast") == ["true", "false"]
        assert await client.complete("paint", "elsewhere") == []
        assert await client.complete("plain", "who") == []  # its server does not complete
        with pytest.raises(ToolNotFound):
            await client.complete("nothing", "who")


async def test_progress_reaches_the_callback_of_the_call():
    heard = []

    async def awaited(*told):
        heard.append(told)

    async with MultiServerClient(two()) as client:
        view = client.options(on_progress=lambda *told: heard.append(told))
        await view.call("change", number="1", text="x")
        await client.options(on_progress=awaited).call("change", number="1", text="x")
    assert heard == [(1.0, 1.0, "changed")] * 2


async def test_questions_of_servers_are_answered_by_the_clients_callbacks(tmp_path):
    server = MCPServer("asking", log_level="ERROR")
    server.tool()(book)
    answers = {"on_elicit": lambda question: {"name": question.server}, "roots": [tmp_path]}
    async with MultiServerClient({"here": server}, **answers) as client:
        assert (await client.call("book")).value == f"here {tmp_path.as_uri()}"
        await client.set_roots(["file:///other"])
        assert (await client.call("book")).value == "here file:///other"
    async with MultiServerClient({"here": server}) as client:
        with pytest.raises(ToolError):
            await client.call("book")
        assert "elicitation_declined" in {event.kind for event in client.events.snapshot()}
        with pytest.raises(ConfigError, match="roots"):
            await client.set_roots([tmp_path])
