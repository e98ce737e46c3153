"""What a simulated server, and what happens to it, mean for a live one: pure values in, profiles out.

It owns the translation from `SimServer` and `At` to `Profile`, and says what has no live counterpart. It
knows no process, no fleet and no time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcpnb.errors import McpnbError
from mcpnb.lab.profile import Profile
from mcpnb.simulation import At, Scenario, SimServer
from mcpnb.simulation.service import Deterministic, Lognormal, Service

__all__ = ["Course", "profile_of", "require_playable", "require_playable_timeline"]


def profile_of(server: SimServer, *, seed: int = 0) -> Profile:
    """How a live server behaves that does as the simulated one.

    Raises:
        McpnbError: Its service times have a shape that live servers do not draw.
    """
    mean_ms, spread = _service(server.name, server.service)
    return Profile(
        latency_ms=mean_ms,
        jitter=spread,
        capacity=server.workers,
        rtt_ms=server.rtt * 1000,
        fault_rate=server.error_rate,
        fault_ms=server.fail_time * 1000,
        seed=seed,
    )


def _service(server: str, service: Service) -> tuple[float, float]:
    """Mean in ms, and the standard deviation over the mean."""
    if isinstance(service, Lognormal):
        return service.mean * 1000, service.cv
    if isinstance(service, Deterministic):
        return service.mean * 1000, 0.0
    raise McpnbError(
        f"{server}: a live server takes mcpnb.service.lognormal or deterministic times, not {service!r}"
    )


def require_playable(scenario: Scenario) -> None:
    """Return when live servers can do all that a scenario asks for.

    Raises:
        McpnbError: What has no live counterpart, by the server's name.
    """
    for server in scenario.servers:
        profile_of(server)
        lacking = {
            "discipline='ps'": server.discipline == "ps",
            "stops=False": not server.stops,
            "max_queue without max_in_flight": server.max_queue is not None and server.max_in_flight is None,
        }
        if wrong := [what for what, asked in lacking.items() if asked]:
            raise McpnbError(f"{server.name}: {' and '.join(wrong)} can be simulated only")
    if scenario.resilience.affinity is not None:
        raise McpnbError("affinity can be simulated only; live calls take options(affinity=key)")
    require_playable_timeline(scenario.timeline)


def require_playable_timeline(timeline: Sequence[At]) -> None:
    """Return when live servers can do what a timeline asks for.

    Raises:
        McpnbError: What has no live counterpart, by time and server.
    """
    for at in timeline:
        if at.service is not None:
            _service(at.server, at.service)
        if at.weight is not None or at.max_in_flight is not None:
            raise McpnbError(
                f"At({at.t:g}, {at.server!r}): weight and max_in_flight can change in a simulation only"
            )


@dataclass(slots=True)
class Course:
    """One server in the course of a timeline: what is usual for it now, and how far from that it is."""

    start: Profile
    usual: Profile
    pace: float = 1.0
    failing: bool = False
    hanging: bool = False

    @classmethod
    def of(cls, start: Profile) -> Course:
        """A server at the start."""
        return cls(start, start)

    def after(self, at: At) -> Profile:
        """How the server behaves once this has happened to it. Coming and going is nothing of a profile."""
        if at.recover:
            self.usual, self.pace, self.failing, self.hanging = self.start, 1.0, False, False
        self.usual = self.usual.changed(**_changes(at))
        if at.latency_ms is not None and self.usual.latency_ms == 0:
            self.usual = replace(self.usual, latency_ms=at.latency_ms)  # nothing to stretch: a new usual
        self.pace = at.pace(self.usual.latency_ms / 1000, self.pace)
        self.failing = self.failing if at.fail is None else at.fail
        self.hanging = self.hanging if at.hang is None else at.hang
        now = replace(self.usual, latency_ms=self.usual.latency_ms * self.pace)
        if self.failing:
            return replace(now, fault_rate=1.0)
        return replace(now, fault_rate=1.0, fault_ms=math.inf) if self.hanging else now


def _changes(at: At) -> dict[str, float | None]:
    """What a change sets about a profile, whatever its pace."""
    changes: dict[str, float | None] = {
        "capacity": at.workers,
        "rtt_ms": None if at.rtt is None else at.rtt * 1000,
        "fault_rate": at.error_rate,
        "fault_ms": None if at.fail_time is None else at.fail_time * 1000,
    }
    if at.service is not None:
        changes["latency_ms"], changes["jitter"] = _service(at.server, at.service)
    return {name: value for name, value in changes.items() if value is not None}
