"""Servers that join, leave and reconnect while calls are running."""

from __future__ import annotations

import asyncio
import threading
import warnings

import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations

from mcpnb import ConfigError, McpnbError, MultiServerClient, ServerDisconnected, ToolNotFound
from mcpnb.discovery import Publisher
from mcpnb.discovery.web import Address

pytestmark = pytest.mark.anyio

LIMIT = 20.0


class Worker:
    """A server whose call `hold` lasts until it is let go; `keep` is the same and may be repeated."""

    def __init__(self, name: str) -> None:
        self.running = 0
        self.news = asyncio.Event()
        self.go_on = asyncio.Event()
        self.server = MCPServer(name, version="1.0", log_level="ERROR")

        async def hold() -> str:
            self.running += 1
            self.news.set()
            await self.go_on.wait()
            return name

        self.server.add_tool(hold)
        self.server.add_tool(hold, name="keep", annotations=ToolAnnotations(read_only_hint=True))
        self.server.add_tool(lambda: name, name="quick")

    async def until_running(self, calls: int = 1) -> None:
        async with asyncio.timeout(LIMIT):
            while self.running < calls:
                self.news.clear()
                await self.news.wait()


def client_of(workers: dict[str, Worker], **options) -> MultiServerClient:
    servers = {name: worker.server for name, worker in workers.items()}
    return MultiServerClient(servers, **{"replicas": True, "seed": 1, **options})


async def test_a_server_that_leaves_at_once_fails_its_calls_and_what_may_be_repeated_goes_elsewhere():
    workers = {"alpha": Worker("alpha"), "beta": Worker("beta")}
    workers["beta"].go_on.set()
    async with client_of(workers) as client:
        held = asyncio.create_task(client.options(server="alpha").call("hold"))
        await workers["alpha"].until_running(1)
        client.trip("beta")  # so that the next goes to alpha, too
        kept = asyncio.create_task(client.call("keep"))
        await workers["alpha"].until_running(2)
        client.reset("beta")
        await client.remove("alpha", drain=False)
        with pytest.raises(ServerDisconnected, match="alpha went away"):
            await held
        assert (await kept).server == "beta"
        assert [row.server for row in client.servers()] == ["beta"]


async def test_two_removals_of_one_server_both_return():
    workers = {"alpha": Worker("alpha")}
    async with client_of(workers) as client:
        call = asyncio.create_task(client.call("hold"))
        await workers["alpha"].until_running()
        removals = [asyncio.create_task(client.remove("alpha")) for _ in range(2)]
        removals.append(asyncio.create_task(client.remove("alpha", drain=True)))
        await asyncio.sleep(0)
        workers["alpha"].go_on.set()
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*removals)
        assert (await call).value == "alpha"
        assert client.servers() == []
        await client.add("alpha", Worker("alpha").server)
        assert (await client.call("quick")).value == "alpha"


async def test_an_impatient_removal_overtakes_one_that_waits():
    workers = {"alpha": Worker("alpha")}
    async with client_of(workers) as client:
        call = asyncio.create_task(client.call("hold"))
        await workers["alpha"].until_running()
        patient = asyncio.create_task(client.remove("alpha"))
        await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            await client.remove("alpha", drain=False)
            await patient
        with pytest.raises(ServerDisconnected):
            await call


async def test_a_removal_that_is_given_up_leaves_the_server_draining_and_a_reconnect_takes_it_back():
    workers = {"alpha": Worker("alpha")}
    async with client_of(workers) as client:
        call = asyncio.create_task(client.call("hold"))
        await workers["alpha"].until_running()
        removal = asyncio.create_task(client.remove("alpha"))
        await asyncio.sleep(0)
        removal.cancel()
        await asyncio.wait([removal])
        assert client.servers()[0].state == "draining"
        workers["alpha"].go_on.set()
        assert (await call).value == "alpha"
        await client.reconnect("alpha")
        assert (await client.call("quick")).value == "alpha"
        async with asyncio.timeout(LIMIT):
            await client.remove("alpha")


async def test_whoever_is_asked_while_a_server_is_added_may_take_his_time():
    workers, goes_on, asked = {"alpha": Worker("alpha")}, threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(prompt) -> str:
        loop.call_soon_threadsafe(asked.set)
        assert goes_on.wait(LIMIT)
        return "beta"

    inputs = [{"type": "promptString", "id": "who"}]
    more = {"inputs": inputs, "servers": {"beta": {"command": "no-such-command", "args": ["${input:who}"]}}}
    async with client_of(workers, ask=ask) as client:
        joining = asyncio.create_task(client.add("beta", more))
        async with asyncio.timeout(LIMIT):
            await asked.wait()
        assert (await client.call("quick")).value == "alpha"
        goes_on.set()
        await joining
        assert [row.server for row in client.servers()] == ["alpha", "beta"]


async def test_a_client_that_is_closed_while_somebody_is_asked_takes_no_server_any_more():
    goes_on, asked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(prompt) -> str:
        loop.call_soon_threadsafe(asked.set)
        assert goes_on.wait(LIMIT)
        return "beta"

    more = {
        "inputs": [{"type": "promptString", "id": "who"}],
        "servers": {"beta": {"command": "no-such-command", "args": ["${input:who}"]}},
    }
    async with MultiServerClient({}, ask=ask) as client:
        joining = asyncio.create_task(client.add("beta", more))
        async with asyncio.timeout(LIMIT):
            await asked.wait()
    goes_on.set()
    with pytest.raises(ConfigError, match="is closed"):
        await joining
    assert client.servers() == []


class Unwilling(Publisher):
    """A directory that takes servers and never lets one go."""

    publishes_as, label = "x", "unwilling"
    publishes_to = Address("http://127.0.0.1:9", "unwilling")

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def publish(self, web, advert, ttl) -> None:
        """It is taken."""

    async def renew(self, web, advert) -> None:
        """It is taken."""

    async def withdraw(self, web, advert) -> None:
        self.asked.set()
        await asyncio.Event().wait()


async def test_closing_that_is_interrupted_ends_the_servers_all_the_same():
    directory, nowhere = Unwilling(), {"url": "http://127.0.0.1:9/mcp"}
    client = MultiServerClient({"alpha": Worker("alpha").server, "web": nowhere}, connect_timeout=5.0)
    await client.start()
    await client.register(directory, "web")
    closing = asyncio.create_task(client.aclose())
    async with asyncio.timeout(LIMIT):
        await directory.asked.wait()
        closing.cancel()
        await asyncio.wait([closing])
    assert closing.cancelled()
    assert [row.state for row in client.servers()] == ["disconnected", "disconnected"]


async def test_of_several_servers_that_are_added_all_join_or_none():
    workers = {"alpha": Worker("alpha")}
    async with client_of(workers) as client:
        await client.add("more.two", Worker("two").server)
        with pytest.raises(ConfigError, match=r"server 'more.two': there is already a server of that name"):
            await client.add("more", {"mcpServers": {"one": {"command": "x"}, "two": {"command": "x"}}})
        assert [row.server for row in client.servers()] == ["alpha", "more.two"]


async def test_a_server_that_is_switched_off_makes_room_for_one_of_its_name():
    off = {"command": "no-such-command", "disabled": True}
    async with MultiServerClient({"alpha": off, "beta": Worker("beta").server}) as client:
        with pytest.raises(ConfigError, match="server 'alpha': is disabled"):
            await client.reconnect("alpha")
        await client.add("alpha", off)
        assert [row.server for row in client.servers()] == ["beta", "alpha"]
        await client.add("alpha", Worker("alpha").server)
        assert [(row.server, row.state) for row in client.servers()] == [
            ("beta", "connected"),
            ("alpha", "connected"),
        ]
        await client.remove("alpha")
        assert [row.server for row in client.servers()] == ["beta"]


async def test_while_a_server_drains_a_name_means_what_others_offer_by_it():
    workers = {"alpha": Worker("alpha"), "beta": Worker("beta")}
    other = MCPServer("gamma", version="1.0", log_level="ERROR")
    other.add_tool(lambda much: f"gamma {much}", name="quick")
    async with client_of(workers, replicas=False) as client:
        await client.add("gamma", other)
        call = asyncio.create_task(client.call("hold"))
        await workers["alpha"].until_running()
        assert (await client.call("quick")).server == "alpha"
        removal = asyncio.create_task(client.remove("alpha"))
        await asyncio.sleep(0)
        assert (await client.call("quick")).server == "beta"
        await client.remove("beta")
        assert (await client.call("quick", much="1")).value == "gamma 1"
        with pytest.raises(ToolNotFound, match="alpha: draining"):
            await client.call("hold")
        workers["alpha"].go_on.set()
        assert (await call).value == "alpha"
        await removal
        assert [event.server for event in client.events.snapshot() if event.kind == "tools_changed"] == [
            "alpha", "beta", "gamma", "alpha", "beta"
        ]  # fmt: skip


async def test_a_stand_in_that_drains_still_answers_the_call_that_it_has():
    worker = Worker("alpha")
    async with client_of({"alpha": worker}) as client:
        client.fallback("gone", ["hold"])
        call = asyncio.create_task(client.call("gone"))
        await worker.until_running()
        removal = asyncio.create_task(client.remove("alpha"))
        await asyncio.sleep(0)
        worker.go_on.set()
        assert (await call).tool == "hold"
        await removal


async def test_a_server_that_dies_while_it_drains_is_removed():
    workers = {"alpha": Worker("alpha")}
    async with client_of(workers) as client:
        call = asyncio.create_task(client.call("hold"))
        await workers["alpha"].until_running()
        removal = asyncio.create_task(client.remove("alpha"))
        await asyncio.sleep(0)
        await client.members["alpha"].close()  # as when its process ends
        async with asyncio.timeout(LIMIT):
            await removal
        with pytest.raises(ServerDisconnected):
            await call


async def test_every_call_is_accounted_for_while_servers_come_and_go():
    workers = {name: Worker(name) for name in ("alpha", "beta", "gamma")}
    async with client_of(workers, strategy="round_robin") as client:
        stop, ends = asyncio.Event(), []

        async def caller() -> None:
            while not stop.is_set():
                try:
                    ends.append((await client.call("quick")).server)
                except McpnbError as error:
                    ends.append(type(error).__name__)
                await asyncio.sleep(0)

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        for n in range(6):
            await client.add(f"more-{n}", Worker("more").server)
            await client.reconnect("beta")
            await client.remove(f"more-{n}", drain=n % 2 == 0)
        stop.set()
        await asyncio.gather(*callers)
        assert {"alpha", "gamma"} <= set(ends)
        assert set(ends) <= {"alpha", "beta", "gamma", "ServerDisconnected", *(f"more-{n}" for n in range(6))}
        assert len(ends) == len({*client.log.columns().call.tolist()})
        assert all(row.in_flight == 0 for row in client.servers())


async def test_several_sessions_to_a_server_are_one_row():
    worker = Worker("alpha")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = client_of({"alpha": worker}, connections=3)
    async with client:
        calls = [asyncio.create_task(client.call("hold")) for _ in range(5)]
        await worker.until_running(5)
        (row,) = client.servers()
        assert (row.server, row.state, row.in_flight) == ("alpha", "connected", 5)
        assert client.members["alpha"].in_flight == 5
        assert client.members["alpha"].sessions >= 1
        worker.go_on.set()
        assert {(await call).value for call in calls} == {"alpha"}
        await client.remove("alpha")


@pytest.mark.parametrize("connections", [1, 2])
async def test_a_tool_that_appears_can_be_called_as_soon_as_it_is_told(connections):
    server = MCPServer("alpha", version="1.0", log_level="ERROR")

    @server.tool()
    async def grow(ctx: Context) -> str:
        server.add_tool(lambda: "here", name="bigger")
        await ctx.notify_tools_changed()
        return "grown"

    async with MultiServerClient({"alpha": server}, connections=connections) as client:
        told = asyncio.Event()
        client.on("tools_changed", lambda event: told.set() if "bigger" in event.detail else None)
        await client.call("grow")
        async with asyncio.timeout(LIMIT):
            await told.wait()
        assert (await client.call("bigger")).value == "here"
        assert client.servers()[0].tools == 2


async def test_calls_are_being_made_while_one_is_out_and_for_a_moment_after(monkeypatch):
    worker = Worker("alpha")
    async with client_of({"alpha": worker}) as client:
        now = asyncio.get_running_loop().time()
        monkeypatch.setattr(client.members, "_clock", lambda: now)
        assert not client.members.calls_are_made()
        held = asyncio.create_task(client.call("hold"))
        await worker.until_running()
        assert client.members.calls_are_made()
        assert not client.members.calls_are_made("alpha")  # elsewhere
        worker.go_on.set()
        await held
        assert client.members.calls_are_made()
        assert not client.members.calls_are_made("alpha")
        now += 1.0
        assert not client.members.calls_are_made()
