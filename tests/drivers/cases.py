"""What the three bodies are asked to do. Times are chosen so that no two things happen at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mcpnb.model import Priority
from mcpnb.resilience.breaker import BreakerPolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.simulation import At, Scenario, SimServer, service


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scenario, and the calls that are made in it."""

    servers: tuple[SimServer, ...]
    timeline: tuple[At, ...] = ()
    resilience: Resilience = field(default_factory=Resilience)
    rate: float = 20.0
    """Calls per second, arriving at random."""
    calls: int = 60
    timeout: float | None = None
    priorities: tuple[Priority, ...] = ("normal",)
    """The calls take these in turn."""
    cancels: Mapping[int, float] = field(default_factory=dict)
    """Call → seconds after which its caller gives it up."""
    stands_in: str | None = None
    """The server that alone has another tool, which stands in for the one that is called."""
    not_simulated: str = ""
    """Why the simulator cannot express it; then live and replay are compared."""
    shows: str = ""
    """What has to happen in it, or it would prove nothing: one of what `bodies.seen` sees."""

    @property
    def scenario(self) -> Scenario:
        return Scenario(self.servers, self.timeline, self.resilience)

    @property
    def times(self) -> np.ndarray:
        return np.random.default_rng(7).exponential(1 / self.rate, self.calls).cumsum()


def server(name: str, seconds: float, **properties) -> SimServer:
    return SimServer(name, service.deterministic(seconds), **{"workers": 4, **properties})


def three(*seconds: float, **properties) -> tuple[SimServer, ...]:
    return tuple(server(name, each, **properties) for name, each in zip("abc", seconds, strict=True))


SIMILAR = (0.0513, 0.0671, 0.0809)

CASES = {
    "all healthy": Case(servers=three(*SIMILAR, workers=1)),
    "random service times": Case(
        servers=tuple(SimServer(name, service.lognormal(0.06, 1.0), workers=2) for name in "abc"), rate=40
    ),
    "one is slow": Case(servers=three(0.0513, 0.0671, 0.7309)),
    "one fails fast": Case(
        servers=(*three(*SIMILAR)[:2], server("c", 0.08, error_rate=1.0, fail_time=0.0011)),
        resilience=Resilience(retry=2),
        shows="retries",
    ),
    "some fail at random": Case(
        servers=three(*SIMILAR, error_rate=0.3, fail_time=0.0107),
        resilience=Resilience(retry=2),
        shows="retries",
    ),
    "one leaves and comes back": Case(
        servers=three(*SIMILAR),
        timeline=(At(0.8, "b", leave=True), At(1.9, "b", join=True)),
        shows="membership",
    ),
    "one crashes and comes back": Case(
        servers=three(0.2113, 0.2671, 0.2309),
        timeline=(At(0.8, "b", crash=True), At(1.9, "b", join=True)),
        resilience=Resilience(retry=2),
        shows="retries",
    ),
    "hedging": Case(
        # One worker each: an attempt that is not really cancelled is in the way of later ones.
        servers=three(0.0713, 0.1571, 0.2309, workers=1),
        resilience=Resilience(hedge=0.1003, retry=1),
        rate=10.0,
        shows="hedges",
    ),
    "hedging after the tool's own p95": Case(
        servers=tuple(SimServer(name, service.lognormal(0.06, 2.0), workers=4) for name in "abc"),
        resilience=Resilience(hedge=True, retry=1),
        calls=120,
        shows="hedges",
    ),
    "a breaker opens and probes": Case(
        servers=three(*SIMILAR),
        timeline=(At(0.3, "c", fail=True, fail_time=0.0107), At(1.7, "c", fail=False)),
        resilience=Resilience(
            breaker=BreakerPolicy(consecutive_failures=3, reset_after=0.4), retry=2, panic=True
        ),
        calls=90,
        shows="half_open",
    ),
    "bulkheads, a queue, priorities": Case(
        servers=three(0.1513, 0.1671, 0.1809, workers=1, max_in_flight=1),
        rate=25.0,
        priorities=("normal", "low", "high", "normal"),
        timeout=1.7003,
        shows="queued",
    ),
    "a short queue sheds": Case(
        servers=three(0.1513, 0.1671, 0.1809, workers=1, max_in_flight=1, max_queue=1),
        rate=30.0,
        shows="rejected",
    ),
    "deadlines": Case(
        servers=(*three(*SIMILAR)[:2], server("c", 0.9301)), timeout=0.3007, shows="timeout"
    ),
    "a server that hangs": Case(
        servers=three(*SIMILAR),
        timeline=(At(0.5, "a", hang=True), At(1.5, "a", hang=False)),
        timeout=0.3007,
        resilience=Resilience(breaker=BreakerPolicy(consecutive_failures=2, reset_after=0.3), panic=True),
        shows="timeout",
    ),
    "outliers are ejected": Case(
        servers=tuple(
            server(name, seconds, error_rate=0.9 if name == "e" else 0.0, fail_time=0.0107)
            for name, seconds in zip("abcdef", (0.0513, 0.0671, 0.0809, 0.0617, 0.0723, 0.0547), strict=True)
        ),
        resilience=Resilience(
            outlier=OutlierPolicy(interval=0.5013, request_volume=3, ejection_time=0.6, max_percent=20),
            retry=2,
        ),
        calls=90,
        rate=40.0,
        shows="ejected",
    ),
    "sessions stick": Case(
        servers=three(*SIMILAR),
        timeline=(At(0.8, "b", leave=True), At(1.9, "b", join=True)),
        resilience=Resilience(affinity=7),
        shows="membership",
    ),
    "callers give up": Case(
        servers=three(0.0513, 0.3671, 0.2809, workers=1),
        cancels=dict.fromkeys(range(3, 60, 4), 0.0107),
        not_simulated="simulated callers are patient",
        shows="cancelled",
    ),
    "another tool stands in": Case(
        servers=three(*SIMILAR),
        timeline=(
            At(0.4, "a", fail=True, fail_time=0.0107),
            At(0.4001, "b", fail=True, fail_time=0.0107),
            At(1.9, "a", fail=False),
        ),
        resilience=Resilience(retry=1),
        stands_in="c",
        not_simulated="simulated servers have one tool",
        shows="stand-ins",
    ),
}  # fmt: skip
