"""Who may take a call at all: regions, versions, keys, outliers, breakers of single tools, stand-ins."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mcpnb.errors import NoServerAvailable
from mcpnb.model import Alternative, Endpoint, Outcome, Requirement
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.routing import BreakerChanged, Ejected
from mcpnb.routing.strategies import Strategy

WORLD = (
    Endpoint("paris", region="eu"),
    Endpoint("rome", region="eu"),
    Endpoint("boston", region="us"),
    Endpoint("tokyo", region="ap"),
    Endpoint("nowhere"),
)
DISTANCES = {"eu": {"us": 90.0, "ap": 250.0}}


def picks(b, count=40, **fields) -> set[str]:
    """The servers that so many calls go to."""
    found = set()
    for number in range(10_000, 10_000 + count):
        (attempt,) = b.call(number, **fields)
        found.add(attempt.server)
        b.end(attempt)
        del b.ends[number]
    return found


# -- regions


def test_a_preferred_region_is_taken_while_it_has_anybody_then_the_next_one_by_distance(bench):
    b = bench(*WORLD, strategy="random", distances=DISTANCES)
    near = Requirement(region="eu")
    assert picks(b, requirement=near) == {"paris", "rome"}
    b.brain.mark("paris", "reconnecting", 0.0)
    assert picks(b, requirement=near) == {"rome"}
    b.brain.mark("rome", "reconnecting", 0.0)
    assert picks(b, requirement=near) == {"boston"}
    b.brain.mark("boston", "reconnecting", 0.0)
    assert picks(b, requirement=near) == {"tokyo"}
    b.brain.mark("tokyo", "reconnecting", 0.0)
    assert picks(b, requirement=near) == {"nowhere"}
    b.brain.mark("rome", "", 0.0)
    assert picks(b, requirement=near) == {"rome"}


def test_a_distance_declared_one_way_counts_both_ways(bench):
    b = bench(*WORLD, strategy="random", distances=DISTANCES)
    b.brain.mark("boston", "reconnecting", 0.0)
    assert picks(b, requirement=Requirement(region="us")) == {"paris", "rome"}


def test_a_strict_region_is_never_left(bench):
    b = bench(*WORLD, distances=DISTANCES)
    eu = Requirement(region="eu", strict=True)
    assert picks(b, requirement=eu) == {"paris", "rome"}
    for name in ("paris", "rome"):
        b.brain.mark(name, "reconnecting", 0.0)
    b.call(1, requirement=eu)
    error = b.ends[1].error
    assert isinstance(error, NoServerAvailable)
    assert error.reasons["boston"] == "is in us, and only eu is allowed"
    assert error.reasons["nowhere"] == "is in no declared region, and only eu is allowed"


def test_a_retry_leaves_the_region_when_all_of_it_had_its_chance(bench):
    b = bench(*WORLD, distances=DISTANCES)
    (first,) = b.call(1, requirement=Requirement(region="eu"), repeatable=True, retries=3)
    (second,) = b.end(first, "disconnected")
    (third,) = b.end(second, "disconnected")
    assert {first.server, second.server} == {"paris", "rome"}
    assert third.server == "boston"


def test_servers_farther_away_are_named_as_such(bench):
    b = bench(*WORLD, distances=DISTANCES)
    b.brain.mark("paris", "reconnecting", 0.0)
    (attempt,) = b.call(1, requirement=Requirement(region="eu"))
    b.end(attempt)
    assert b.stories[1].excluded["paris"] == "reconnecting"
    assert b.stories[1].excluded["tokyo"] == "is farther away than others that are free"


def test_nearest_measures_from_the_fleets_home_or_from_the_calls_region(bench):
    b = bench(*WORLD, strategy="nearest", home="us", distances=DISTANCES)
    assert picks(b) == {"boston"}
    assert picks(b, requirement=Requirement(region="ap")) == {"tokyo"}


# -- versions


VERSIONS = (Endpoint("old", version="1.9"), Endpoint("new", version="2.1"), Endpoint("mute"))


def test_a_version_specifier_keeps_out_who_does_not_fit(bench):
    b = bench(*VERSIONS)
    assert picks(b, requirement=Requirement(version=">=2,<3")) == {"new"}
    b.brain.mark("new", "reconnecting", 0.0)
    b.call(1, requirement=Requirement(version=">=2,<3"))
    assert b.ends[1].error.reasons == {
        "old": "its version is 1.9, and >=2,<3 is asked for",
        "new": "reconnecting",
        "mute": "says no version, and >=2,<3 is asked for",
    }


def test_a_tools_own_version_counts_before_its_servers(bench):
    b = bench(Endpoint("a", version="1.0", tool_versions={"t": "2.5"}), Endpoint("b", version="2.0"))
    assert picks(b, requirement=Requirement(version="==2.5")) == {"a"}
    assert picks(b, requirement=Requirement(version="<2"), tool="u") == {"a"}


def test_a_version_that_cannot_be_compared_says_so(bench):
    b = bench(Endpoint("odd", version="release-candidate"))
    b.call(1, requirement=Requirement(version=">=2"))
    assert "cannot be compared" in b.ends[1].error.reasons["odd"]


# -- affinity


def test_calls_of_one_key_go_to_one_server_and_return_to_it(bench):
    b = bench("alpha", "beta", "gamma", strategy="random")
    (home,) = picks(b, affinity="session 7")
    b.brain.mark(home, "reconnecting", 0.0)
    (other,) = picks(b, affinity="session 7")
    (attempt,) = b.call(1, affinity="session 7")
    assert (attempt.server, attempt.strategy) == (other, "affinity")
    assert attempt.why == f"first; its key belongs to {home}, which is out (reconnecting)"
    b.brain.mark(home, "", 0.0)
    assert picks(b, affinity="session 7") == {home}


def test_a_server_that_was_out_from_the_start_has_its_keys_too(bench):
    whole, lame = bench("alpha", "beta", "gamma"), bench("alpha", "beta", "gamma")
    lame.brain.mark("beta", "connecting", 0.0)
    keys = [f"session {number}" for number in range(60)]
    moved = [key for key in keys if picks(whole, 1, affinity=key) != picks(lame, 1, affinity=key)]
    assert all(picks(whole, 1, affinity=key) == {"beta"} for key in moved)
    lame.brain.mark("beta", "", 0.0)
    assert all(picks(whole, 1, affinity=key) == picks(lame, 1, affinity=key) for key in keys)


def test_keys_spread_over_all_servers(bench):
    b = bench("alpha", "beta", "gamma")
    homes = [b.call(number, affinity=f"k{number}")[0].server for number in range(300)]
    assert all(60 < homes.count(name) < 140 for name in b.names)


def test_a_million_sessions_leave_no_table_behind(bench):
    """Oracle affinity_bounded, with fewer sessions: what is kept per key is bounded, and nothing else."""
    b = bench("alpha", "beta")
    for number in range(5_000):
        b.end(*b.call(number, affinity=f"session {number}"))
    (pool,) = b.brain._roster.pools
    assert len(pool.strategy("affinity")._rankings) <= 1024


# -- outliers


def test_a_server_that_fails_clearly_more_than_the_others_is_ejected_and_comes_back(bench):
    names = [f"s{number}" for number in range(10)]
    policy = OutlierPolicy(interval=10.0, request_volume=20, ejection_time=30.0)
    b = bench(*names, strategy="round_robin", outlier=policy)
    chance = random.Random(5)
    number = 0
    while b.now < 10.0:
        number += 1
        (attempt,) = b.call(number, retries=0)
        bad = chance.random() < (0.5 if attempt.server == "s3" else 0.02)
        b.end(attempt, "disconnected" if bad else "ok")
        b.now += 0.02
    b.wait(10.5)
    assert [(each.server, each.out) for each in b.told if isinstance(each, Ejected)] == [("s3", True)]
    assert "s3" not in picks(b)
    (attempt,) = b.call(9_000)
    b.end(attempt)
    assert b.stories[9_000].excluded["s3"].startswith("ejected: ")
    b.wait(60.0)
    assert [(each.server, each.out) for each in b.told if isinstance(each, Ejected)][-1] == ("s3", False)
    assert "s3" in picks(b)


def test_an_idle_fleet_with_outlier_ejection_sets_no_alarms(bench):
    b = bench("alpha", "beta", outlier=True)
    b.end(*b.call(1))
    b.wait(1000.0)
    assert b.ring is None


# -- breakers of single tools


def test_with_breakers_per_tool_only_the_tool_that_fails_is_kept_away(bench):
    b = bench("alpha", "beta", breaker=BreakerPolicy(per_tool=True))
    for number in range(5):
        (attempt,) = b.call(number, tool="bad", requirement=Requirement(server="alpha"), retries=0)
        b.end(attempt, "disconnected")
    (change,) = [each for each in b.told if isinstance(each, BreakerChanged)]
    assert (change.server, change.tool, change.state) == ("alpha", "bad", "open")
    assert picks(b, tool="bad") == {"beta"}
    assert picks(b, tool="good") == {"alpha", "beta"}
    assert {tool: breaker.state for tool, breaker in b.brain.breakers("alpha").items()} == {
        "bad": "open",
        "good": "closed",
    }
    assert b.brain.breaker("alpha").state == "open"
    b.take(b.brain.reset("alpha", b.now))
    assert picks(b, tool="bad") == {"alpha", "beta"}


def test_a_tools_breaker_opens_for_other_demands_too(bench):
    b = bench("alpha", "beta", breaker=BreakerPolicy(per_tool=True))
    b.take(b.brain.trip("alpha", 0.0, "bad"))
    assert picks(b, tool="bad") == {"beta"}
    assert picks(b, tool="bad", requirement=Requirement(tags=frozenset())) == {"beta"}
    assert picks(b, tool="good") == {"alpha", "beta"}


def test_a_breaker_per_tool_probes_and_heals(bench):
    b = bench("alpha", "beta", breaker=BreakerPolicy(per_tool=True, reset_after=10.0))
    b.take(b.brain.trip("alpha", 0.0, "bad"))
    b.wait(20.0)
    assert b.brain.breakers("alpha")["bad"].state == "half_open"
    picks(b, tool="bad")
    assert b.brain.breakers("alpha")["bad"].state == "closed"


def test_what_counts_as_a_failure_is_the_callers_choice(bench):
    policy = BreakerPolicy(consecutive_failures=3, failure=lambda outcome: outcome.kind == "tool_error")
    b = bench("alpha", breaker=policy)
    for number in range(3):
        b.end(*b.call(number), "tool_error")
    assert b.brain.breaker("alpha").state == "open"


def test_a_tool_that_says_no_a_hundred_times_leaves_the_breaker_closed(bench):
    """Oracle client_error_ignored."""
    b = bench("alpha", breaker=True)
    for number in range(100):
        b.end(*b.call(number), "tool_error")
    assert b.brain.breaker("alpha").state == "closed"


# -- alternatives


STAND_IN = Alternative("climate", ("beta",), repeatable=True)


def test_when_nobody_is_there_for_a_tool_another_one_stands_in(bench):
    b = bench("alpha", "beta")
    b.brain.mark("alpha", "reconnecting", 0.0)
    (attempt,) = b.call(1, tool="weather", servers=("alpha",), alternatives=(STAND_IN,))
    assert (attempt.tool, attempt.server) == ("climate", "beta")
    assert attempt.why == "fallback: weather ended as rejected"
    b.end(attempt)
    assert b.ends[1].kind == "ok"


def test_a_tool_whose_retries_are_used_up_is_followed_by_its_stand_in(bench):
    b = bench("alpha", "beta")
    (first,) = b.call(
        1, tool="weather", servers=("alpha",), retries=1, repeatable=True, alternatives=(STAND_IN,)
    )
    b.end(first, "disconnected")
    (again,) = b.wait(1.0)
    (attempt,) = b.end(again, "disconnected")
    assert (attempt.tool, attempt.number) == ("climate", 3)
    assert attempt.why == "fallback: weather ended as disconnected"


def test_a_stand_in_does_not_follow_a_call_that_may_have_run_and_must_not_run_twice(bench):
    b = bench("alpha", "beta")
    (attempt,) = b.call(1, tool="weather", servers=("alpha",), alternatives=(STAND_IN,))
    assert b.end(attempt, "disconnected") == []
    assert b.ends[1].kind == "disconnected"


@pytest.mark.parametrize("kind", ["tool_error", "cancelled"])
def test_a_stand_in_does_not_follow_an_answer_nor_a_cancellation(bench, kind):
    b = bench("alpha", "beta")
    (attempt,) = b.call(1, tool="weather", servers=("alpha",), alternatives=(STAND_IN,))
    if kind == "cancelled":
        b.take(b.brain.on_cancel(1, 0.0))
    else:
        b.end(attempt, kind)
    assert b.ends[1].kind == kind
    assert len(b.sent) == 1


def test_a_chain_of_stand_ins_that_are_all_down_ends(bench):
    """Oracle fallback_terminates."""
    b = bench("alpha", "beta", "gamma")
    for name in b.names:
        b.brain.mark(name, "reconnecting", 0.0)
    chain = (Alternative("climate", ("beta",)), Alternative("almanac", ("gamma",)))
    b.call(1, tool="weather", servers=("alpha",), alternatives=chain)
    assert isinstance(b.ends[1].error, NoServerAvailable)
    assert b.sent == []


def test_the_deadline_covers_stand_ins_too(bench):
    b = bench("alpha", "beta")
    b.brain.mark("alpha", "reconnecting", 0.0)
    b.call(1, tool="weather", servers=("alpha",), alternatives=(STAND_IN,), deadline=2.0, timeout=2.0)
    b.wait(2.0)
    assert b.ends[1].kind == "timeout"


# -- many servers


def test_an_explanation_of_a_fleet_where_thousands_are_out_lists_some_and_says_how_many(bench):
    names = [f"s{number}" for number in range(200)]
    b = bench(*names)
    for name in names[:150]:
        b.brain.mark(name, "reconnecting", 0.0)
    (attempt,) = b.call(1)
    b.end(attempt)
    assert len(b.stories[1].excluded) == 32
    assert b.stories[1].out_of == 150
    assert "118 more" in str(b.stories[1])


def test_alarms_of_calls_that_are_over_do_not_pile_up(bench):
    b = bench("alpha")
    for number in range(5_000):
        b.end(*b.call(number, deadline=1e6, timeout=1e6))
    assert len(b.brain._timers._heap) < 1_500


def test_every_outcome_returns_its_lease(bench):
    """Oracle inflight_leak."""
    kinds = ["ok", "tool_error", "timeout", "disconnected", "refused", "rejected"]
    b = bench("alpha", "beta", hedge=0.01, breaker=True, panic=True)
    for number in range(1000):
        (attempt, *_) = b.call(number, repeatable=bool(number % 2), retries=0)
        if number % 7 == 0:
            b.take(b.brain.on_cancel(number, b.now))
        elif number % 2:
            b.wait(b.now + 0.01)
        for attempt in [each for each in b.out.values() if each.request == number]:
            b.take(b.brain.on_outcome(attempt.id, Outcome(kinds[number % 6]), b.now))
        b.out.clear()
    assert b.idle()


# -- membership


def test_what_a_strategy_learned_survives_a_server_that_leaves(bench):
    b = bench("alpha", "beta", "gamma", strategy="latency")
    for number in range(60):
        (attempt,) = b.call(number)
        b.now += {"alpha": 0.5, "beta": 0.01, "gamma": 0.5}[attempt.server]
        b.end(attempt)
    b.take(b.brain.remove("gamma", b.now))
    b.names = ("alpha", "beta")
    known = [b.call(number)[0] for number in range(100, 101)]
    assert [attempt.server for attempt in known] == ["beta"]
    assert dict(known[0].saw)["alpha"] == pytest.approx(0.5)


def test_a_round_robin_goes_on_where_it_was_when_servers_change(bench):
    names = [f"s{number}" for number in range(10)]
    b = bench(*names)
    counts = dict.fromkeys(names, 0)
    for number in range(9_000):
        if number % 3 == 0:  # as oracle rr_rebuild: the pool is made anew every three picks
            b.take(b.brain.add(Endpoint(names[number % 10], weight=1.0 + number % 2), now=b.now))
        (attempt,) = b.call(number)
        b.end(attempt)
        counts[attempt.server] += 1
    assert max(counts.values()) - min(counts.values()) <= 2


def test_pools_of_servers_that_nobody_asks_for_any_more_do_not_pile_up(bench):
    b = bench("alpha", "beta")
    for number in range(6_000):
        b.end(*b.call(number, servers=("alpha", f"gone {number}")))
    assert len(b.brain._roster.pools) <= 4_096


class Told(Strategy):
    """Counts what it is told of."""

    name = "told"
    counts: Counter[str] = Counter()  # noqa: RUF012 - one count for the copies in all pools

    def pick(self, eligible, now, rng):
        return eligible[0]

    def added(self, node, now):
        Told.counts["added"] += 1

    def removed(self, node, now):
        Told.counts["removed"] += 1


def test_when_the_nearest_region_goes_and_comes_back_nobody_in_the_next_one_is_moved(bench):
    near = Endpoint("home", region="eu", max_in_flight=1)
    b = bench(near, *(Endpoint(f"far {n}", region="us") for n in range(500)), strategy=Told())
    eu = Requirement(region="eu")
    (first,) = b.call(1, requirement=eu)
    (second,) = b.call(2, requirement=eu)
    assert (first.server, second.server) == ("home", "far 0")
    Told.counts.clear()
    for number in range(10, 30):
        (busy,) = b.end(first) or b.call(number, requirement=eu)
        assert busy.server == "home"
        first = busy
    assert Told.counts.total() <= 60


def test_a_strategy_that_is_dropped_with_its_pool_watches_nobody_any_more(bench):
    b = bench(*WORLD, strategy="least_request", distances=DISTANCES)
    eu = Requirement(region="eu")
    (attempt,) = b.call(1, requirement=eu)
    for name in ("paris", "rome"):
        b.take(b.brain.mark(name, "reconnecting", 0.0))
    (other,) = b.call(2, requirement=eu)
    assert other.server == "boston"
    b.brain.use("random", 0.0)
    nodes = b.brain._roster.nodes.values()
    assert not any(node._watchers for node in nodes)
    b.end(attempt)
    b.end(other)
