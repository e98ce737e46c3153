"""Servers that come and go again and again are kept out until they have been steady for a while.

Each disappearance costs a penalty that halves with time; above a limit the server is held back, below a
lower one it is let in again (the route flap damping of RFC 2439, with seconds where routers take minutes).
A server that goes is never held: it must not get calls. Pure: the clock is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mcpnb.config import ServerConfig

from .changes import Change, between, touches_connection

__all__ = ["Damper", "Damping"]

_FORGOTTEN = 0.05
"""A penalty that no longer tells anything."""


@dataclass(frozen=True, slots=True)
class Damping:
    """When a server counts as flapping. The defaults hold it after its third disappearance in a row.

    Raises:
        ValueError: The numbers are in no order in which a server is ever held and let in again.
    """

    half_life: float = 15.0
    """Seconds in which a penalty halves."""
    suppress: float = 2.5
    """At this penalty a server is held back; each disappearance costs 1."""
    reuse: float = 1.0
    """Below this one it is let in again."""
    ceiling: float = 6.0
    """No penalty grows beyond this, so nobody is held for longer than `longest` seconds."""

    def __post_init__(self) -> None:
        if not (0 < self.half_life < math.inf and 0 < self.reuse < self.suppress <= self.ceiling < math.inf):
            raise ValueError(
                f"damping needs half_life > 0 and 0 < reuse < suppress <= ceiling, all finite, not {self}"
            )

    @property
    def longest(self) -> float:
        """Seconds for which a server that is steady again is held back, at most."""
        return self.half_life * math.log2(self.ceiling / self.reuse)


@dataclass(frozen=True, slots=True)
class _Penalty:
    value: float
    at: float
    """When it was `value`."""
    until: float = -math.inf
    """Held back before this."""


class Damper:
    """What is let through of a backend's sightings. Times are monotonic seconds, never decreasing."""

    def __init__(self, damping: Damping | None = None) -> None:
        self._damping = damping or Damping()
        self._listed: Mapping[str, ServerConfig] = {}
        self._penalties: dict[str, _Penalty] = {}
        self.shown: dict[str, ServerConfig] = {}
        """The servers that were let through."""

    def see(self, servers: Mapping[str, ServerConfig], now: float) -> list[Change]:
        """Take in a whole sighting; what follows from it now."""
        for name, before in self._listed.items():
            after = servers.get(name)
            if after is None or touches_connection(before, after):
                self._charge(name, now)
        self._listed = dict(servers)
        self._forget(now)
        return self.settle(now)

    def settle(self, now: float) -> list[Change]:
        """What follows from the last sighting by now; servers that have been steady are let in."""
        wanted = {name: config for name, config in self._listed.items() if self._passes(name, config, now)}
        changes = between(self.shown, wanted)
        self.shown = wanted
        return changes

    @property
    def held(self) -> Mapping[str, ServerConfig]:
        """Servers that are listed and held back, as of the last `settle`."""
        return {name: config for name, config in self._listed.items() if name not in self.shown}

    @property
    def next_at(self) -> float | None:
        """When the next of them may be let in; None while nobody is held."""
        return min((self._penalties[name].until for name in self.held), default=None)

    def _passes(self, name: str, config: ServerConfig, now: float) -> bool:
        penalty = self._penalties.get(name)
        if penalty is None or now >= penalty.until:
            return True
        shown = self.shown.get(name)
        return shown is not None and not touches_connection(shown, config)

    def _charge(self, name: str, now: float) -> None:
        rules = self._damping
        value = min(rules.ceiling, self._decayed(name, now) + 1.0)
        old = self._penalties.get(name)
        held = old is not None and now < old.until
        until = -math.inf
        if held or value >= rules.suppress:
            until = now + rules.half_life * math.log2(value / rules.reuse)
        self._penalties[name] = _Penalty(value, now, until)

    def _decayed(self, name: str, now: float) -> float:
        penalty = self._penalties.get(name)
        return (
            0.0 if penalty is None else penalty.value * 0.5 ** ((now - penalty.at) / self._damping.half_life)
        )

    def _forget(self, now: float) -> None:
        """Names of servers that have long gone, and were never many times gone, take no room."""
        for name in list(self._penalties):
            if now >= self._penalties[name].until and self._decayed(name, now) < _FORGOTTEN:
                del self._penalties[name]
