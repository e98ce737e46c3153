"""Servers of ours in a directory: published, renewed while they are well, published anew, withdrawn."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import aclosing

import pytest

from mcpnb import ConfigError, DiscoveryError, MultiServerClient
from mcpnb.config import ServerConfig
from mcpnb.discovery import Consul, Etcd, Member, Registration, advert_of

from .daemons import Etcd as EtcdDaemon
from .given import LIMIT, Told, at
from .test_connect import Worker, client_of, states, until, web_workers

pytestmark = pytest.mark.anyio


class Published:
    """One registration, and the ways to trouble it."""

    def __init__(self, backend, around, **options) -> None:
        self.told, self.well = Told(), True
        config = at(8001, "w1", region="eu", weight=2)
        member = Member(advert_of(config, "weather", "1.5"), lambda: self.well)
        self.registration = Registration(
            backend, [member], tell=self.told, around=around, **{"ttl": 9.0, **options}
        )


async def test_consul_gets_a_service_with_a_ttl_that_is_renewed_until_it_is_closed(consul, around, time):
    it = Published(Consul(consul.url, service="x"), around)
    await it.registration.start()
    service = consul.services["w1"]
    assert (service["Service"], service["Address"], service["Port"]) == ("weather", "127.0.0.1", 8001)
    assert service["Meta"] == {
        "region": "eu",
        "weight": "2.0",
        "version": "1.5",
        "path": "/mcp",
        "scheme": "http",
    }
    for round_ in (1, 2, 3):
        await time.slept(round_)
        await time.advance(3.0)
        async with asyncio.timeout(LIMIT):
            while consul.renewals < round_:
                consul.heard.clear()
                await consul.heard.wait()
    await it.registration.close()
    assert consul.services == {}
    assert it.told.lines == [
        f"w1: published to consul {consul.url} x", f"w1: no longer published to consul {consul.url} x",
    ]  # fmt: skip
    await it.registration.close()


async def test_one_that_is_down_is_not_renewed_and_runs_out(consul, around, time):
    it = Published(Consul(consul.url, service="x"), around)
    await it.registration.start()
    it.well = False
    for round_ in (1, 2):
        await time.slept(round_)
        await time.advance(3.0)
    await time.slept(3)
    assert consul.renewals == 0
    assert [line for line in it.told.lines if "it is down" in line] == [
        f"w1: not renewed in consul {consul.url} x: it is down; it runs out unless it comes back"
    ]
    it.well = True
    await time.advance(3.0)
    await it.told.until(lambda: f"w1: renewed again in consul {consul.url} x" in it.told.lines)
    await it.registration.close()


async def test_a_directory_that_has_forgotten_it_gets_it_again(consul, around, time):
    it = Published(Consul(consul.url, service="x"), around)
    await it.registration.start()
    consul.drop("w1")
    await time.slept(1)
    await time.advance(3.0)
    await it.told.until(lambda: len(it.told.lines) == 2)
    assert "w1" in consul.services
    await it.registration.close()


async def test_etcd_gets_a_key_on_a_lease_that_is_renewed_and_anew_when_the_lease_is_gone(etcd, around, time):
    it = Published(Etcd(etcd.url, prefix="/mcp"), around, ttl=60.0)
    await it.registration.start()
    assert etcd.keys("/mcp/") == ["/mcp/weather/w1"]
    (kv,) = etcd.ask("kv/range", key=_coded("/mcp/weather/w1"))["kvs"]
    assert json.loads(_text(kv["value"])) == {
        "url": "http://127.0.0.1:8001/mcp", "region": "eu", "weight": "2.0", "version": "1.5",
    }  # fmt: skip
    etcd.ask("lease/revoke", ID=kv["lease"])
    assert etcd.keys("/mcp/") == []
    await time.slept(1)
    await time.advance(20.0)
    await it.told.until(lambda: len(it.told.lines) == 2)
    assert etcd.keys("/mcp/") == ["/mcp/weather/w1"]
    await it.registration.close()
    assert etcd.keys("/mcp/") == []


def _coded(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


def _text(coded: str) -> str:
    import base64

    return base64.b64decode(coded).decode()


async def test_a_directory_that_is_not_there_is_an_error_at_first_and_told_later(etcd, around, time):
    it = Published(Etcd(etcd.url), around)
    await it.registration.start()
    etcd.kill()
    await time.slept(1)
    await time.advance(3.0)
    await it.told.until(lambda: any("nobody answers there" in line for line in it.told.lines))
    await it.registration.close()
    assert "It runs out." in it.told.lines[-1]
    with pytest.raises(DiscoveryError, match="nobody answers there"):
        await Published(Etcd(etcd.url), around).registration.start()


async def test_a_directory_that_wants_a_password_and_restarts_with_nothing_in_it_has_it_again(
    tmp_path, around, time
):
    etcd = EtcdDaemon(tmp_path)
    try:
        etcd.start()
        secure(etcd)
        it = Published(Etcd(etcd.url, user="root", password="hunter2"), around, ttl=3600.0)
        await it.registration.start()
        etcd.kill()
        shutil.rmtree(tmp_path / "data")
        etcd.start()
        secure(etcd)
        for round_ in (1, 2):  # the first may find that its connection is gone
            await time.slept(round_)
            await time.advance(1200.0)
        await time.slept(3)
        reader = Etcd(etcd.url, user="root", password="hunter2")
        async with aclosing(reader.sightings(around)) as coming:
            assert list((await anext(coming)).servers) == ["weather/w1"]
            it.registration._web.headers["Authorization"] = "forgotten.1"  # as etcd does after five minutes
            await it.registration.close()
            assert it.told.lines[-1].startswith("w1: no longer published")
            assert list((await anext(coming)).servers) == []
    finally:
        etcd.stop()


def secure(etcd: EtcdDaemon) -> None:
    etcd.ask("auth/user/add", name="root", password="hunter2")
    etcd.ask("auth/role/add", name="root")
    etcd.ask("auth/user/grant", user="root", role="root")
    etcd.ask("auth/enable")


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), 1e9])
def test_a_ttl_that_is_none_is_refused(ttl, around):
    with pytest.raises(ConfigError, match="1 to 3600"):
        Published(Etcd("http://127.0.0.1:1"), around, ttl=ttl)


async def test_what_one_fleet_publishes_another_discovers_and_loses_when_the_first_is_closed(etcd):
    async with web_workers("one", "two") as urls:
        configs = [ServerConfig(name, "http", url=url, region="eu") for name, url in urls.items()]
        publisher = client_of([*configs, Worker("hidden").server], replicas=[["one", "two"]])
        async with publisher, client_of(Etcd(etcd.url, prefix="/course/")) as finder:
            registration = await publisher.register(Etcd(etcd.url, prefix="/course/", service="workers"))
            assert registration.servers == ("one", "two")
            await until(finder, lambda: list(states(finder).values()) == ["connected", "connected"])
            assert {(await finder.call("who")).value for _ in range(4)} == {"one", "two"}
            assert finder.members.endpoint("one").region == "eu"
            await publisher.aclose()
            await until(finder, lambda: states(finder) == {})


async def test_a_program_of_ours_and_an_unknown_name_are_refused():
    async with client_of({"alpha": Worker("alpha").server}) as client:
        backend = Etcd("http://127.0.0.1:1")
        with pytest.raises(ConfigError, match="no server that others could reach"):
            await client.register(backend)
        with pytest.raises(ConfigError, match="over in-process, by us alone"):
            await client.register(backend, "alpha")
        with pytest.raises(ConfigError, match="there is no such server"):
            await client.register(backend, "beta")


def test_the_client_has_the_verb():
    assert MultiServerClient.register.__doc__
