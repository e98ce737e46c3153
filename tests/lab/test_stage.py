"""One scenario, simulated and live: the same names, the same rules, and latencies that agree."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import mcpnb
from mcpnb import lab
from mcpnb.lab.course import profile_of
from mcpnb.simulation import At, Scenario, SimServer, service
from mcpnb.simulation.service import Times

MS = 0.001


def test_a_scenario_gets_real_servers_under_its_names_with_its_protections() -> None:
    scenario = Scenario(
        [
            SimServer("near", service.lognormal(5 * MS, 0.5), region="eu", weight=2, max_in_flight=4),
            SimServer("late", service.deterministic(1 * MS), region="us"),
        ],
        [At(0, "near", latency_ms=2), At(0, "late", join=True)],
        home="eu",
        distances={"eu": {"us": 80}},
        title="two regions",
    )
    with lab.live(scenario, transport="in-process", strategy="nearest") as fleet:
        assert [(row.server, row.region, row.weight) for row in fleet.status()] == [("near", "eu", 2)]
        assert fleet.breakers.empty
        fleet.script().wait(30)
        assert fleet.profile("near").latency_ms == 2
        assert {row.server for row in fleet.status()} == {"near", "late"}
        assert {fleet.call("weather.current", location="Oslo").server for _ in range(5)} == {"near"}


def test_a_scenario_that_can_only_be_simulated_starts_nothing() -> None:
    scenario = Scenario([SimServer("a", service.exponential(1.0))])
    with pytest.raises(mcpnb.McpnbError, match="a: a live server takes"):
        lab.live(scenario)


SERVERS = [
    SimServer("quick", service.lognormal(320 * MS, 0.5)),
    SimServer("usual", service.lognormal(400 * MS, 0.5), workers=2),
    SimServer("distant", service.lognormal(400 * MS, 0.5), rtt=240 * MS),
]
"""Slow ones: what a call costs this machine, a few ms, must be little beside what it takes."""
LOAD = mcpnb.Workload(
    tool="weather.current", arguments={"location": "Oslo"}, rate=3.0, requests=105, timeout=30
)
"""A third of what the servers can do, for 35 s."""
CASES = {
    "round_robin": Scenario(SERVERS),
    "least_request": Scenario(
        SERVERS, [At(9, "usual", latency_ms=800), At(21, "usual", latency_ms=400)], title="slowed"
    ),
}
SEEDS = range(3)


class AsTheLabDraws:
    """The service times that a lab server draws, so that chance is the same on both sides. For one run."""

    def __init__(self, server: SimServer, *, seed: int = 0) -> None:
        self.mean = server.service.mean
        self._times = self._drawn(profile_of(server), random.Random(f"{seed}/{server.name}"))

    @staticmethod
    def _drawn(profile: lab.Profile, rng: random.Random) -> Iterator[float]:
        while True:
            yield profile.service_time(rng)
            rng.random()  # decides whether the call fails

    def sample(self, rng: np.random.Generator, count: int) -> Times:  # its chance is its own
        return np.fromiter(itertools.islice(self._times, count), dtype=np.float64)


def simulated(strategy: str, seed: int) -> Times:
    """Latencies in ms."""
    servers = [replace(server, service=AsTheLabDraws(server, seed=seed)) for server in SERVERS]
    same = Scenario(servers, CASES[strategy].timeline)
    return mcpnb.compare(same, [strategy], workload=LOAD, seed=seed, blocks=1, progress=False).latencies(
        strategy
    )


def lived(strategy: str, seed: int) -> Times:
    """Latencies in ms."""
    with lab.live(CASES[strategy], transport="in-process", seed=seed) as fleet:
        if CASES[strategy].timeline:
            fleet.script()
        return mcpnb.compare(fleet, [strategy], workload=LOAD, seed=seed, blocks=1, progress=False).latencies(
            strategy
        )


def test_the_lab_draws_service_times_as_the_simulator_does() -> None:
    drawn, meant = AsTheLabDraws(SERVERS[0]), SERVERS[0].service
    rng = np.random.default_rng(1)
    quantiles = [np.quantile(times.sample(rng, 40_000), [0.05, 0.5, 0.95]) for times in (drawn, meant)]
    assert quantiles[0] == pytest.approx(quantiles[1], rel=0.02)


@pytest.mark.long
def test_simulated_and_live_agree() -> None:
    """p50 and p95 within 20 %, at the same arrivals and with the same service times.

    With chance the same on both sides, only what a call costs the machine parts them, and ties that fall
    otherwise for it: beside two busy loops on two cores, 5 % at the most. Of 2 000 pairs of simulations, in
    which each call took 0 to 25 ms more in one of them, and 3 % took another 100 ms, the worst were 13 %
    apart (standard deviation 2 %).
    """
    runs = [(strategy, seed) for strategy in CASES for seed in SEEDS]
    with ThreadPoolExecutor(len(runs)) as at_once:  # they mostly wait
        live = dict(zip(runs, at_once.map(lambda run: lived(*run), runs), strict=True))
    for strategy in CASES:
        here = np.concatenate([live[strategy, seed] for seed in SEEDS])
        there = np.concatenate([simulated(strategy, seed) for seed in SEEDS])
        ratios = np.quantile(here, [0.5, 0.95]) / np.quantile(there, [0.5, 0.95])
        assert len(here) == len(there) == LOAD.requests * len(SEEDS)
        assert ((ratios > 0.8) & (ratios < 1.2)).all(), (strategy, ratios)
