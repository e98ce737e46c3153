"""One scenario, simulated and live: the same names, the same rules, and latencies that agree."""

from __future__ import annotations

import pytest

import mcpnb
from mcpnb import lab
from mcpnb.simulation import At, Scenario, SimServer, service

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


LOAD = mcpnb.Workload(
    tool="weather.current", arguments={"location": "Oslo"}, rate=18, requests=900, warmup=50, timeout=10
)
"""Half of what the servers can do, and little for the machine: a call costs it a few ms."""

SERVERS = [
    SimServer("quick", service.lognormal(80 * MS, 0.5)),
    SimServer("usual", service.lognormal(100 * MS, 0.5), workers=2),
    SimServer("distant", service.lognormal(100 * MS, 0.5), rtt=60 * MS),
]
SLOWED = [At(12, "usual", latency_ms=240), At(30, "usual", slow=1)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("strategy", "timeline"), [("round_robin", []), ("least_request", SLOWED)], ids=["steady", "slowed"]
)
def test_simulated_and_live_agree(strategy: str, timeline: list[At]) -> None:
    """p50 and p95 within 20 %, at the same arrivals; the servers draw their own times."""
    scenario = Scenario(SERVERS, timeline)
    simulated = mcpnb.compare(scenario, [strategy], workload=LOAD, repeats=8, progress=False).summary
    with lab.live(scenario, transport="in-process") as fleet:
        if timeline:
            fleet.script()
        live = mcpnb.compare(fleet, [strategy], workload=LOAD, blocks=1, progress=False).summary
    quantiles = ["p50_ms", "p95_ms"]
    ratios = (live.loc[strategy, quantiles] / simulated.loc[strategy, quantiles]).astype(float)
    assert ratios.between(0.8, 1.2).all(), ratios
    assert live.loc[strategy, "errors"] == 0
