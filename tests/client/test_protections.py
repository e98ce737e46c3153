"""Limits, hedges, keys, stand-ins and versions through the client, against real in-process servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio.lowlevel
import pytest
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb import MultiServerClient
from mcpnb.resilience.breaker import BreakerPolicy

pytestmark = pytest.mark.anyio

READS = ToolAnnotations(read_only_hint=True)


class Gate:
    """A server whose answers a test lets through, and which counts who is inside."""

    def __init__(self, name: str, *, version: str = "1.0") -> None:
        self.name, self.inside, self.most = name, 0, 0
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.server = MCPServer(name, version=version, log_level="ERROR")

        @self.server.tool(annotations=READS)
        async def visit() -> str:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.entered.set()
            try:
                await self.open.wait()
                return name
            finally:
                self.inside -= 1

        @self.server.tool(annotations=READS)
        def whoami(session: str = "") -> str:
            return name


async def until(true: Callable[[], bool]) -> None:
    """Let the loop run until something is so; the test's own timeout ends it when it never is."""
    while not true():
        await anyio.lowlevel.checkpoint()


async def test_a_servers_limit_makes_calls_wait_and_the_row_says_so():
    gate = Gate("only")
    async with MultiServerClient({"only": gate.server}, max_in_flight=2) as client:
        calls = [asyncio.ensure_future(client.call("visit")) for _ in range(5)]
        await gate.entered.wait()
        await until(lambda: client.servers()[0].queued == 3)
        assert client.servers()[0].in_flight == 2
        gate.open.set()
        results = await asyncio.gather(*calls)
        assert gate.most == 2
        assert sum(result.explain().queued > 0 for result in results) == 3


async def test_calls_beyond_the_queues_bound_are_shed_and_leave_a_row():
    gate = Gate("only")
    async with MultiServerClient({"only": gate.server}, max_in_flight=1, max_queue=0) as client:
        first = asyncio.ensure_future(client.call("visit"))
        await gate.entered.wait()
        with pytest.raises(mcpnb.Overloaded, match="no call may wait"):
            await client.call("visit")
        gate.open.set()
        await first
        columns = client.log.columns()
        assert [columns.attempt.tolist(), len(columns)] == [[0, 1], 2]


async def test_a_slow_call_is_hedged_and_the_loser_is_cancelled_on_its_server():
    gates = {name: Gate(name) for name in ("alpha", "beta")}
    async with MultiServerClient(
        {name: gate.server for name, gate in gates.items()}, replicas=True, hedge=0.01, seed=1
    ) as client:
        call = asyncio.ensure_future(client.call("visit"))
        await asyncio.gather(*(gate.entered.wait() for gate in gates.values()))
        gates["beta"].open.set()
        result = await call
        assert result.server == "beta"
        assert {record.outcome for record in result.explain().attempts} == {"ok", "cancelled"}
        assert "hedge: no answer after 10 ms" in str(result.explain())
        await until(lambda: not gates["alpha"].inside)
        assert client.log.columns().hedge.sum() == 1


async def test_calls_of_one_key_stick_to_one_server():
    gates = [Gate(name) for name in ("alpha", "beta", "gamma")]
    async with MultiServerClient(
        {gate.name: gate.server for gate in gates}, replicas=True, strategy="random"
    ) as client:
        homes = {(await client.options(affinity="me").call("whoami")).server for _ in range(10)}
        assert len(homes) == 1


async def test_another_tool_stands_in_when_nobody_answers_for_the_one_asked_for():
    alpha, beta = MCPServer("alpha", log_level="ERROR"), MCPServer("beta", log_level="ERROR")

    @alpha.tool(annotations=READS)
    def forecast(location: str, days: int = 1) -> dict[str, str]:
        return {"sky": "blue"}

    @beta.tool(annotations=READS)
    def normals(location: str) -> dict[str, str]:
        return {"usually": f"grey in {location}"}

    async with MultiServerClient({"alpha": alpha, "beta": beta}) as client:
        client.fallback("forecast", ["normals"])
        assert (await client.call("forecast", location="Oslo")).server == "alpha"
        client.trip("alpha")
        client.members["alpha"].drain()
        client.members._mark(client.members["alpha"])
        result = await client.call("forecast", location="Oslo", days=3)
        assert (result.server, result.tool, result.value) == ("beta", "normals", {"usually": "grey in Oslo"})
        assert "fallback: forecast" in str(result.explain())


async def test_a_stand_in_that_does_not_fit_is_told_once():
    alpha, beta = MCPServer("alpha", log_level="ERROR"), MCPServer("beta", log_level="ERROR")

    @alpha.tool()
    def forecast(location: str) -> str:
        return "fine"

    @beta.tool()
    def normals(station: int) -> str:
        return "usual"

    async with MultiServerClient({"alpha": alpha, "beta": beta}) as client:
        client.fallback("forecast", ["normals", "nothing"])
        for _ in range(3):
            await client.call("forecast", location="Oslo")
        told = [event.detail for event in client.events.snapshot() if event.kind == "fallback"]
        assert len(told) == 2
        assert told[0].startswith("normals cannot stand in for forecast: ")
        client.fallback("forecast", [])
        with pytest.raises(ValueError, match="itself"):
            client.fallback("forecast", ["forecast"])


async def test_a_version_specifier_chooses_among_replicas():
    old, new = Gate("old", version="1.9"), Gate("new", version="2.1")
    async with MultiServerClient({"old": old.server, "new": new.server}, replicas=True) as client:
        picky = client.options(version=">=2,<3")
        assert {(await picky.call("whoami")).server for _ in range(6)} == {"new"}
        with pytest.raises(mcpnb.NoServerAvailable, match=r"its version is 1\.9"):
            await client.options(version=">=9").call("whoami")


async def test_a_strict_region_is_never_left():
    gates = {name: Gate(name) for name in ("eu", "us")}
    async with MultiServerClient(
        {name: gate.server for name, gate in gates.items()}, replicas=True
    ) as client:
        with pytest.raises(mcpnb.NoServerAvailable, match="only eu is allowed"):
            await client.options(region="eu", strict=True).call("whoami")


async def test_breakers_per_tool_are_seen_and_tripped_per_tool():
    gate = Gate("only")
    async with MultiServerClient(
        {"only": gate.server}, breaker=BreakerPolicy(per_tool=True), panic=False
    ) as client:
        client.trip("only", "visit")
        assert (await client.call("whoami")).value == "only"
        with pytest.raises(mcpnb.NoServerAvailable, match="breaker open: tripped by hand"):
            await client.call("visit")
        assert {tool: breaker.state for tool, breaker in client.breakers("only").items()} == {
            "visit": "open",
            "whoami": "closed",
        }
        client.reset("only", "visit")
        gate.open.set()
        assert (await client.call("visit")).ok


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"priority": "urgent"}, "priority must be one of high, normal, low"),
        ({"version": "newest"}, "no version specifier"),
        ({"strict": True}, "say which with region"),
        ({"hedge": -1}, "hedge must be seconds"),
        ({"retries": -1}, "retries must be a whole number"),
    ],
)
async def test_a_wrong_option_is_told_where_it_is_said(options, problem):
    client = MultiServerClient({"only": Gate("only").server})
    with pytest.raises(ValueError, match=problem):
        client.options(**options)


async def test_an_unknown_option_names_the_nearest():
    client = MultiServerClient({"only": Gate("only").server})
    with pytest.raises(TypeError, match="did you mean: affinity"):
        client.options(afinity="me")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"affinity": 5}, "affinity must be text"),
        ({"server": ["a"]}, "server must be text"),
        ({"tags": [5]}, "tags must be texts"),
        ({"strict": "yes"}, "strict must be True or False"),
        ({"on_progress": 5}, "on_progress must be callable"),
    ],
)
async def test_an_option_of_another_kind_is_told_where_it_is_said(options, problem):
    client = MultiServerClient({"only": Gate("only").server})
    with pytest.raises(TypeError, match=problem):
        client.options(**options)


@pytest.mark.parametrize("name", ["timeout", "connect_timeout"])
@pytest.mark.parametrize("seconds", ["x", -1, float("nan"), True])
async def test_a_time_that_is_none_is_told_before_anything_is_connected(name, seconds):
    with pytest.raises(ValueError, match=f"{name} must be seconds above 0"):
        MultiServerClient({"only": Gate("only").server}, **{name: seconds})


async def test_a_closed_client_says_so():
    client = MultiServerClient({"only": Gate("only").server})
    await client.start()
    await client.aclose()
    for verb in (client.call("whoami"), client.add("other", Gate("other").server), client.start()):
        with pytest.raises(mcpnb.ConfigError, match="closed"):
            await verb


async def test_a_stand_in_answers_also_where_nobody_ever_listed_the_tool():
    beta = MCPServer("beta", log_level="ERROR")

    @beta.tool()
    def normals(location: str) -> str:
        return f"grey in {location}"

    async with MultiServerClient({"beta": beta}) as client:
        client.fallback("forecast", ["normals"])
        assert (await client.call("forecast", location="Oslo", days=2)).value == "grey in Oslo"
        with pytest.raises(mcpnb.ToolNotFound):
            await client.options(server="beta").call("forecast", location="Oslo")


async def test_what_names_no_tool_is_refused_in_words():
    async with MultiServerClient({"only": Gate("only").server}) as client:
        with pytest.raises(TypeError, match="named by a text"):
            await client.call(5)
        assert (await client.call(mcpnb.ToolRef("only", "whoami"))).value == "only"
        with pytest.raises(ValueError, match="named by texts"):
            client.fallback("whoami", [5])


async def test_a_gather_that_nobody_answers_has_a_line_per_server():
    gates = [Gate(name) for name in ("alpha", "beta")]
    async with MultiServerClient({gate.name: gate.server for gate in gates}) as client:
        with pytest.raises(mcpnb.NoServerAvailable) as caught:
            await client.options(tags="gpu").gather("whoami")
        assert caught.value.reasons == {"alpha": "lacks the tag gpu", "beta": "lacks the tag gpu"}
