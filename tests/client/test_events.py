"""What a client tells of its calls while they happen, and what its numbers are afterwards."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError as ServerToolError
from mcp_types import ToolAnnotations

import mcpnb
from mcpnb import MultiServerClient
from mcpnb.model import EVENT_KINDS, Event
from mcpnb.resilience.breaker import BreakerPolicy

pytestmark = pytest.mark.anyio


def server(name: str, gate: asyncio.Event | None = None) -> MCPServer:
    made = MCPServer(name, version="1.0", log_level="ERROR")

    @made.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def work(item: int = 0) -> str:
        if gate is not None:
            await gate.wait()
        return name

    @made.tool()
    def fail() -> str:
        raise ServerToolError("no more tea")

    return made


def heard(client: MultiServerClient) -> list[Event]:
    events: list[Event] = []
    client.on("call_finished", events.append)
    return events


def kinds_in_the_source() -> set[str]:
    """What is written as the kind of an event, wherever one is made or a connection tells of one."""
    found = set()
    for path in Path(mcpnb.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                said = {"Event": node.args[1:2], "_tell": node.args[:1]}.get(name, [])
                found |= {each.value for each in said if isinstance(each, ast.Constant)}
    return {kind for kind in found if isinstance(kind, str)}


def test_every_kind_of_event_is_in_the_one_list_of_them():
    assert kinds_in_the_source() <= set(EVENT_KINDS)
    assert {"server_state", "breaker_state", "tools_changed", "auth"} <= kinds_in_the_source()
    assert sorted(EVENT_KINDS) == list(EVENT_KINDS)


def test_who_asks_for_events_that_never_come_is_told_which_do():
    client = MultiServerClient({"alpha": server("alpha")})
    with pytest.raises(
        ValueError, match=r"'breaker'; did you mean 'breaker_state'\? Known: \*, auth, breaker_state"
    ):
        client.on("breaker", print)
    with pytest.raises(ValueError, match=r"of the kind 'zzz'\. Known:"):
        client.on("zzz", print)
    for kind in ("*", *EVENT_KINDS):
        client.on(kind, print)()


async def test_each_call_that_ends_is_told_once_with_what_became_of_it():
    async with MultiServerClient({"alpha": server("alpha")}, cache=True) as client:
        events = heard(client)
        await client.call("work")
        await client.call("work")
        with pytest.raises(mcpnb.ToolError):
            await client.call("fail")
        told = [(e.kind, e.server, e.data["outcome"], e.data["attempts"], e.data["cached"]) for e in events]
        assert told == [
            ("call_finished", "alpha", "ok", 1, False),
            ("call_finished", "alpha", "ok", 0, True),
            ("call_finished", "alpha", "tool_error", 1, False),
        ]
        assert [e.data["call"] for e in events] == [1, 2, 3]
        first = events[0]
        assert (first.data["tool"], first.data["error"], first.data["queued"]) == ("work", "", 0)
        assert first.data["latency"] > 0
        assert first.at == pytest.approx(client.log.columns().started_at[0], abs=60)
        assert "work: ok after" in first.detail
        assert "from the cache" in events[1].detail


async def test_calls_without_an_answer_are_told_with_the_reason():
    gate = asyncio.Event()
    async with MultiServerClient({"alpha": server("alpha", gate)}, max_in_flight=1) as client:
        events = heard(client)
        with pytest.raises(mcpnb.CallTimeout):
            await client.options(timeout=0.01).call("work")
        call = asyncio.create_task(client.call("work"))
        while not client.servers()[0].in_flight:  # noqa: ASYNC110 - nothing tells that a call is out
            await asyncio.sleep(0.001)
        with pytest.raises(mcpnb.Overloaded):
            await client.options(timeout=0.01).call("work")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    told = [(e.server, e.data["outcome"], e.data["attempts"]) for e in events]
    assert told == [("alpha", "timeout", 1), (None, "rejected", 0), ("alpha", "cancelled", 1)]
    assert "0.01 s" in events[0].data["error"]
    assert "full" in events[1].detail


async def test_the_row_is_there_when_the_call_is_told():
    async with MultiServerClient({"alpha": server("alpha")}) as client:
        rows: list[int] = []
        client.on("call_finished", lambda _: rows.append(len(client.log)))
        for _ in range(3):
            await client.call("work")
        assert rows == [1, 2, 3]


async def test_calls_do_not_fill_the_log_of_events_nor_reach_those_who_ask_for_all():
    async with MultiServerClient({"alpha": server("alpha")}) as client:
        every: list[Event] = []
        client.on("*", every.append)
        stop = client.on("call_finished", lambda _: None)
        before = client.events.total
        for _ in range(5):
            await client.call("work")
        stop()
        assert (client.events.total, every) == (before, [])
        assert not client.events.heard("call_finished")


async def test_what_happens_to_breakers_servers_and_tools_is_told_and_kept():
    async with MultiServerClient({"alpha": server("alpha"), "beta": server("beta")}) as client:
        kinds: list[tuple[str, str | None]] = []
        client.on("*", lambda e: kinds.append((e.kind, e.server)))
        client.trip("alpha")
        client.reset("alpha")
        await client.remove("beta")
        await client.add("gamma", server("gamma"))
        assert kinds.count(("breaker_state", "alpha")) == 2
        assert {("server_state", "beta"), ("tools_changed", "beta"), ("server_state", "gamma")} <= set(kinds)
        assert [(e.kind, e.server) for e in client.events.snapshot()][-len(kinds) :] == kinds


def test_a_notebook_sees_breakers_per_server_or_per_tool():
    with mcpnb.connect({"alpha": server("alpha"), "beta": server("beta")}, replicas=True) as fleet:
        fleet.trip("alpha")
        frame = fleet.breakers
        assert list(frame.columns) == ["server", "tool", "state", "reason", "opens", "probe_in_s"]
        assert frame.server.tolist() == ["alpha", "beta"]
        assert frame.state.tolist() == ["open", "closed"]
        assert frame.tool.isna().all()
        assert frame.probe_in_s.notna().tolist() == [True, False]
    with mcpnb.connect({"alpha": server("alpha")}, breaker=BreakerPolicy(per_tool=True)) as fleet:
        assert fleet.breakers.empty
        fleet.trip("alpha", "work")
        fleet.options(raise_on_error=False).call("fail")
        frame = fleet.breakers.set_index("tool")
        assert frame.state.to_dict() == {"work": "open", "fail": "closed"}
        with pytest.raises(ValueError, match="server, tool, strategy"):
            fleet.latency("colour")


def test_a_notebook_sees_latencies_of_what_was_sent_and_hears_each_call():
    with mcpnb.connect(
        {"alpha": server("alpha"), "beta": server("beta")}, replicas=True, cache=True
    ) as fleet:
        told: list[tuple[str | None, object]] = []
        fleet.on("call_finished", lambda e: told.append((e.server, e.data["cached"])))
        for item in (1, 2, 3, 1, 2, 3):
            fleet.call("work", item=item)
        assert [cached for _, cached in told] == [False] * 3 + [True] * 3
        assert fleet.calls.cached.sum() == 3
        assert fleet.latency()["count"].sum() == 3
        assert fleet.latency("tool").loc["work", "count"] == 3
        assert fleet.latency("strategy").loc["p2c", "count"] == 3
        by_both = fleet.latency(["tool", "server"], window=60.0)
        assert by_both["count"].sum() == 3
        assert list(by_both.index.names) == ["tool", "server"]
        assert "call_finished" not in set(fleet.events.kind)
        assert fleet.servers.calls.sum() == 3
