"""Ejects servers that succeed clearly less often than the others: gRFC A50's success-rate ejection.

A circuit breaker compares a server with what is bearable; this compares it with its peers, and so notices the
one that is merely worse. Once per interval, over the servers with enough calls in that interval:

    eject whoever succeeds less often than  mean - factor · sigma        (sigma of the population)

It owns the counts of the running interval and who is ejected until when. It reads no clock, starts no timer
and shuts nobody out itself: it says who, and whoever asked does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from mcpnb.model import FAULTS, OutcomeKind

_SLACK = 1e-3
"""Share of an interval: sweeps come at sums of intervals, and rounding must not add one to an ejection."""


@dataclass(frozen=True, slots=True)
class OutlierPolicy:
    """When a server is an outlier, and for how long it is out. Source: gRFC A50, its defaults."""

    interval: float = 10.0
    """Seconds between two sweeps."""
    factor: float = 1.9
    """Standard deviations below the mean that are too many. One bad server among N can only ever lie
    sqrt(N - 1) below it, however bad it is, so 1.9 takes at least 5 servers."""
    minimum_hosts: int = 5
    """Servers with enough calls below which there is nothing to compare."""
    request_volume: int = 100
    """Calls in an interval that are enough to judge a server by."""
    ejection_time: float = 30.0
    """Seconds of the first ejection; the k-th in close succession lasts k times as long."""
    max_ejection_time: float = 300.0
    """Seconds that an ejection lasts at most."""
    max_percent: float = 10.0
    """Share of the servers that may be out at once, in percent; one may always be."""

    def __post_init__(self) -> None:
        positive = (self.interval, self.factor, self.ejection_time, self.max_ejection_time)
        counts = (self.minimum_hosts, self.request_volume)
        if not all(0 < value < math.inf for value in positive) or min(counts) < 1:
            raise ValueError(f"outlier ejection needs times, factor and counts above 0: {self}")
        if not 0 < self.max_percent <= 100:
            raise ValueError(f"outlier ejection needs 0 < max_percent <= 100: {self}")

    def lasts(self, times: int) -> float:
        """Seconds of the `times`-th ejection in close succession (from 1)."""
        return min(self.ejection_time * times, max(self.ejection_time, self.max_ejection_time))


class Ejection(NamedTuple):
    """A server goes out, or comes back."""

    server: str
    until: float | None
    """Monotonic seconds at which it may come back; None: it comes back now."""
    reason: str


class _Host:
    """What is known of one server."""

    __slots__ = ("calls", "successes", "times", "until")

    def __init__(self) -> None:
        self.calls = self.successes = 0  # in the running interval
        self.times = 0  # ejections, less the intervals that went well since
        self.until: float | None = None


class OutlierDetector:
    """Counts what attempts came to, and compares the servers once per interval."""

    __slots__ = ("_hosts", "_policy")

    def __init__(self, policy: OutlierPolicy) -> None:
        self._policy = policy
        self._hosts: dict[str, _Host] = {}

    def record(self, server: str, kind: OutcomeKind) -> None:
        """An attempt ended. Tool errors are successes: the server answered. Some ends count as nothing."""
        if kind in {"cancelled", "rejected"}:
            return
        host = self._hosts.get(server)
        if host is None:
            host = self._hosts[server] = _Host()
        host.calls += 1
        host.successes += kind not in FAULTS

    def forget(self, server: str) -> None:
        """A server left, and with it what is known of it."""
        self._hosts.pop(server, None)

    def sweep(self, now: float, servers: Sequence[str]) -> list[Ejection]:
        """An interval is over: who goes out and who comes back, of the fleet's `servers`.

        Whoever is not among them is forgotten. O(n log n).
        """
        hosts = self._hosts = {name: self._hosts.get(name) or _Host() for name in servers}
        rates = {
            name: host.successes / host.calls
            for name, host in hosts.items()
            if host.calls >= self._policy.request_volume
        }
        for host in hosts.values():
            host.calls = host.successes = 0
        # First out, then back, as the gRFC has it: whoever comes back is judged by what it does from then on.
        out = self._eject(rates, now)
        return out + self._return(now, {ejection.server for ejection in out})

    def _eject(self, rates: dict[str, float], now: float) -> list[Ejection]:
        policy = self._policy
        if len(rates) < policy.minimum_hosts:
            return []
        mean = fmean(rates.values())
        sigma = math.sqrt(fmean((rate - mean) ** 2 for rate in rates.values()))
        least = mean - policy.factor * sigma
        bad = [name for name, rate in rates.items() if rate < least and self._hosts[name].until is None]
        why = f"success below {least:.1%} (mean {mean:.1%} - {policy.factor:g} deviations)"
        worst = sorted(bad, key=lambda name: rates[name])[: self._room()]
        return [self._out(name, f"{rates[name]:.1%} {why}", now) for name in worst]

    def _room(self) -> int:
        """How many more may go out."""
        most = max(1, int(len(self._hosts) * self._policy.max_percent / 100))
        return max(0, most - sum(host.until is not None for host in self._hosts.values()))

    def _out(self, name: str, why: str, now: float) -> Ejection:
        host = self._hosts[name]
        host.times += 1
        host.until = now + self._policy.lasts(host.times)
        return Ejection(name, host.until, why)

    def _return(self, now: float, fresh: set[str]) -> list[Ejection]:
        back: list[Ejection] = []
        for name, host in self._hosts.items():
            if host.until is None:
                host.times = max(0, host.times - 1)
            elif host.until <= now + _SLACK * self._policy.interval and name not in fresh:
                host.until = None
                back.append(Ejection(name, None, "its ejection is over"))
        return back
