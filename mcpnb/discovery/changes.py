"""What discovery says: servers that came, went or changed, and backends that cannot be asked.

It owns these values and how two sightings differ. Pure: it knows no backend, no clock and no client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, cast

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError, DiscoveryError

__all__ = [
    "Added",
    "BackendState",
    "BackendStatus",
    "Change",
    "Changed",
    "Removed",
    "Sighting",
    "Trouble",
    "between",
    "reason",
    "said",
    "touches_connection",
]


@dataclass(frozen=True, slots=True)
class Added:
    """A server that was not there before."""

    config: ServerConfig


@dataclass(frozen=True, slots=True)
class Changed:
    """A server that is described otherwise than before."""

    before: ServerConfig
    config: ServerConfig


@dataclass(frozen=True, slots=True)
class Removed:
    """A server that is not there any more."""

    config: ServerConfig
    """The last that was known of it."""


Change = Added | Changed | Removed


@dataclass(frozen=True, slots=True)
class Sighting:
    """All that a backend lists at one time."""

    servers: Mapping[str, ServerConfig]
    """By what the backend knows them by, which no two have in common; their own names may be the same."""
    problems: Mapping[str, str] = field(default_factory=dict[str, str])
    """What it lists and cannot be used, or should be known: its name → why. No secrets."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A backend that cannot be asked or understood now. What it said last stays, as far as anybody knows."""

    error: DiscoveryError | ConfigError

    @property
    def lasting(self) -> bool:
        """Whether waiting alone will not help."""
        return isinstance(self.error, ConfigError) or self.error.lasting

    def __str__(self) -> str:
        return self.error.problem if isinstance(self.error, DiscoveryError) else str(self.error)


BackendState = Literal["starting", "watching", "away", "done"]
"""`away` keeps the last known servers and goes on asking; `done` has said all that it will ever say."""


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One backend's row, as `fleet.discovery` shows it."""

    backend: str
    """Its kind: file, dns, consul, ..."""
    address: str
    """What it asks; no secrets."""
    state: BackendState
    servers: int
    """Servers of it that are in the fleet."""
    held: tuple[str, ...] = ()
    """Servers that come and go so often that they are kept out for a while."""
    problems: Mapping[str, str] = field(default_factory=dict[str, str])
    changed_at: float | None = None
    """Unix time of the last change that it brought."""
    last_error: str | None = None


_FOR_ROUTING_ONLY = frozenset({
    "region", "tags", "weight", "priority", "version", "max_in_flight", "max_queue", "rate_limit", "replicas",
    "timeout", "source",
})  # fmt: skip
"""What can be changed under a running session."""


def between(before: Mapping[str, ServerConfig], after: Mapping[str, ServerConfig]) -> list[Change]:
    """What happened between two sightings: who left, then who changed or came, each in its order."""
    gone: list[Change] = [Removed(config) for name, config in before.items() if name not in after]
    for name, config in after.items():
        old = before.get(name)
        if old is None:
            gone.append(Added(config))
        elif old != config:
            gone.append(Changed(old, config))
    return gone


def _differences(before: ServerConfig, after: ServerConfig) -> list[str]:
    return [f.name for f in fields(ServerConfig) if getattr(before, f.name) != getattr(after, f.name)]


def touches_connection(before: ServerConfig, after: ServerConfig) -> bool:
    """Whether a session to `before` is none to `after`: another address, program, credentials."""
    return not _FOR_ROUTING_ONLY.issuperset(_differences(before, after))


def reason(error: ConfigError) -> str:
    """What is wrong with a server, in words that follow its name."""
    parts = (f"{error.key}:" if error.key else "", error.problem, error.fix)
    return " ".join(part for part in parts if part)


def said(before: ServerConfig, after: ServerConfig) -> str:
    """What differs, in words; values of what only routing looks at, names of everything else."""
    parts = [
        f"{name} {_shown(getattr(before, name))} → {_shown(getattr(after, name))}"
        if name in _FOR_ROUTING_ONLY
        else name
        for name in _differences(before, after)
        if name != "hidden"
    ]
    return ", ".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(str, cast("frozenset[object]", value)))) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)
