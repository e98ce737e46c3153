"""Whether a scenario has a steady state: what arrives against what can be done.

A verdict before the run needs the rates alone; one after it looks at the lines that had formed when the last
call arrived, and so also sees a strategy that sends a slow server too much. A closed loop never sends more
than is answered, so it has neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from mcpnb.simulation.scenario import Scenario
from mcpnb.simulation.servers import At, SimServer

_DEVIATIONS = 4.0
"""A line at the edge of stability grows like the root of the calls that came; one beyond grows like them."""


def overload(scenario: Scenario, rate: float | None) -> list[str]:
    """Why arrivals at `rate` per second are more than the servers can do; empty when they are not.

    It goes by the servers as the timeline leaves them: what happens before passes.
    """
    left = list(_left(scenario))
    capacity = sum(server.capacity / slow for server, slow in left)
    if rate is None or rate < capacity or (left and all(server.max_queue is not None for server, _ in left)):
        return []
    return [f"{rate:g} calls/s arrive and the servers can do {capacity:g}/s"]


def _left(scenario: Scenario) -> Iterator[tuple[SimServer, float]]:
    """The servers that are there when the timeline is over, each with how slow it is then."""
    changes: dict[str, list[At]] = {}
    for at in sorted(scenario.timeline, key=lambda at: at.t):
        changes.setdefault(at.server, []).append(at)
    absent = scenario.absent
    for start in scenario.servers:
        server, slow, there = start, 1.0, start.name not in absent
        for at in changes.get(start.name, ()):
            server = (start if at.recover else server).changed(at)
            slow = at.pace(server.service.mean, 1.0 if at.recover else slow)
            there = (there or at.comes) and not at.goes
        if there:
            yield server, slow


def backlog(scenario: Scenario, sent: Mapping[str, int], out: Mapping[str, int]) -> list[str]:
    """Which servers fell behind: `sent` attempts to each so far, `out` of them not ended."""
    return [
        f"{server.name} was sent {sent[server.name]} attempts, and {out[server.name]} were still out when the"
        " last call arrived"
        for server in scenario.servers
        if out[server.name] > 10 * server.workers + _DEVIATIONS * math.sqrt(sent[server.name])
    ]
