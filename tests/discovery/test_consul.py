"""Consul's catalog by blocking queries, against a stand-in for its API."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from mcpnb import ConfigError, DiscoveryError
from mcpnb.discovery import Consul

from .given import LIMIT
from .serving import served

pytestmark = pytest.mark.anyio


@pytest.fixture
def around(around):
    """Nobody pauses between queries."""

    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    return replace(around, sleep=at_once)


async def coming_next(reports):
    async with asyncio.timeout(LIMIT):
        return await anext(reports)


def names(sighting) -> list[str]:
    return sorted(config.name for config in sighting.servers.values())


async def test_healthy_instances_come_with_what_consul_knows_of_them(consul, around):
    consul.add("w1", 8001, Tags=["gpu"], Meta={"path": "/api", "version": "2.0", "team": "x"},
               Weights={"Passing": 7, "Warning": 1})  # fmt: skip
    consul.add("w2", 8002, passing=False)
    consul.add("other", 8003, service="search")
    async with aclosing(Consul(consul.url, service="weather").sightings(around)) as reports:
        seen = await coming_next(reports)
    (config,) = seen.servers.values()
    assert (config.name, config.url, config.weight) == ("w1", "http://127.0.0.1:8001/api", 7.0)
    assert (config.region, config.tags, config.version) == ("dc1", {"gpu"}, "2.0")
    assert config.replicas == "weather"


async def test_a_query_waits_until_something_changes(consul, around):
    consul.add("w1", 8001)
    async with aclosing(Consul(consul.url, service="weather", tag="x").sightings(around)) as reports:
        assert names(await coming_next(reports)) == ["w1"]
        index = consul.index
        waiting = asyncio.ensure_future(coming_next(reports))
        await consul.until_asked(2)
        assert consul.queries[-1] == {"tag": "x", "passing": "true", "index": str(index), "wait": "30s"}
        consul.add("unrelated", 1, service="search")  # wakes the query, and nothing is different
        await consul.until_asked(3)
        assert not waiting.done()
        consul.mark("w1", passing=False)
        assert names(await waiting) == []


async def test_an_index_that_went_back_starts_again_from_nothing(consul, around):
    consul.add("w1", 8001)
    async with aclosing(Consul(consul.url, service="weather").sightings(around)) as reports:
        await coming_next(reports)
        waiting = asyncio.ensure_future(coming_next(reports))
        await consul.until_asked(2)
        consul.services["w2"] = {**consul.services["w1"], "ID": "w2"}
        consul.passing["w2"] = True
        consul.move(to=1)
        assert names(await waiting) == ["w1", "w2"]
        asyncio_task = asyncio.ensure_future(coming_next(reports))
        await consul.until_asked(3)
        assert "index" not in consul.queries[2]
        consul.drop("w2")
        assert names(await asyncio_task) == ["w1"]


async def test_a_service_without_instances_says_which_of_both_it_is(consul, around):
    consul.add("w1", 8001, passing=False)
    async with aclosing(Consul(consul.url, service="weather").sightings(around)) as reports:
        assert (await coming_next(reports)).problems == {"weather": "no instance passes its health checks"}
    async with aclosing(Consul(consul.url, service="wether").sightings(around)) as reports:
        said = (await coming_next(reports)).problems["wether"]
    assert said == "no such service is registered yet; there is weather"


async def test_an_instance_that_makes_no_sense_is_told_and_does_not_hurt_the_others(consul, around):
    consul.add("w1", 8001)
    consul.add("w2", 8002, Meta={"weight": "heavy"})
    async with aclosing(Consul(consul.url, service="weather").sightings(around)) as reports:
        seen = await coming_next(reports)
    assert (names(seen), list(seen.problems)) == (["w1"], ["w2"])


async def test_its_token_is_sent_and_never_shown(consul, around):
    consul.acl = "hunter2-token"
    consul.add("w1", 8001)
    backend = Consul(consul.url, service="weather", acl_token="hunter2-token")
    async with aclosing(backend.sightings(around)) as reports:
        assert names(await coming_next(reports)) == ["w1"]
    assert "hunter2" not in f"{backend!r} {backend.label}"
    async with aclosing(Consul(consul.url, service="weather").sightings(around)) as reports:
        with pytest.raises(DiscoveryError, match="HTTP 403: Permission denied") as caught:
            await anext(reports)
    assert caught.value.lasting


async def test_credentials_in_its_url_are_never_shown(around):
    backend = Consul("http://user:hunter2@127.0.0.1:1/?token=hunter3", service="weather")
    async with aclosing(backend.sightings(around)) as reports:
        with pytest.raises(
            DiscoveryError, match=r"consul http://127.0.0.1:1: nobody answers there"
        ) as caught:
            await anext(reports)
    assert "hunter" not in f"{caught.value} {backend!r}"


async def test_something_else_that_answers_json_is_told_as_what_it_is(around):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"[]"})

    async with served(app) as url, aclosing(Consul(url, service="weather").sightings(around)) as reports:
        with pytest.raises(DiscoveryError, match="does not answer as Consul does"):
            await anext(reports)


def test_what_cannot_work_is_told_when_it_is_made():
    with pytest.raises(ConfigError, match="consul: is not a complete http or https URL"):
        Consul("127.0.0.1:8500", service="weather")
    with pytest.raises(ConfigError, match="service"):
        Consul("http://127.0.0.1:8500", service=" ")
