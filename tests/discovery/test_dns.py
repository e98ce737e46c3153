"""SRV and TXT records, as a real dnsmasq serves them."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from mcpnb import ConfigError, DiscoveryError
from mcpnb.discovery import DNS

pytestmark = pytest.mark.anyio

NAME = "_mcp._tcp.example.org"


async def first(backend: DNS, around):
    async with aclosing(backend.sightings(around)) as coming:
        return await anext(coming)


async def test_every_srv_record_is_a_server_with_its_priority_weight_and_the_facts_of_the_service(
    dnsmasq, around
):
    dnsmasq.know(
        f"srv-host={NAME},one.example.org,8001,10,5", f"srv-host={NAME},two.example.org,8002,20,0",
        f"txt-record={NAME},path=/api,region=eu,tags=gpu",
        "host-record=one.example.org,127.0.0.1", "host-record=two.example.org,127.0.0.2",
    )  # fmt: skip
    seen = await first(DNS(NAME, nameserver=dnsmasq.address, timeout=9.0), around)
    one, two = sorted(seen.servers.values(), key=lambda config: config.name)
    assert (one.name, one.url, one.priority, one.weight) == (
        "one-8001",
        "http://127.0.0.1:8001/api",
        -10,
        5.0,
    )
    assert (two.name, two.url, two.priority, two.weight) == (
        "two-8002",
        "http://127.0.0.2:8002/api",
        -20,
        0.01,
    )
    assert (one.region, one.tags, one.replicas) == ("eu", {"gpu"}, NAME)


async def test_where_pointers_stand_each_instance_has_a_name_and_facts_of_its_own(dnsmasq, around):
    dnsmasq.know(
        f"ptr-record={NAME},alpha.{NAME}", f"ptr-record={NAME},beta.{NAME}", f"ptr-record={NAME},gone.{NAME}",
        f"srv-host=alpha.{NAME},h.example.org,8001", f"srv-host=beta.{NAME},h.example.org,8002",
        f"txt-record=alpha.{NAME},region=eu,version=2.0", f"txt-record=beta.{NAME},region=us,weight=none",
        "host-record=h.example.org,127.0.0.1",
    )  # fmt: skip
    seen = await first(DNS(NAME, nameserver=dnsmasq.address), around)
    (alpha,) = seen.servers.values()
    assert (alpha.name, alpha.region, alpha.version, alpha.weight) == ("alpha", "eu", "2.0", 1.0)
    assert sorted(seen.problems.values()) == ["has no SRV record", "weight: is not a number."]


async def test_it_is_asked_again_when_the_time_to_live_is_over_and_not_before(dnsmasq, around, time):
    host = "host-record=h.example.org,127.0.0.1"
    dnsmasq.know(f"srv-host={NAME},h.example.org,8001", host, ttl=7)
    async with aclosing(DNS(NAME, nameserver=dnsmasq.address).sightings(around)) as coming:
        assert [c.name for c in (await anext(coming)).servers.values()] == ["h-8001"]
        dnsmasq.know(
            f"srv-host={NAME},h.example.org,8001", f"srv-host={NAME},h.example.org,8002", host, ttl=7
        )
        after = await _next(coming, time, 7)
        assert sorted(c.name for c in after.servers.values()) == ["h-8001", "h-8002"]
        dnsmasq.know(host)
        assert (await _next(coming, time, 7)).servers == {}


async def _next(coming, time, seconds):
    import asyncio

    sleeping = len(time.asked) + 1
    asking = asyncio.ensure_future(anext(coming))
    await time.slept(sleeping)
    assert time.asked[-1] == seconds
    await time.advance(seconds)
    return await asking


async def test_no_such_record_at_first_is_an_error(dnsmasq, around):
    dnsmasq.know()
    with pytest.raises(DiscoveryError, match=rf"dns {NAME} at 127.*: there is no such record") as caught:
        await first(DNS(NAME, nameserver=dnsmasq.address), around)
    assert caught.value.lasting


async def test_a_name_server_that_is_not_there_may_come_back(dnsmasq, around, monkeypatch):
    monkeypatch.setattr("mcpnb.discovery.dns._WITHIN", 0.2)
    with pytest.raises(DiscoveryError, match="no name server") as caught:
        await first(DNS(NAME, nameserver=dnsmasq.address), around)
    assert not caught.value.lasting


async def test_a_host_is_left_to_the_system_where_the_system_is_asked_and_under_tls(dnsmasq, around):
    dnsmasq.know(f"srv-host={NAME},h.example.org,8443", f"txt-record={NAME},scheme=https")
    (config,) = (await first(DNS(NAME, nameserver=dnsmasq.address), around)).servers.values()
    assert config.url == "https://h.example.org:8443/mcp"


@pytest.mark.parametrize("name", ["", "http://example.org", "a b"])
def test_what_is_no_name_is_told_when_it_is_made(name):
    with pytest.raises(ConfigError, match="no name of a service"):
        DNS(name)


@pytest.mark.parametrize("server", ["ns.example.org", "127.0.0.1:x", "127.0.0.1:0", "[::1"])
def test_what_is_no_name_server_is_told_when_it_is_made(server):
    if server == "[::1":
        server = "[::g]"
    with pytest.raises(ConfigError, match="no address of a name server"):
        DNS(NAME, nameserver=server)


def test_its_address_says_whom_it_asks():
    assert DNS(NAME + ".").address == NAME
    assert DNS(NAME, nameserver="[::1]:5353").address == f"{NAME} at [::1]:5353"
