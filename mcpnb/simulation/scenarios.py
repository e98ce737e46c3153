"""Ready-made scenarios: what goes wrong with servers that stand in for each other, one thing in each.

    mcpnb.compare(mcpnb.scenarios.one_slow(), ["round_robin", "p2c", "peak_ewma"])

Each carries the load under which it shows what it is about, so that no workload has to be named. Faults
happen between seconds 20 and 40 of 60. Everything protective is off, so that a strategy is seen bare; try
`resilience=mcpnb.Resilience.live()`.

Two things hold in all of them. `latency`, which sends everybody to whoever was quickest, overloads that one
under any load worth balancing, fault or not. Strategies that keep calls together by a key (`rendezvous`,
`bounded_hash`) need keys: `resilience=mcpnb.Resilience(affinity=50)` gives them fifty; without, all calls
share one, and one server gets them all, or with `bounded_hash` as many as it may.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace

from mcpnb.resilience.settings import Resilience
from mcpnb.simulation.scenario import Load, Scenario
from mcpnb.simulation.servers import At, SimServer
from mcpnb.simulation.service import Service, lognormal

__all__ = [
    "black_hole", "brownout", "flapping", "heterogeneous", "one_slow", "preset", "regional",
    "rolling_restart", "thundering_herd", "uniform",
]  # fmt: skip

USUAL = lognormal(0.1, 1.0)
"""Seconds of service: as often quick as slow, with a tail."""
BEGIN, END, SECONDS = 20.0, 40.0, 60.0
"""When the trouble comes, when it goes, and when the load ends."""


def uniform(
    servers: int = 10, *, load: float = 0.8, service: Service = USUAL, resilience: Resilience | None = None
) -> Scenario:
    """Equal servers, and nothing happens to them.

    It shows what queueing alone costs: calls that meet at one server wait although others are idle. Of
    those that look at nothing `random` suffers more than `round_robin`; with two looks at the calls in
    flight (`p2c`) most of the waiting is gone, and with a look everywhere (`least_request`) all that can
    be. Old latencies are worse than no look: `weighted` chases differences between equals that are only
    chance.

    Args:
        servers: How many.
        load: Calls that arrive over calls that can be done, at the start.
        service: Seconds that a worker is busy with a call.
        resilience: What protects the calls; nothing by default.
    """
    return _scenario("uniform", _equal(servers, service), load=load, resilience=resilience)


def heterogeneous(
    servers: int = 10,
    *,
    spread: float = 4.0,
    declared: bool = False,
    load: float = 0.8,
    resilience: Resilience | None = None,
) -> Scenario:
    """Servers of different speed: the slowest takes `spread` times as long as the fastest.

    It shows that an even share is not a fair one. `random` and `round_robin` send the slowest servers
    more than they can do, and their lines grow without end; `weighted_round_robin` does too unless the
    weights are declared. `p2c` and `least_request` notice by the lines, `peak_ewma` and `thompson` by the
    time it takes as well; `weighted` finds the right shares, and is slow to.

    Args:
        servers: How many, at least two.
        spread: The slowest server's mean service time over the fastest one's.
        declared: Whether the servers' weights say how fast they are.
        load: Calls that arrive over calls that can be done.
        resilience: What protects the calls; nothing by default.
    """
    _at_least("servers", servers, 2)
    paces = [spread ** (i / (servers - 1)) for i in range(servers)]
    fleet = [
        SimServer(name, lognormal(0.05 * pace, 1.0), weight=spread / pace if declared else 1.0)
        for name, pace in zip(_names(servers), paces, strict=True)
    ]
    return _scenario("heterogeneous", fleet, load=load, resilience=resilience)


def one_slow(
    servers: int = 10, *, slow: float = 10.0, load: float = 0.7, resilience: Resilience | None = None
) -> Scenario:
    """One server of many becomes `slow` times slower for 20 seconds, and says nothing.

    It shows how fast a strategy notices. `random` and `round_robin` go on sending it its share, which
    waits in a line that outlives the fault: their p99 is seconds. `weighted` looks at its latencies now
    and then, and is late. Whoever counts calls in flight (`least_request`, `p2c`, `thompson`,
    `peak_ewma`) sends it less within a few calls, without knowing why.

    Args:
        servers: How many.
        slow: Times as long as usual.
        load: Calls that arrive over calls that can be done, while all are well.
        resilience: What protects the calls; nothing by default.
    """
    fleet = _equal(servers)
    timeline = [At(BEGIN, fleet[0].name, slow=slow), At(END, fleet[0].name, slow=1.0)]
    return _scenario("one_slow", fleet, timeline, load=load, resilience=resilience)


def black_hole(servers: int = 10, *, load: float = 0.7, resilience: Resilience | None = None) -> Scenario:
    """One server of many fails every call at once for 20 seconds.

    It shows that fast is not well: a server that fails in a millisecond is always idle. So
    `least_request`, `p2c` and whoever counts calls in flight and nothing else feed it more than its
    share; `random` and `round_robin` lose just their tenth. `peak_ewma`, `prequal` and `c3` count a failure
    as slow, `thompson` learns of it, and all four lose few. A circuit breaker ends it for everybody.

    Args:
        servers: How many.
        load: Calls that arrive over calls that can be done, while all are well.
        resilience: What protects the calls; nothing by default.
    """
    fleet = _equal(servers)
    timeline = [At(BEGIN, fleet[0].name, fail=True, fail_time=0.001), At(END, fleet[0].name, recover=True)]
    return _scenario("black_hole", fleet, timeline, load=load, resilience=resilience)


def flapping(
    servers: int = 10,
    *,
    flapping: int = 2,
    period: float = 4.0,
    load: float = 0.6,
    resilience: Resilience | None = None,
) -> Scenario:
    """Some servers crash and come back, over and over, half of the time each, for 20 seconds.

    It shows what coming and going costs. A crash fails the calls that were out there: the longer a
    strategy's lines, the more of them, so `random` and `weighted` lose about three times as many as
    `least_request`, `round_robin` is in between, and `latency`, which herds, loses fifty times as many.
    `peak_ewma` and `thompson` shun for a while who has just failed, and lose fewest. No strategy avoids it:
    retries do.

    Args:
        servers: How many.
        flapping: How many of them flap.
        period: Seconds from one crash of a server to its next.
        load: Calls that arrive over calls that can be done, while all are well.
        resilience: What protects the calls; nothing by default.
    """
    _between("flapping", flapping, 1, servers - 1)
    fleet, timeline = _equal(servers), list[At]()
    for i, server in enumerate(fleet[:flapping]):
        t = BEGIN + i * period / (2 * flapping)
        while t < END:
            timeline += [At(t, server.name, crash=True), At(t + period / 2, server.name, join=True)]
            t += period
    return _scenario("flapping", fleet, timeline, load=load, resilience=resilience)


def brownout(
    servers: int = 10,
    *,
    share: float = 0.5,
    slow: float = 4.0,
    error_rate: float = 0.05,
    load: float = 0.5,
    resilience: Resilience | None = None,
) -> Scenario:
    """A share of the servers gets slower step by step, with some errors, and better step by step.

    It shows strategies against a fault without an edge: no server is ever gone, and no breaker opens at a
    few errors in a hundred. `random` and `round_robin` overload the slow half, and their lines last
    longer than the fault; `weighted` follows, but late. With half of the servers slow, two looks often
    see two slow ones, so `p2c` and `peak_ewma` are clearly behind `least_request` and `thompson`, which
    see them all.

    Args:
        servers: How many.
        share: The part of them that is affected.
        slow: Times as long as usual, at the worst.
        error_rate: The share of their calls that fails, at the worst.
        load: Calls that arrive over calls that can be done, while all are well.
        resilience: What protects the calls; nothing by default.
    """
    count = round(share * servers)
    _between("share * servers", count, 1, servers)
    fleet, depths = _equal(servers), [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0]
    timeline = [
        At(
            BEGIN + step * (END - BEGIN) / (len(depths) - 1), server.name,
            slow=1 + (slow - 1) * depth, error_rate=error_rate * depth,
        )
        for step, depth in enumerate(depths)
        for server in fleet[:count]
    ]  # fmt: skip
    return _scenario("brownout", fleet, timeline, load=load, resilience=resilience)


def regional(
    servers: int = 4,
    *,
    regions: Sequence[tuple[str, float]] = (("eu", 0.01), ("us", 0.09), ("ap", 0.2)),
    load: float = 0.15,
    resilience: Resilience | None = None,
) -> Scenario:
    """Three regions at different distances; most of the nearest one is gone for 20 seconds.

    It shows distance against capacity. Blind strategies, and those that look at the calls in flight
    alone, pay the long way for two calls of three. `nearest` stays at home, and pays for that while home
    is small: its p95 doubles, since it spills over by how many servers are left there, not by how long
    their lines are. `thompson`, `c3` and `prequal` find out by latency what is near and what is full;
    `latency` finds out too, and herds until the near servers are the slow ones.

    Args:
        servers: How many in each region.
        regions: Name and seconds of network there and back, the nearest first.
        load: Calls that arrive over calls that all regions together can do.
        resilience: What protects the calls; nothing by default.
    """
    _at_least("regions", len(regions), 2)
    fleet = [
        SimServer(f"{region}{i}", lognormal(0.05, 1.0), rtt=rtt, region=region)
        for region, rtt in regions
        for i in range(servers)
    ]
    near = [server.name for server in fleet[: servers - max(servers // 4, 1)]]
    timeline = [At(t, name, leave=t == BEGIN, join=t == END) for t in (BEGIN, END) for name in near]
    distances = {regions[0][0]: dict(regions)}
    made = _scenario("regional", fleet, timeline, load=load, resilience=resilience)
    return replace(made, home=regions[0][0], distances=distances)


def thundering_herd(
    servers: int = 10, *, ratio: float = 20.0, load: float = 0.5, resilience: Resilience | None = None
) -> Scenario:
    """Calls come in waves: for half a second many times as many as in the calm between.

    It shows that what was learned from answers is old when a wave comes. Strategies that go by latency
    (`latency`, `weighted`) send the whole wave to the servers that were best before it. Those
    that count calls in flight see their own picks at once: `least_request`, `p2c` and `round_robin`
    spread a wave evenly, and `random` piles up by chance. But a wave is more than all servers can do: the
    lines that it leaves are long under the best of them, and no strategy is worth as much here as one
    more server.

    Args:
        servers: How many.
        ratio: The rate in a wave over the rate in the calm.
        load: Calls that arrive over calls that can be done, in the mean over waves and calm.
        resilience: What protects the calls; nothing by default.
    """
    calm = _scenario("thundering_herd", _equal(servers), load=load, resilience=resilience)
    rate = load * calm.capacity
    waves = Load(rate, SECONDS, "bursty", burst_ratio=ratio, burst_share=0.1, burst_seconds=0.5)
    return replace(calm, load=waves)


def rolling_restart(
    servers: int = 10,
    *,
    down: float = 1.0,
    cold: float = 3.0,
    load: float = 0.7,
    resilience: Resilience | None = None,
) -> Scenario:
    """One server after the other drains, is away for a while, and comes back cold.

    It shows an ordinary deployment. Nothing fails, and who counts calls in flight hardly notices it.
    `random` and `round_robin` give the cold server its full share at once; `weighted` has to learn of
    each server anew; `rendezvous` moves the keys of each server to the others and back, and the others
    were busy before.

    Args:
        servers: How many.
        down: Seconds for which each is away.
        cold: Times as long as usual, for as long after it came back.
        load: Calls that arrive over calls that can be done, while all are there.
        resilience: What protects the calls; nothing by default.
    """
    fleet, timeline = _equal(servers), list[At]()
    for i, server in enumerate(fleet):
        t = BEGIN + i * (END - BEGIN) / servers
        timeline += [
            At(t, server.name, leave=True),
            At(t + down, server.name, join=True, slow=cold),
            At(t + 2 * down, server.name, slow=1.0),
        ]
    return _scenario("rolling_restart", fleet, timeline, load=load, resilience=resilience)


PRESETS: dict[str, Callable[..., Scenario]] = {
    maker.__name__: maker
    for maker in (
        uniform, heterogeneous, one_slow, black_hole, flapping, brownout, regional, thundering_herd,
        rolling_restart,
    )
}  # fmt: skip
"""Name → what makes it, in the order in which one would show them."""


def preset(name: str, **parameters: object) -> Scenario:
    """A ready-made scenario by its name, for a list to choose from.

    Raises:
        ValueError: There is none of this name; the message lists them.
        TypeError: It does not take such a parameter.
    """
    maker = PRESETS.get(name)
    if maker is None:
        near = difflib.get_close_matches(name, PRESETS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no scenario {name!r}.{hint} There are: {', '.join(PRESETS)}.")
    return maker(**parameters)


def __dir__() -> list[str]:
    """What a notebook completes with tab."""
    return list(__all__)


def _scenario(
    title: str,
    servers: Sequence[SimServer],
    timeline: Sequence[At] = (),
    *,
    load: float,
    resilience: Resilience | None,
) -> Scenario:
    bare = Scenario(servers, timeline, resilience or Resilience(), title=title)
    if not load > 0:
        raise ValueError(f"load must be a number above 0, not {load!r}")
    return replace(bare, load=Load(load * bare.capacity, SECONDS))


def _equal(count: int, service: Service = USUAL) -> list[SimServer]:
    _at_least("servers", count, 1)
    return [SimServer(name, service) for name in _names(count)]


def _names(count: int) -> list[str]:
    """Names that sort as they count."""
    return [f"s{i:0{len(str(count - 1))}d}" for i in range(count)]


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")


def _between(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must lie between {least} and {most}, not {value!r}")
