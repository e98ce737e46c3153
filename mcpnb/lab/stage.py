"""A scenario on real servers: the same values that are simulated, carried out by processes.

It owns what a scenario's servers and protections mean for a lab. How servers are started, the rack knows;
what a timeline does to them, the script.
"""

from __future__ import annotations

from typing import Any, cast

from mcpnb.lab.course import profile_of, require_playable
from mcpnb.lab.fleet import LabFleet
from mcpnb.lab.replicas import LabTransport, Rack, Wanted
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import Scenario, SimServer

__all__ = ["live"]


def live(
    scenario: Scenario,
    *,
    kind: str = "weather",
    transport: LabTransport = "http",
    seed: int = 0,
    name: str | None = None,
    start_timeout: float = 30.0,
    **options: Any,
) -> LabFleet:
    """Start real servers that behave as a scenario says, under its names, and connect to them.

    What protects the calls is what the scenario says, too. Its timeline begins with `fleet.script()`.

        fleet = mcpnb.lab.live(mcpnb.scenarios.one_slow(servers=3, load=0.3))
        fleet.script()

    Args:
        scenario: The servers, what happens to them, and what protects the calls.
        kind: What the servers serve; see `mcpnb.lab.servers.KINDS`.
        transport: `http` or `stdio` (a process each), or `in-process`, which cannot crash.
        seed: Makes the servers' times and faults, and the routing's dice, repeatable.
        name: What to call the fleet; the scenario's title by default.
        start_timeout: Seconds that a server may take to answer for the first time.
        options: As for `mcpnb.connect`; they win over the scenario's.

    Raises:
        McpnbError: The scenario asks for what can be simulated only, or a server did not start.
    """
    require_playable(scenario)
    wanted = [_wanted(server, kind, transport, seed) for server in scenario.servers]
    settings = {"home": scenario.home, "distances": scenario.distances or None, **_protections(scenario)}
    rack = Rack(wanted, start_timeout=start_timeout)
    return LabFleet(
        rack,
        absent=scenario.absent,
        timeline=scenario.timeline,
        name=name or scenario.title or "scenario",
        seed=seed,
        **{**settings, **options},
    )


def _wanted(server: SimServer, kind: str, transport: LabTransport, seed: int) -> Wanted:
    return Wanted(
        server.name,
        kind,
        transport,
        region=server.region,
        profile=profile_of(server, seed=seed),
        routing={
            "weight": server.weight,
            "priority": server.priority,
            "max_in_flight": server.max_in_flight,
            "max_queue": server.max_queue,
        },
    )


def _protections(scenario: Scenario) -> dict[str, object]:
    """The resilience of a scenario as a client's options, in which what is off is said to be off."""
    on: Resilience = scenario.resilience
    return {
        "breaker": on.breaker or False,
        "retry": cast("object", on.retry) or 0,
        "hedge": on.hedge,
        "panic": on.panic or False,
        "outlier": on.outlier or False,
        "queue": on.queue,
    }
