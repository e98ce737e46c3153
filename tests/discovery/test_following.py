"""Backends that are followed: names, damping, draining, a backend that goes away and comes back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from mcpnb import ConfigError, DiscoveryError
from mcpnb.discovery import Damping, Following, Found, Person
from mcpnb.discovery.backend import reports
from mcpnb.discovery.changes import Sighting, Trouble

from .given import Board, Lister, Told, at, settle

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def following(around, *found, defaults=None):
    """Backends that are followed, after they have said what they had to say."""
    board, told = Board(), Told()
    pairs = [each if isinstance(each, Found) else Found(each) for each in found]
    them = Following(pairs, members=board, tell=told, defaults=defaults or {}, around=around)
    try:
        yield them, board, told
    finally:
        await them.close()


async def test_what_is_listed_joins_and_what_is_no_longer_listed_leaves(around):
    lister = Lister()
    lister.say(at(1, "a"), at(2, "b"))
    async with following(around, lister) as (them, board, told):
        assert sorted(await them.start(wait=True, within=9.0)) == ["a", "b"]
        lister.say(at(2, "b", weight=3), at(3, "c"))
        await told.until(lambda: "lister one: c found" in told.lines)
        await settle()
        assert board.did == ["join a", "join b", "leave a", "left a", "change b", "join c"]
        assert "lister one: b: weight 1 → 3" in told.lines
        (status,) = them.status()
        assert (status.backend, status.address, status.state, status.servers) == (
            "lister",
            "one",
            "watching",
            2,
        )


async def test_names_are_the_servers_own_behind_the_sources_key_and_never_anybody_elses(around):
    one, two, three = Lister("1"), Lister("2"), Lister("3")
    for lister in (one, two, three):
        lister.say(at(1, "web"))
    async with following(around, one, two, Found(three, "lab")) as (them, board, _):
        board.there["web"] = at(9, "web")  # added by hand
        await them.start(wait=True, within=9.0)
        assert sorted(board.there) == ["lab.web", "web", "web-2", "web-3"]
        assert board.there["web"].url == at(9).url


async def test_options_of_the_fleet_and_of_the_backend_fill_what_a_server_does_not_say(around):
    lister = Lister(config={"region": "eu", "timeout": 3.0})
    lister.say(at(1, "a"), at(2, "b", region="us"))
    async with following(around, lister, defaults={"region": "moon", "tags": ["x"]}) as (them, board, _):
        await them.start(wait=True, within=9.0)
        assert [(c.region, c.timeout, c.tags) for c in board.there.values()] == [
            ("eu", 3.0, {"x"}), ("us", 3.0, {"x"}),
        ]  # fmt: skip


async def test_a_backend_that_goes_away_keeps_its_servers_says_so_once_and_catches_up(around, time):
    lister = Lister()
    lister.say(at(1, "a"))
    async with following(around, lister) as (them, board, told):
        await them.start(wait=True, within=9.0)
        for _ in range(3):
            lister.fail("nobody answers there.")
            await time.slept(len(time.asked) + 1)
            await time.advance(60.0)
        assert board.did == ["join a"]
        gone = [line for line in told.lines if "cannot be asked" in line]
        assert gone == ["lister one: cannot be asked: nobody answers there; the 1 server last known stay"]
        (status,) = them.status()
        assert (status.state, status.servers, status.last_error) == ("away", 1, "nobody answers there")
        assert "not confirmed: lister one cannot be asked" in them.unconfirmed()["a"]
        lister.say(at(2, "b"))
        await told.until(lambda: "lister one: can be asked again" in told.lines)
        await settle()
        assert list(board.there) == ["b"]
        assert (them.status()[0].state, them.unconfirmed()) == ("watching", {})


async def test_it_is_asked_again_less_and_less_often_and_soon_again_after_it_was_well(around, time):
    lister = Lister()
    async with following(around, lister) as (them, _, _):
        await them.start(wait=False, within=9.0)
        for _ in range(60):
            lister.fail("no")
            await time.slept(len(time.asked) + 1)
            await time.advance(31.0)
        bounds = [min(30.0, 0.5 * 2.0**n) for n in range(60)]
        assert all(0 <= asked <= bound for asked, bound in zip(time.asked, bounds, strict=True))
        assert max(time.asked) > 20.0
        lister.say(at(1, "a"))
        lister.fail("no")
        await time.slept(61)
        assert time.asked[-1] <= 0.5


async def test_one_backend_that_is_away_holds_up_no_other(around):
    away, well = Lister("away"), Lister("well")
    away.fail("nobody answers there.")
    well.say(at(1, "a"))
    async with following(around, away, well) as (them, _, _):
        assert await them.start(wait=True, within=9.0) == ("a",)
        assert [status.state for status in them.status()] == ["away", "watching"]


async def test_a_backend_that_cannot_work_at_all_is_an_error_only_at_the_start(around, time):
    lister = Lister()
    lister.fail("there is no such record.", lasting=True)
    async with following(around, lister) as (them, _, _):
        with pytest.raises(DiscoveryError, match="lister one: there is no such record"):
            await them.start(wait=True, within=9.0)
    later = Lister()
    later.say(at(1, "a"))
    async with following(around, later) as (them, board, told):
        await them.start(wait=True, within=9.0)
        later.fail("no longer.", lasting=True)
        await told.until(lambda: any("no longer" in line for line in told.lines))
        assert list(board.there) == ["a"]


async def test_a_backend_that_says_nothing_does_not_hold_up_the_start_for_ever(around):
    lister = Lister()
    async with following(around, lister) as (them, _, told):
        assert await them.start(wait=True, within=0.01) == ()
        assert told.lines == ["lister one: cannot be asked: no answer within 0.01 s yet"]
        lister.say(at(1, "a"))
        await told.until(lambda: "lister one: a found" in told.lines)


async def test_the_start_waits_as_long_as_a_person_thinks(around):
    class Asking(Lister):
        async def sightings(self, around):
            await around.person.answers(None)
            async for seen in super().sightings(around):
                yield seen

    thinking, lister = asyncio.Event(), Asking()
    lister.say(at(1, "a"))

    async def think(_prompt) -> str:
        await thinking.wait()
        return "yes"

    async with following(around, lister) as (them, _, told):
        them.ask(Person(answer=think))
        starting = asyncio.ensure_future(them.start(wait=True, within=0.01))
        await asyncio.wait([starting], timeout=0.05)
        assert not starting.done()
        thinking.set()
        assert await starting == ("a",)
        assert not any("no answer" in line for line in told.lines)


async def test_a_server_that_comes_and_goes_is_kept_out_and_let_in_when_it_was_steady(around, time):
    lister = Lister(damping=Damping(half_life=10.0, suppress=1.5, reuse=1.0))
    async with following(around, lister) as (them, board, told):
        lister.say(at(1, "a"))
        await them.start(wait=True, within=9.0)
        for _ in range(2):
            lister.say()
            lister.say(at(1, "a"))
        await told.until(lambda: any("comes and goes" in line for line in told.lines))
        await settle()
        assert "a" not in board.there
        assert them.status()[0].held == ("a",)
        await time.advance(10.0)
        await settle()
        assert list(board.there) == ["a"]
        assert them.status()[0].held == ()


async def test_a_slow_departure_holds_up_nobody_and_what_was_wanted_last_comes_about(around):
    lister = Lister(damping=Damping(suppress=5.0))
    lister.say(at(1, "a"), at(2, "b"))
    async with following(around, lister) as (them, board, told):
        board.hold.add("a")
        await them.start(wait=True, within=9.0)
        lister.say(at(3, "c"))
        await told.until(lambda: "lister one: c found" in told.lines)
        await settle()
        assert board.did[2:] == ["leave a", "leave b", "left b", "join c"]
        lister.say(at(1, "a", weight=2), at(3, "c"))
        await told.until(lambda: told.lines.count("lister one: a found") == 2)
        assert "join a" not in board.did[2:]
        board.let_go.set()
        await settle()
        assert board.did[-2:] == ["left a", "join a"]
        assert board.there["a"].weight == 2.0


async def test_problems_are_told_when_they_are_new_and_stand_in_the_status(around):
    lister = Lister()
    lister.say(at(1, "a"), b="has no address")
    async with following(around, lister) as (them, _, told):
        await them.start(wait=True, within=9.0)
        lister.say(at(1, "a"), b="has no address")
        lister.say(at(1, "a"), c="is deprecated")
        await told.until(lambda: "lister one: c: is deprecated" in told.lines)
        assert told.lines.count("lister one: b: has no address") == 1
        assert them.status()[0].problems == {"c": "is deprecated"}


async def test_a_server_that_cannot_join_is_told_and_the_others_do(around):
    class Strict(Board):
        async def join(self, config) -> None:
            if config.name == "a":
                raise ConfigError("there is already a server of that name", server="a")
            await super().join(config)

    lister, board, told = Lister(), Strict(), Told()
    lister.say(at(1, "a"), at(2, "b"))
    them = Following([Found(lister)], members=board, tell=told, defaults={}, around=around)
    await them.start(wait=True, within=9.0)
    assert list(board.there) == ["b"]
    assert any("a: cannot be followed" in line for line in told.lines)
    await them.close()


async def test_a_fault_inside_of_a_backend_is_told_and_hurts_nobody_else(around):
    class Broken(Lister):
        async def sightings(self, around):
            raise KeyError("oops")
            yield

    well, complaints = Lister("well"), []
    well.say(at(1, "a"))
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    async with following(around, Broken("broken"), well) as (them, _, told):
        assert await them.start(wait=True, within=9.0) == ("a",)
        assert complaints == ["lister broken failed"]
        assert any("KeyError inside of the backend" in line for line in told.lines)


async def test_one_that_has_said_everything_is_done_and_its_servers_stay(around):
    lister = Lister()
    lister.say(at(1, "a"))
    lister.end()
    async with following(around, lister) as (them, board, _):
        await them.start(wait=True, within=9.0)
        await settle()
        assert them.status()[0].state == "done"
        assert list(board.there) == ["a"]


async def test_closing_ends_every_task(around):
    lister = Lister()
    lister.say(at(1, "a"))
    async with following(around, lister) as (them, board, _):
        board.hold.add("a")
        await them.start(wait=True, within=9.0)
        lister.say()
        await settle()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("mcpnb")] == []


async def test_reports_end_where_a_backend_ends(around):
    lister = Lister()
    lister.fail("x")
    lister.say(at(1))
    lister.end()

    seen = []

    async def collect() -> None:
        seen.extend([report async for report in reports(lister, around)])

    collecting = asyncio.ensure_future(collect())
    await settle()
    await around.sleep.__self__.advance(1.0)
    await collecting
    assert [type(report) for report in seen] == [Trouble, Sighting]
