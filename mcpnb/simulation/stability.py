"""Whether a scenario has a steady state: what arrives against what can be done.

A verdict before the run needs the rates alone; one after it looks at the lines that had formed when the last
call arrived, and so also sees a strategy that sends a slow server too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcpnb.simulation.scenario import Scenario

_DEVIATIONS = 4.0
"""A line at the edge of stability grows like the root of the calls that came; one beyond grows like them."""


def overload(scenario: Scenario, rate: float | None) -> list[str]:
    """Why arrivals at `rate` per second are more than the servers can do; empty when they are not."""
    there = [server for server in scenario.servers if server.name not in scenario.absent]
    bounded = all(server.max_queue is not None for server in there)
    capacity = sum(server.capacity for server in there)
    if rate is None or bounded or rate < capacity:
        return []
    return [f"{rate:g} calls/s arrive and the servers can do {capacity:g}/s"]


def backlog(scenario: Scenario, sent: Sequence[int], out: Sequence[int]) -> list[str]:
    """Which servers fell behind: `sent` attempts to each so far, `out` of them not ended."""
    return [
        f"{server.name} was sent {attempts} attempts, and {waiting} were still out when the last call arrived"
        for server, attempts, waiting in zip(scenario.servers, sent, out, strict=True)
        if waiting > 10 * server.workers + _DEVIATIONS * math.sqrt(attempts)
    ]
