"""Discovery in a client: servers of directories join, are routed to by what is said of them, and drain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer

from mcpnb import ConfigError, DiscoveryError, MultiServerClient, ToolNotFound
from mcpnb.config import ServerConfig
from mcpnb.discovery import DNS, Consul, Etcd, File, Registry, Static

from .given import LIMIT, Lister, settle
from .serving import served

pytestmark = pytest.mark.anyio


class Worker:
    """A server in this process whose call `hold` lasts until it is let go."""

    def __init__(self, name: str) -> None:
        self.name, self.running, self.go_on, self.began = name, 0, asyncio.Event(), asyncio.Event()
        self.server = MCPServer(name, version="1.0", log_level="ERROR")

        async def hold() -> str:
            self.running += 1
            self.began.set()
            await self.go_on.wait()
            return name

        self.server.add_tool(hold)
        self.server.add_tool(lambda: name, name="who")

    def config(self, **fields) -> ServerConfig:
        return ServerConfig(self.name, "in-process", target=self.server, replicas="workers", **fields)


@asynccontextmanager
async def web_workers(*names: str) -> AsyncIterator[dict[str, str]]:
    """Servers of MCP over HTTP, by name their URLs."""
    async with AsyncExitStack() as stack:
        urls = {}
        for name in names:
            app = Worker(name).server.streamable_http_app()
            urls[name] = await stack.enter_async_context(served(app)) + "/mcp"
        yield urls


def client_of(source, **options) -> MultiServerClient:
    return MultiServerClient(source, **{"seed": 1, "strategy": "round_robin", **options})


async def until(client: MultiServerClient, true) -> None:
    """Wait for events until it is true."""
    news = asyncio.Event()
    stop = client.on("*", lambda _: news.set())
    async with asyncio.timeout(LIMIT):
        while not true():
            news.clear()
            await news.wait()
    stop()


def states(client: MultiServerClient) -> dict[str, str]:
    return {row.server: row.state for row in client.servers()}


async def test_servers_of_several_backends_and_plain_ones_stand_side_by_side():
    alpha, beta, plain = Worker("alpha"), Worker("beta"), Worker("plain")
    one, two = Static([alpha.config()]), Static([beta.config()])
    async with client_of([one, plain.server, {"lab": two}]) as client:
        assert states(client) == {"plain": "connected", "alpha": "connected", "lab.beta": "connected"}
        assert (await client.options(server="lab.beta").call("who")).value == "beta"
        assert [row.state for row in client.discovery.status()] == ["done", "done"]


async def test_servers_of_one_service_are_replicas_and_calls_go_to_all_of_them():
    lister = Lister()
    lister.say(Worker("alpha").config(), Worker("beta").config())
    async with client_of(lister) as client:
        assert {(await client.call("who")).value for _ in range(4)} == {"alpha", "beta"}


async def test_a_server_that_leaves_finishes_its_calls_while_new_ones_go_elsewhere():
    alpha, beta, lister = Worker("alpha"), Worker("beta"), Lister()
    lister.say(alpha.config(), beta.config())
    async with client_of(lister) as client:
        held = asyncio.create_task(client.options(server="alpha").call("hold"))
        await alpha.began.wait()
        lister.say(beta.config())
        await until(client, lambda: states(client).get("alpha") == "draining")
        assert {(await client.call("who")).value for _ in range(4)} == {"beta"}
        alpha.go_on.set()
        assert (await held).value == "alpha"
        await until(client, lambda: states(client) == {"beta": "connected"})


async def test_what_only_routing_looks_at_changes_under_the_running_session():
    alpha, beta, lister = Worker("alpha"), Worker("beta"), Lister()
    lister.say(alpha.config(region="eu", weight=1), beta.config(region="us"))
    async with client_of(lister, strategy="priority") as client:
        before = client.servers()[0].connected_at
        assert client.members.endpoint("alpha").region == "eu"
        more = {
            "region": "asia",
            "weight": 5,
            "tags": ["gpu"],
            "version": "2.5",
            "priority": 7,
            "max_in_flight": 3,
        }
        lister.say(alpha.config(**more), beta.config(region="us"))
        await until(client, lambda: client.members.endpoint("alpha").region == "asia")
        told = client.members.endpoint("alpha")
        assert (told.weight, told.tags, told.version, told.priority) == (5.0, {"gpu"}, "2.5", 7)
        assert (told.max_in_flight, dict(told.tool_versions)) == (3, {})
        row = client.servers()[0]
        assert (row.region, row.weight, row.tags, row.version, row.priority) == (
            "asia",
            5.0,
            ("gpu",),
            "2.5",
            7,
        )
        assert row.connected_at == before
        assert (await client.options(region="asia", strict=True).call("who")).value == "alpha"
        assert (await client.options(version=">=2").call("who")).value == "alpha"
        assert (await client.options(tags={"gpu"}).call("who")).value == "alpha"


async def test_another_address_is_another_session_under_the_same_name():
    async with web_workers("one", "two") as urls:
        lister = Lister()
        lister.say(ServerConfig("web", "http", url=urls["one"]))
        async with client_of(lister) as client:
            assert (await client.call("who")).value == "one"
            lister.say(ServerConfig("web", "http", url=urls["two"]))
            await until(client, lambda: states(client) == {"web": "connected"} and client.catalog.entries
                        and client.members["web"].config.url == urls["two"])  # fmt: skip
            assert (await client.call("who")).value == "two"


async def test_a_backend_that_is_away_stands_in_the_servers_rows_and_its_servers_go_on_working():
    lister = Lister()
    lister.say(Worker("alpha").config())
    async with client_of(lister) as client:
        lister.fail("nobody answers there.")
        await until(client, lambda: client.servers()[0].last_error)
        assert client.servers()[0].last_error == (
            "not confirmed: lister one cannot be asked (nobody answers there)"
        )
        assert (await client.call("who")).value == "alpha"
        assert [e.kind for e in client.events.snapshot() if "cannot be asked" in e.detail] == ["discovery"]
        with pytest.raises(ToolNotFound, match="lister one: nobody answers there"):
            await client.call("nothing")


async def test_a_disabled_server_of_a_file_is_shown_enabled_and_removed_in_step_with_it(tmp_path: Path):
    async with web_workers("one") as urls:
        path = tmp_path / "mcp.json"

        def write(**entry) -> None:
            servers = {"web": {"url": urls["one"], **entry}} if entry else {}
            path.write_text(json.dumps({"mcpServers": servers}))

        write(disabled=True)
        async with client_of(File(path)) as client:
            assert states(client) == {"web": "disconnected"}
            write(disabled=False)
            await until(client, lambda: states(client) == {"web": "connected"})
            write(disabled=True)
            await until(client, lambda: states(client) == {"web": "disconnected"})
            write()
            await until(client, lambda: any("web is gone" in e.detail for e in client.events.snapshot()))
            await settle()
            assert states(client) == {}


async def test_one_more_backend_can_be_added_and_a_broken_one_is_refused():
    lister, broken = Lister(), Lister("broken")
    lister.say(Worker("alpha").config())
    broken.fail("no such record.", lasting=True)
    async with client_of({}) as client:
        await client.add("lab", lister, region="eu")
        assert states(client) == {"lab.alpha": "connected"}
        assert client.servers()[0].region == "eu"
        with pytest.raises(DiscoveryError, match="no such record"):
            await client.add("other", broken)
        with pytest.raises(ConfigError, match="region"):
            await client.add("more", Lister(), regoin="eu")
        assert len(client.discovery.status()) == 1


async def test_a_server_removed_by_hand_stays_out():
    lister = Lister()
    alpha = Worker("alpha")
    lister.say(alpha.config())
    async with client_of(lister) as client:
        await client.remove("alpha")
        lister.say(alpha.config(weight=3))
        await until(client, lambda: any("weight" in event.detail for event in client.events.snapshot()))
        lister.say()
        await until(client, lambda: any("is gone" in event.detail for event in client.events.snapshot()))
        assert client.servers() == []
        assert not any("cannot be followed" in event.detail for event in client.events.snapshot())


async def test_a_backend_that_cannot_be_used_ends_what_had_begun():
    lister = Lister()
    lister.fail("no such record.", lasting=True)
    client = client_of([Worker("alpha").server, lister])
    with pytest.raises(DiscoveryError, match="no such record"):
        await client.start()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("mcpnb")] == []
    with pytest.raises(ConfigError, match="is closed"):
        await client.start()


async def test_replicas_may_name_servers_that_are_yet_to_be_found():
    lister = Lister()
    async with client_of([lister, Worker("a").server], replicas=[["a", "b"]], connect_timeout=0.05) as client:
        b = Worker("b")
        lister.say(ServerConfig("b", "in-process", target=b.server))
        await until(client, lambda: states(client).get("b") == "connected")
        assert {(await client.call("who")).value for _ in range(4)} == {"a", "b"}


# -- with the real directories


async def test_etcd_from_end_to_end(etcd):
    async with web_workers("one", "two") as urls:
        etcd.put("/mcp/workers/one", json.dumps({"url": urls["one"], "region": "eu"}))
        async with client_of(Etcd(etcd.url)) as client:
            assert (await client.call("who")).value == "one"
            etcd.put("/mcp/workers/two", json.dumps({"url": urls["two"], "region": "us"}))
            await until(client, lambda: states(client).get("two") == "connected")
            assert {(await client.call("who")).value for _ in range(4)} == {"one", "two"}
            assert (await client.options(region="us", strict=True).call("who")).value == "two"
            etcd.delete("/mcp/workers/one")
            await until(client, lambda: list(states(client)) == ["two"])
            assert (await client.call("who")).value == "two"


async def test_dns_from_end_to_end(dnsmasq):
    name = "_mcp._tcp.example.org"
    async with web_workers("one", "two") as urls:
        ports = [url.rpartition(":")[2].partition("/")[0] for url in urls.values()]
        records = [f"srv-host={name},h.example.org,{port},{10 + n}" for n, port in enumerate(ports)]
        dnsmasq.know(*records, "host-record=h.example.org,127.0.0.1")
        async with client_of(DNS(name, nameserver=dnsmasq.address), strategy="priority") as client:
            assert {(await client.call("who")).value for _ in range(4)} == {"one"}
            assert sorted(client.members.endpoint(s).priority for s in states(client)) == [-11, -10]


async def test_consul_from_end_to_end(consul):
    async with web_workers("one") as urls:
        port = int(urls["one"].rpartition(":")[2].partition("/")[0])
        consul.add("one", port, service="workers")
        async with client_of(Consul(consul.url, service="workers")) as client:
            assert (await client.call("who")).value == "one"
            consul.mark("one", passing=False)
            await until(client, lambda: states(client) == {})


async def test_a_registry_from_end_to_end_runs_what_was_agreed_to(tmp_path, monkeypatch):
    import sys

    from .registry_stand_in import RegistryStandIn

    server = tmp_path / "server.py"
    server.write_text(
        "import sys\nfrom mcp.server.mcpserver import MCPServer\n"
        "server = MCPServer('told', log_level='ERROR')\n"
        "server.add_tool(lambda: ' '.join(sys.argv[1:]), name='who')\nserver.run()\n"
    )
    launcher = tmp_path / "uvx"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} {server} "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    seen = []

    def agree(proposal) -> bool:
        seen.append(proposal.command)
        return True

    stand_in = RegistryStandIn()
    async with served(stand_in.app) as url:
        names = ["io.github.modelcontextprotocol/time"]
        async with client_of(Registry(url, names=names, approve=agree)) as client:
            said = (await client.call("who")).value
    assert seen == [f"uvx {said}"]
    assert said.endswith("mcp-server-time@2026.10.19 --local-timezone Europe/London")


async def test_no_secret_of_a_discovered_server_stands_in_events_or_rows():
    secret = "hunter2-long-secret"
    lister = Lister()
    config = ServerConfig("web", "http", url=f"http://u:{secret}@127.0.0.1:9/mcp?key={secret}",
                          headers={"Authorization": f"Bearer {secret}"})  # fmt: skip
    lister.say(config)
    async with client_of(lister) as client:
        lister.say(ServerConfig("web", "http", url="http://127.0.0.1:9/mcp", headers={"X": secret + "x"}))
        await until(client, lambda: any("headers" in event.detail for event in client.events.snapshot()))
        shown = f"{client.events.snapshot()} {client.servers()} {client.discovery.status()} {client!r}"
    assert secret not in shown
