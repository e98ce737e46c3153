"""Keys in a real etcd, listed and watched."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from mcpnb import ConfigError, DiscoveryError
from mcpnb.discovery import Etcd
from mcpnb.discovery.backend import reports
from mcpnb.discovery.changes import Trouble

from .daemons import coded
from .given import LIMIT
from .serving import served

pytestmark = pytest.mark.anyio


async def coming_next(coming):
    async with asyncio.timeout(LIMIT):
        return await anext(coming)


def names(sighting) -> list[str]:
    return sorted(config.name for config in sighting.servers.values())


async def test_keys_come_and_go_with_their_facts(etcd, around):
    etcd.put(
        "/mcp/weather/w1",
        json.dumps({"url": "http://127.0.0.1:8001/mcp", "region": "eu", "weight": 2, "tags": ["a"]}),
    )
    etcd.put("/other/weather/w9", "http://127.0.0.1:9/mcp")
    async with aclosing(Etcd(etcd.url).sightings(around)) as coming:
        seen = await coming_next(coming)
        (config,) = seen.servers.values()
        assert (config.name, config.replicas, config.region, config.weight) == ("w1", "weather", "eu", 2.0)
        assert config.tags == {"a"}
        etcd.put("/mcp/weather/w2", "http://127.0.0.1:8002/mcp")
        assert names(await coming_next(coming)) == ["w1", "w2"]
        etcd.put("/mcp/weather/w2", "http://127.0.0.1:8003/mcp")
        assert (await coming_next(coming)).servers["weather/w2"].url.endswith(":8003/mcp")
        etcd.delete("/mcp/weather/w1")
        assert names(await coming_next(coming)) == ["w2"]


async def test_a_prefix_that_is_a_service_itself_makes_its_keys_replicas(etcd, around):
    etcd.put("/mcp/weather/w1", "http://127.0.0.1:8001/mcp")
    async with aclosing(Etcd(etcd.url, prefix="/mcp/weather").sightings(around)) as coming:
        (config,) = (await coming_next(coming)).servers.values()
    assert (config.name, config.replicas) == ("w1", "weather")


async def test_values_that_make_no_sense_are_told_and_do_not_hurt_the_others(etcd, around):
    etcd.put("/mcp/a/1", "http://127.0.0.1:8001/mcp")
    etcd.put("/mcp/a/2", "hello")
    etcd.put("/mcp/a/3", json.dumps({"command": "rm", "args": ["-rf"]}))
    etcd.put("/mcp/a/4", "{}")
    async with aclosing(Etcd(etcd.url).sightings(around)) as coming:
        seen = await coming_next(coming)
    assert names(seen) == ["1"]
    assert "what a directory says is not run" in seen.problems["a/3"]
    assert "neither a JSON object nor a URL" in seen.problems["a/2"]
    assert "has no address" in seen.problems["a/4"]


async def test_a_key_on_a_lease_is_gone_when_the_lease_is(etcd, around):
    lease = etcd.ask("lease/grant", TTL=60)["ID"]
    etcd.ask("kv/put", key=coded("/mcp/a/1"), value=coded("http://h/mcp"), lease=lease)
    async with aclosing(Etcd(etcd.url).sightings(around)) as coming:
        assert names(await coming_next(coming)) == ["1"]
        etcd.ask("lease/revoke", ID=lease)
        assert names(await coming_next(coming)) == []


async def test_a_member_that_dies_is_told_and_what_happened_meanwhile_is_caught_up_with(etcd, around, time):
    etcd.put("/mcp/a/1", "http://127.0.0.1:8001/mcp")
    async with aclosing(reports(Etcd(etcd.url), around)) as coming:
        assert names(await coming_next(coming)) == ["1"]
        etcd.kill()
        gone = await coming_next(coming)
        assert isinstance(gone, Trouble)
        assert not gone.lasting
        again = asyncio.ensure_future(anext(coming))
        await time.slept(1)
        etcd.start()
        etcd.put("/mcp/a/2", "http://127.0.0.1:8002/mcp")
        await time.advance(1.0)
        async with asyncio.timeout(LIMIT):
            assert names(await again) == ["1", "2"]


async def test_a_watch_that_hears_nothing_for_long_lists_everything_anew(etcd, around, monkeypatch):
    monkeypatch.setattr("mcpnb.discovery.etcd._SILENCE", 0.05)
    etcd.put("/mcp/a/1", "http://127.0.0.1:8001/mcp")
    backend = Etcd(etcd.url)
    listed, often = [], asyncio.Event()
    whole = backend._list

    async def counted(web):
        listed.append(None)
        if len(listed) == 3:
            often.set()
        return await whole(web)

    monkeypatch.setattr(backend, "_list", counted)
    async with aclosing(backend.sightings(around)) as coming:
        await coming_next(coming)
        waiting = asyncio.ensure_future(coming_next(coming))
        async with asyncio.timeout(LIMIT):
            await often.wait()
        assert not waiting.done()  # the same again is nothing new
        etcd.put("/mcp/a/2", "http://127.0.0.1:8002/mcp")
        assert names(await waiting) == ["1", "2"]


async def test_a_history_that_was_compacted_away_does_no_harm(etcd, around, monkeypatch):
    etcd.put("/mcp/a/1", "http://127.0.0.1:8001/mcp")
    backend = Etcd(etcd.url)
    whole = backend._list
    first = True

    async def late(web):
        nonlocal first
        values, revision = await whole(web)
        if first:  # what it saw is forgotten before it watches
            first = False
            etcd.put("/mcp/a/2", "http://127.0.0.1:8002/mcp")
            etcd.put("/mcp/a/3", "http://127.0.0.1:8003/mcp")
            now = (await whole(web))[1]
            etcd.ask("kv/compaction", revision=now)
        return values, revision

    monkeypatch.setattr(backend, "_list", late)
    async with aclosing(backend.sightings(around)) as coming:
        assert names(await coming_next(coming)) == ["1"]
        assert names(await coming_next(coming)) == ["1", "2", "3"]


async def test_where_etcd_wants_a_login_it_gets_one_and_a_wrong_one_is_told(etcd, around):
    etcd.put("/mcp/a/1", "http://127.0.0.1:8001/mcp")
    etcd.ask("auth/user/add", name="root", password="hunter2")
    etcd.ask("auth/role/add", name="root")
    etcd.ask("auth/user/grant", user="root", role="root")
    etcd.ask("auth/enable")
    try:
        async with aclosing(Etcd(etcd.url, user="root", password="hunter2").sightings(around)) as coming:
            assert names(await coming_next(coming)) == ["1"]
        wrong = Etcd(etcd.url, user="root", password="hunter3")
        async with aclosing(wrong.sightings(around)) as coming:
            with pytest.raises(DiscoveryError, match="authentication failed") as caught:
                await anext(coming)
        assert caught.value.lasting
        assert "hunter" not in f"{caught.value} {wrong!r}"
        async with aclosing(Etcd(etcd.url).sightings(around)) as coming:
            with pytest.raises(DiscoveryError):
                await anext(coming)
    finally:
        import httpx2

        with httpx2.Client(base_url=etcd.url, trust_env=False) as client:
            login = {"name": "root", "password": "hunter2"}
            token = client.post("/v3/auth/authenticate", json=login).json()["token"]
            client.post("/v3/auth/disable", json={}, headers={"Authorization": token}).raise_for_status()
            client.post("/v3/auth/user/delete", json={"name": "root"}).raise_for_status()
            client.post("/v3/auth/role/delete", json={"role": "root"}).raise_for_status()


async def test_something_else_that_answers_json_is_told_as_what_it_is(around):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"[]"})

    async with served(app) as url, aclosing(Etcd(url).sightings(around)) as coming:
        with pytest.raises(DiscoveryError, match="does not answer as etcd does"):
            await anext(coming)


def test_what_cannot_work_is_told_when_it_is_made():
    with pytest.raises(ConfigError, match="etcd: is not a complete http or https URL"):
        Etcd("etcd://127.0.0.1")
    with pytest.raises(ConfigError, match="prefix"):
        Etcd("http://127.0.0.1:2379", prefix="/")
