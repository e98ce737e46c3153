"""Which servers belong to a client, how they are, and what catalog and routing are told of them.

It makes no calls and decides nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mcpnb.catalog import Catalog
from mcpnb.config import ConfigWarning, ServerConfig
from mcpnb.errors import ConfigError
from mcpnb.metrics import AttemptLog, EventLog, Summary, summaries_by_server
from mcpnb.model import FAULTS, USABLE_STATES, AttemptRecord, Event, ServerStatus
from mcpnb.routing import Action, Dispatcher

if TYPE_CHECKING:
    from mcpnb.connection import Connection


class Membership:
    """The servers of one client, by name, in the order of joining."""

    def __init__(
        self,
        catalog: Catalog,
        brain: Dispatcher,
        events: EventLog,
        *,
        carry_out: Callable[[Iterable[Action]], None],
        rng: random.Random,
        connect_timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._catalog, self._brain, self._events = catalog, brain, events
        self._carry_out = carry_out
        self._rng, self._connect_timeout, self._clock = rng, connect_timeout, clock
        self.connections: dict[str, Connection] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._idle: dict[str, asyncio.Event] = {}
        self._disabled: list[ServerConfig] = []

    async def open(self, configs: Iterable[ServerConfig], *, wait: bool) -> None:
        """Connect to all of them at once; with `wait`, until each is up or has said why not."""
        opened: list[Connection] = []
        for config in configs:
            if config.disabled:
                self._disabled.append(config)
            else:
                opened.append(self._join(config))
        if wait:
            await asyncio.gather(*(connection.settled() for connection in opened))

    def _join(self, config: ServerConfig) -> Connection:
        from mcpnb.connection import Connection  # noqa: PLC0415 - the SDK takes a second to import

        if config.name in self.connections:
            raise ConfigError("there is already a server of that name", server=config.name)
        _say_what_is_not_kept(config)
        self._publish(
            self._catalog.declare(config.name, replica_group=config.replicas, priority=config.priority)
        )
        self._brain.add(config.endpoint(), unavailable="connecting")
        connection = self.connections[config.name] = Connection(
            config,
            on_change=self._changed,
            rng=random.Random(self._rng.random()),
            connect_timeout=self._connect_timeout,
        )
        connection.start()
        return connection

    async def remove(self, name: str, *, drain: bool) -> None:
        """Disconnect from a server; with `drain`, its running calls end first."""
        connection = self[name]
        connection.drain()
        self._mark(connection)
        if drain and self._brain.in_flight(name):
            idle = self._idle[name] = asyncio.Event()
            await idle.wait()
            del self._idle[name]
        self._brain.remove(name, self._clock())
        await connection.close()
        del self.connections[name]
        self._publish(self._catalog.remove(name, at=time.time()))

    async def close(self) -> None:
        """End every connection."""
        await asyncio.gather(*(connection.close() for connection in self.connections.values()))

    def __getitem__(self, name: str) -> Connection:
        known = self.connections.get(name)
        if known is None:
            names = ", ".join(self.connections) or "none"
            raise ConfigError(f"there is no such server; known: {names}", server=name)
        return known

    @property
    def usable(self) -> Sequence[Connection]:
        """Those that take calls."""
        return [c for c in list(self.connections.values()) if c.state in USABLE_STATES]

    @property
    def down(self) -> Sequence[Connection]:
        """Those that do not."""
        return [
            connection for connection in self.connections.values() if connection.state not in USABLE_STATES
        ]

    def next_chance(self, names: Iterable[str]) -> float | None:
        """Seconds until the first of these servers is tried again; None when nobody knows."""
        known = [self.connections[name] for name in names if name in self.connections]
        return min((c.retry_in for c in known if c.retry_in is not None), default=None)

    # -- what is told

    def ended(self, record: AttemptRecord) -> None:
        """An attempt is over: count it."""
        server = record.attempt.server
        calls, errors = self._counts.get(server, (0, 0))
        self._counts[server] = (calls + 1, errors + (record.outcome in FAULTS))
        if self._idle and server in self._idle and not self._brain.in_flight(server):
            self._idle[server].set()

    def _changed(self, connection: Connection, event: Event) -> None:
        """A connection changed: keep catalog and routing true, then tell whoever listens."""
        if event.kind == "tools_changed":
            changes = self._catalog.update(
                connection.name,
                connection.listing.tools,
                version=connection.server_version,
                replica_group=connection.config.replicas,
                at=event.at,
            )
            self._publish(changes)
        else:
            self._mark(connection)
            self._events.append(event)

    def _mark(self, connection: Connection) -> None:
        why = "" if connection.state in USABLE_STATES else connection.state
        if why and connection.last_error:
            why = f"{why}: {connection.last_error}"
        self._carry_out(self._brain.mark(connection.name, why, self._clock()))

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.append(event)

    # -- what is shown

    def status(self, log: AttemptLog) -> list[ServerStatus]:
        """One row per server."""
        recent = summaries_by_server(log)
        # A copy: a widget's thread looks while the loop adds and removes.
        rows = [self._status(c, recent.get(c.name)) for c in list(self.connections.values())]
        return rows + [_switched_off(config) for config in self._disabled]

    def _status(self, connection: Connection, recent: Summary | None) -> ServerStatus:
        config, listing = connection.config, connection.listing
        calls, errors = self._counts.get(connection.name, (0, 0))
        nan = float("nan")
        breaker = self._brain.breaker(connection.name)
        return ServerStatus(
            server=connection.name,
            state=connection.state,
            transport=connection.transport,
            protocol=connection.protocol,
            version=connection.server_version,
            region=config.region,
            tags=tuple(sorted(config.tags)),
            weight=config.weight,
            priority=config.priority,
            tools=len(listing.tools),
            resources=len(listing.resources) + len(listing.templates),
            prompts=len(listing.prompts),
            in_flight=self._brain.in_flight(connection.name),
            calls=calls,
            errors=errors,
            error_rate=errors / calls if calls else 0.0,
            p50_ms=recent.p50_ms if recent else nan,
            p95_ms=recent.p95_ms if recent else nan,
            p99_ms=recent.p99_ms if recent else nan,
            breaker="off" if breaker is None else breaker.state,
            connected_at=connection.connected_at,
            last_error=connection.last_error,
            max_in_flight=config.max_in_flight,
            retry_in=connection.retry_in,
            stderr=connection.stderr_tail,
        )


def _say_what_is_not_kept(config: ServerConfig) -> None:
    """Settings that are read but not enforced yet must not look as if they were."""
    unkept = [
        name
        for name, wanted in (
            ("max_in_flight", config.max_in_flight is not None),
            ("rate_limit", config.rate_limit is not None),
            ("connections", config.connections != 1),
        )
        if wanted
    ]
    if unkept:
        note = f"{config.name}: {', '.join(unkept)} is read, but this version does not enforce it yet"
        warnings.warn(note, ConfigWarning, stacklevel=2)


def _switched_off(config: ServerConfig) -> ServerStatus:
    return ServerStatus(
        server=config.name,
        state="disconnected",
        transport=config.transport,
        region=config.region,
        tags=tuple(sorted(config.tags)),
        weight=config.weight,
        priority=config.priority,
        last_error="disabled in the configuration",
    )
