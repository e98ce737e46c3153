"""The asynchronous core against real in-process servers."""

from __future__ import annotations

import asyncio
import sys

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError as ServerToolError
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb import MultiServerClient
from mcpnb.model import CallOptions

pytestmark = pytest.mark.anyio


def server(name: str, *, version: str = "1.0", also: str | None = None) -> MCPServer:
    made = MCPServer(name, version=version, log_level="ERROR")

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    def whoami(greeting: str = "hello") -> dict[str, str]:
        return {"greeting": greeting, "name": name}

    @made.tool()
    def size(of: list[int]) -> int:
        return len(of)

    @made.tool()
    def fail(reason: str) -> str:
        raise ServerToolError(reason)

    if also:

        @made.tool(name=also)
        def extra(number: float) -> float:
            return number * 2

    return made


def three() -> dict[str, MCPServer]:
    return {name: server(name) for name in ("alpha", "beta", "gamma")}


async def test_replicas_share_the_calls():
    async with MultiServerClient(three(), replicas=True, strategy="round_robin", seed=1) as client:
        names = [(await client.call("whoami")).value["name"] for _ in range(6)]
    assert sorted(names) == ["alpha", "alpha", "beta", "beta", "gamma", "gamma"]


@pytest.mark.parametrize("strategy", ["rendezvous", "bounded_hash"])
async def test_strategies_by_key_send_the_same_arguments_to_the_same_server(strategy):
    async with MultiServerClient(three(), replicas=True) as client:
        by_key = client.options(strategy=strategy)

        async def taken(**arguments: object) -> str:
            return (await by_key.call("whoami", arguments)).server

        places = {str(n): await taken(greeting=str(n)) for n in range(30)}
        assert set(places.values()) == set(three())
        assert {n: await taken(greeting=n) for n in places} == places
        assert len({await taken() for _ in range(6)}) == 1
        sticky = by_key.options(affinity="session")
        assert len({(await sticky.call("whoami", greeting=n)).server for n in places}) == 1


async def test_a_key_is_worked_out_only_for_strategies_that_go_by_one():
    async with MultiServerClient(three(), replicas=True, strategy="rendezvous") as client:
        secret = "the words themselves"
        finish = await client.trace("whoami", {"greeting": secret}, CallOptions())
        key = finish.call.request.key
        assert len(key) == 32
        assert secret not in key
        client.strategy = "p2c"
        assert (await client.trace("whoami", {"greeting": secret}, CallOptions())).call.request.key == ""
        named = await client.trace("whoami", {"greeting": secret}, CallOptions(strategy="rendezvous"))
        assert named.call.request.key == key
        bound = CallOptions(strategy="rendezvous", affinity="session")
        assert (await client.trace("whoami", {}, bound)).call.request.key == ""


async def test_servers_that_are_not_declared_replicas_are_a_conflict_that_the_first_wins():
    async with MultiServerClient(three()) as client:
        names = {(await client.call("whoami")).server for _ in range(6)}
        assert names == {"alpha"}
        assert {conflict.tool for conflict in client.catalog.conflicts} == {"whoami", "size", "fail"}
        assert (await client.call("beta:whoami")).server == "beta"
        assert (await client.options(server="gamma").call("whoami")).server == "gamma"
        assert "alpha" in str((await client.call("whoami")).explain())


async def test_a_result_is_the_value_that_the_tool_returned():
    async with MultiServerClient({"alpha": server("alpha")}) as client:
        result = await client.call("size", of=[1, 2, 3])
        assert (result.value, result.text, result.ok, result.attempts) == (3, "3", True, 1)
        assert result.raw.structured_content == {"result": 3}
        assert (await client.call_tool("whoami", {"greeting": "hi"})).value["greeting"] == "hi"
        assert result.latency > 0
        assert "size from alpha" in repr(result)


async def test_a_tool_that_says_no_raises_with_its_own_words_and_its_result():
    async with MultiServerClient({"alpha": server("alpha")}) as client:
        with pytest.raises(mcpnb.ToolError, match="no more tea") as caught:
            await client.call("fail", reason="no more tea")
        assert caught.value.result.ok is False
        kept = await client.options(raise_on_error=False).call("fail", reason="no more tea")
        assert not kept.ok
        assert client.servers()[0].errors == 0  # the tool's no is not the server's fault


async def test_mistakes_are_told_before_anything_is_sent():
    async with MultiServerClient(three(), replicas=True) as client:
        with pytest.raises(mcpnb.ToolNotFound, match="whoami"):
            await client.call("whoam")
        with pytest.raises(mcpnb.ArgumentError, match="of"):
            await client.call("size", of="three")
        with pytest.raises(mcpnb.ArgumentError, match="of"):
            await client.call("size")
        with pytest.raises(mcpnb.StrategyError, match="p2c"):
            client.options(strategy="p2")
        with pytest.raises(TypeError, match="colour"):
            client.options(colour="red")
        assert len(client.log) == 0


async def test_servers_that_cannot_be_reached_are_rows_that_say_why_and_the_others_work():
    source = {
        "good": server("good"),
        "nothing": "http://127.0.0.1:9/mcp",
        "missing": ["no-such-command-of-ours"],
        "dies": [sys.executable, "-c", "import sys; sys.exit('bad luck')"],
        "garbage": [sys.executable, "-c", "print('hello'); import sys; sys.stdin.read()"],
    }
    async with MultiServerClient(source, connect_timeout=3.0) as client:
        rows = {row.server: row for row in client.servers()}
        assert rows["good"].state == "connected"
        assert rows["missing"].state == "failed"
        assert "no-such-command-of-ours" in rows["missing"].last_error
        assert "refused" in rows["nothing"].last_error
        assert "bad luck" in rows["dies"].last_error
        assert rows["garbage"].last_error
        assert (await client.call("whoami")).server == "good"
        with pytest.raises(mcpnb.ToolNotFound, match="missing: command not found"):
            await client.call("search")


async def test_gather_asks_every_server_and_says_what_each_contributed():
    source = {**three(), "down": "http://127.0.0.1:9/mcp"}
    async with MultiServerClient(source) as client:
        whole = await client.gather("size", of=[1, 2])
        assert (whole.value, whole.method) == (2, "mean")
        assert set(whole.results) == {"alpha", "beta", "gamma"}
        assert [source.outcome for source in whole.sources] == ["ok"] * 3
        first = await client.options(method="first").gather("whoami")
        assert first.value["name"] in first.results


async def test_gather_says_per_server_why_nobody_answered():
    async with MultiServerClient(three()) as client:
        with pytest.raises(mcpnb.NoServerAvailable) as caught:
            await client.gather("fail", reason="closed on Sundays")
        assert set(caught.value.reasons) == {"alpha", "beta", "gamma"}
        assert "closed on Sundays" in caught.value.reasons["beta"]
        with pytest.raises(mcpnb.ArgumentError, match="of"):
            await client.gather("size", of=1)


async def test_every_attempt_is_a_row_and_every_lease_comes_back():
    async with MultiServerClient(three(), replicas=True, seed=3) as client:
        await asyncio.gather(*(client.call("whoami") for _ in range(50)))
        columns = client.log.columns()
        assert len(columns.call) == 50
        assert sum(row.calls for row in client.servers()) == 50
        assert all(row.in_flight == 0 for row in client.servers())


async def test_a_strategy_switched_in_the_middle_is_used_by_the_next_call():
    async with MultiServerClient(three(), replicas=True) as client:
        client.strategy = "round_robin"
        assert (await client.call("whoami")).explain().strategy == "round_robin"
        assert (await client.options(strategy="random").call("whoami")).explain().strategy == "random"


async def test_a_trial_has_a_strategy_of_its_own_and_leaves_nothing_behind():
    async with MultiServerClient(three(), replicas=True) as client:
        trial = client.trial("round_robin")
        picks = [(await trial.trace("whoami", {})).call.ended[0].attempt.server for _ in range(3)]
        assert set(picks) == {"alpha", "beta", "gamma"}
        trial.close()
        with pytest.raises(mcpnb.StrategyError):
            await trial.trace("whoami", {})


async def test_servers_come_and_go_while_calls_are_running():
    async with MultiServerClient({"alpha": server("alpha")}) as client:
        await client.add("beta", server("beta", also="double"))
        assert (await client.call("double", number=2)).value == 4
        await client.remove("beta")
        with pytest.raises(mcpnb.ToolNotFound):
            await client.call("double", number=2)
        with pytest.raises(mcpnb.ConfigError, match="already"):
            await client.add("alpha", server("alpha"))
        with pytest.raises(mcpnb.ConfigError, match="no such server"):
            await client.remove("beta")


async def test_removing_a_server_waits_for_its_running_calls():
    slow, entered, leave = MCPServer("slow", log_level="ERROR"), asyncio.Event(), asyncio.Event()

    @slow.tool()
    async def wait() -> str:
        entered.set()
        await leave.wait()
        return "done"

    async with MultiServerClient({"slow": slow, "other": server("other")}) as client:
        call = asyncio.create_task(client.call("wait"))
        await entered.wait()
        removal = asyncio.create_task(client.remove("slow"))
        await asyncio.sleep(0)
        leave.set()
        assert (await call).value == "done"
        await removal
        assert [row.server for row in client.servers()] == ["other"]


async def test_a_call_that_takes_too_long_ends_at_its_deadline_and_the_server_stays():
    slow = MCPServer("slow", log_level="ERROR")

    @slow.tool()
    async def wait() -> str:
        await asyncio.Event().wait()
        return "never"

    @slow.tool()
    def quick() -> str:
        return "yes"

    async with MultiServerClient({"slow": slow}) as client:
        with pytest.raises(mcpnb.CallTimeout, match="wait"):
            await client.options(timeout=0.05).call("wait")
        assert (await client.call("quick")).value == "yes"
        assert client.servers()[0].in_flight == 0


async def test_tags_choose_among_replicas():
    async with MultiServerClient(three(), replicas=True, tags=["blue"]) as client:
        assert (await client.options(tags="blue").call("whoami")).ok
        with pytest.raises(mcpnb.NoServerAvailable, match="lacks the tag red"):
            await client.options(tags={"red"}).call("whoami")


async def test_a_disabled_server_is_a_row_and_nothing_else():
    source = {"alpha": server("alpha"), "off": {"url": "http://127.0.0.1:9/mcp", "disabled": True}}
    async with MultiServerClient(source) as client:
        rows = {row.server: row for row in client.servers()}
        assert (rows["off"].state, rows["off"].last_error) == (
            "disconnected",
            "disabled in the configuration",
        )


@pytest.mark.parametrize(
    ("asked_at", "tool", "says"),
    [
        ("off", "whoami", "No server offers the tool 'off:whoami'. Not connected: off: disabled in the"),
        (None, "off:whoami", "No server offers the tool 'off:whoami'. Not connected: off: disabled in the"),
        (
            "down",
            "whoami",
            "Offered by alpha. No listing has come yet from down. Not connected: down: command",
        ),
        ("alpa", "whoami", "There is no server 'alpa'. Did you mean alpha?"),
        ("alpha", "whoam", "Did you mean alpha:whoami"),
        (
            None,
            "whoam",
            "No listing has come yet from down. Not connected: down: command",
        ),
    ],
)
async def test_a_tool_that_is_not_found_says_of_the_servers_that_are_meant_why(asked_at, tool, says):
    servers = {
        "alpha": server("alpha"),
        "off": {"command": "x", "disabled": True},
        "down": {"command": "no-such-command"},
    }
    async with MultiServerClient(servers) as client:
        with pytest.raises(mcpnb.ToolNotFound) as caught:
            await client.options(server=asked_at).call(tool)
        assert says in str(caught.value)
        assert asked_at in {None, "down"} or "no-such-command" not in str(caught.value)


def test_a_misspelt_replica_is_told_at_once():
    with pytest.raises(mcpnb.ConfigError, match="beta"):
        MultiServerClient(three(), replicas=[["alpha", "betta"]])


async def test_answers_that_did_not_fit_are_listed_with_the_reason():
    odd = MCPServer("odd", log_level="ERROR")

    @odd.tool()
    def size(of: list[int]) -> str:
        return "rather large"

    async with MultiServerClient({**three(), "odd": odd}) as client:
        whole = await client.gather("size", of=[1])
        reasons = {source.server: source.error for source in whole.sources}
        assert whole.value == 1
        assert reasons["odd"]
        assert not reasons["alpha"]
