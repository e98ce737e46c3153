"""Which servers belong to a client, how they are, and what catalog and routing are told of them.

It makes no calls and decides nothing.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mcpnb.catalog import Catalog, Documents
from mcpnb.client.drafts import Reading
from mcpnb.client.logins import Access
from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError
from mcpnb.metrics import AttemptLog, EventLog, Summary, summaries_by_server
from mcpnb.model import FAULTS, USABLE_STATES, AttemptRecord, Endpoint, Event, ServerStatus
from mcpnb.routing import Action, Dispatcher

if TYPE_CHECKING:
    from mcpnb.connection import Answering, Connection, ConnectionPool

    Link = Connection | ConnectionPool


_LATELY = 0.25
"""Seconds. Who made a call so shortly ago will make another: calls come one after the other."""


_OFF = "disabled in the configuration"


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
        answering: Answering | None = None,
        access: Access | None = None,
    ) -> None:
        self._catalog, self._brain, self._events = catalog, brain, events
        self._carry_out = carry_out
        self._rng, self._connect_timeout, self._clock = rng, connect_timeout, clock
        self._answering, self._access = answering, access
        if access is not None:
            access.serve(self)
        self.connections: dict[str, Link] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._idle: dict[str, asyncio.Event] = {}
        self._leaving: set[str] = set()
        """Routing has forgotten them, but their sessions have not ended yet."""
        self._withdrawn: set[str] = set()
        """What they offer means nothing any more, although running calls may still end there."""
        self._disabled: list[ServerConfig] = []
        self._ended_at: dict[str, float] = {}
        """When the last attempt at each server ended."""
        self._reading = Reading(self.calls_are_made)

    async def open(self, configs: Iterable[ServerConfig], *, wait: bool) -> None:
        """Connect to all of them at once; with `wait`, until each is up or has said why not.

        One that is disabled makes room for another of its name.

        Raises:
            ConfigError: There is one of that name; then none of them has joined.
        """
        joining = list(configs)
        for config in joining:
            self._refuse_double(config.name)
        names = {config.name for config in joining}
        off = [config for config in joining if config.disabled]
        self._disabled = [config for config in self._disabled if config.name not in names] + off
        opened = [self._join(config) for config in joining if not config.disabled]
        if wait:
            await asyncio.gather(*(connection.settled() for connection in opened))

    def _refuse_double(self, name: str) -> None:
        if name in self.connections:
            raise ConfigError("there is already a server of that name", server=name)

    def _join(self, config: ServerConfig) -> Link:
        from mcpnb.connection import connection_for  # noqa: PLC0415 - the SDK takes a second to import

        self._publish(
            self._catalog.declare(config.name, replica_group=config.replicas, priority=config.priority)
        )
        endpoint = replace(config.endpoint(), priority=self._catalog.priority(config.name))
        self._carry_out(self._brain.add(endpoint, unavailable="connecting", now=self._clock()))
        connection = self.connections[config.name] = connection_for(
            config,
            on_change=self._changed,
            rng=random.Random(self._rng.random()),
            connect_timeout=self._connect_timeout,
            answering=self._answering,
            reader=self._reading,
            logins=None if self._access is None else self._access.logins_for(config),
        )
        connection.start()
        return connection

    async def remove(self, name: str, *, drain: bool) -> None:
        """Disconnect from a server; with `drain`, its running calls end first."""
        if name not in self.connections and self.knows(name):
            self._disabled = [config for config in self._disabled if config.name != name]
            return
        connection = self[name]
        connection.drain()
        self._mark(connection)
        self._withdraw(connection)
        if drain and self._brain.in_flight(name):
            try:
                await self._idle.setdefault(name, asyncio.Event()).wait()
            finally:
                self._idle.pop(name, None)
        if name not in self._leaving:
            self._leaving.add(name)
            self._carry_out(self._brain.remove(name, self._clock()))
        await connection.close()
        if self.connections.get(name) is connection:  # else somebody else has removed it meanwhile
            del self.connections[name]
            self._leaving.discard(name)
            self._withdrawn.discard(name)
            if self._access is not None:
                self._access.left(name)
            self._publish(self._catalog.remove(name, at=time.time()))

    def knows(self, name: str) -> bool:
        """Whether it is here, be it disabled."""
        return name in self.connections or any(config.name == name for config in self._disabled)

    def describe(self, config: ServerConfig) -> None:
        """Have catalog and routing know a server as it is described now; its session goes on.

        Only what `mcpnb.discovery` calls no change of the connection may differ.
        """
        connection = self[config.name]
        connection.config = config
        self._publish(
            self._catalog.declare(config.name, replica_group=config.replicas, priority=config.priority)
        )
        if connection.state in USABLE_STATES:
            self._take_listing(connection, at=time.time())
        else:
            self.tell_routing(connection)

    async def close(self) -> None:
        """End every connection."""
        await asyncio.gather(*(connection.close() for connection in self.connections.values()))

    def __getitem__(self, name: str) -> Link:
        known = self.connections.get(name)
        if known is None and self.knows(name):
            fix = "Enable it there, or add another of that name."
            raise ConfigError("is disabled in the configuration.", server=name, fix=fix)
        if known is None:
            names = ", ".join(self.connections) or "none"
            raise ConfigError(f"there is no such server; known: {names}", server=name)
        return known

    @property
    def usable(self) -> Sequence[Link]:
        """Those that take calls."""
        return [c for c in list(self.connections.values()) if c.state in USABLE_STATES]

    @property
    def down(self) -> Sequence[Link]:
        """Those that do not."""
        return [
            connection for connection in self.connections.values() if connection.state not in USABLE_STATES
        ]

    @property
    def off(self) -> Sequence[str]:
        """The names of those that are disabled."""
        return [config.name for config in self._disabled]

    def away(self, server: str | None, *others: str) -> str:
        """Why servers take no calls, those that are disabled included: of this one, or of all, in a sentence.

        `others` are added to it; it is empty where all is well.
        """
        why = {connection.name: connection.last_error or connection.state for connection in self.down}
        why |= dict.fromkeys(self.off, _OFF)
        meant = [f"{name}: {words}" for name, words in why.items() if server in {None, name}]
        said = "; ".join([*meant, *others])
        return f" Not connected: {said}{'' if said.endswith(('.', '?')) else '.'}" if said else ""

    def next_chance(self, names: Iterable[str]) -> float | None:
        """Seconds until the first of these servers is tried again; None when nobody knows."""
        known = [self.connections[name] for name in names if name in self.connections]
        return min((c.retry_in for c in known if c.retry_in is not None), default=None)

    # -- what is told

    def ended(self, record: AttemptRecord) -> None:
        """An attempt is over: count it."""
        server = record.attempt.server
        self._ended_at[server] = self._clock()
        calls, errors = self._counts.get(server, (0, 0))
        self._counts[server] = (calls + 1, errors + (record.outcome in FAULTS))
        if self._idle and server in self._idle and not self._brain.in_flight(server):
            self._idle[server].set()

    def calls_are_made(self, but: str = "") -> bool:
        """Whether somebody would feel it now if the loop were kept; calls to one server may be left out."""
        lately = self._clock() - _LATELY
        return any(
            self._ended_at.get(name, -math.inf) > lately or self._brain.in_flight(name)
            for name in self.connections
            if name != but
        )

    def _changed(self, connection: Link, event: Event) -> None:
        """A connection changed: keep catalog and routing true, then tell whoever listens."""
        if event.kind != "tools_changed":
            self._mark(connection)
            self._events.append(event)
            if connection.name in self._withdrawn and connection.state in USABLE_STATES:
                self._withdrawn.discard(connection.name)  # its removal was given up
                self._take_listing(connection, at=event.at)
        elif connection.name not in self._withdrawn:
            self._take_listing(connection, at=event.at)

    def _take_listing(self, connection: Link, at: float) -> None:
        listing = connection.listing
        changes = self._catalog.update(
            connection.name,
            listing.tools,
            version=_version(connection),
            replica_group=connection.config.replicas,
            documents=Documents(listing.resources, listing.templates, listing.prompts),
            drafts=listing.drafts,
            at=at,
        )
        self.tell_routing(connection)
        self._publish(changes)

    def _withdraw(self, connection: Link) -> None:
        """A name means what others offer from now on. The server keeps its place, should it come back."""
        if connection.name not in self._withdrawn:
            self._withdrawn.add(connection.name)
            group = connection.config.replicas
            self._publish(self._catalog.update(connection.name, (), replica_group=group, at=time.time()))

    def tell_routing(self, connection: Link) -> None:
        """Versions, which are known once a server has listed its tools, and priorities, which may change."""
        version = _version(connection)
        told = replace(
            connection.config.endpoint(),
            priority=self._catalog.priority(connection.name),
            version=version,
            tool_versions=self._catalog.versions(connection.name, version),
        )
        if self._brain.endpoint(connection.name) != told:
            why = self._unusable(connection)
            self._carry_out(self._brain.add(told, unavailable=why, now=self._clock()))

    def _mark(self, connection: Link) -> None:
        self._carry_out(self._brain.mark(connection.name, self._unusable(connection), self._clock()))

    @staticmethod
    def _unusable(connection: Link) -> str:
        """Why a server takes no calls; empty when it does."""
        why = "" if connection.state in USABLE_STATES else connection.state
        return f"{why}: {connection.last_error}" if why and connection.last_error else why

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.append(event)

    def endpoint(self, name: str) -> Endpoint | None:
        """A server as routing knows it; None when it does not."""
        return self._brain.endpoint(name)

    # -- what is shown

    def status(self, log: AttemptLog) -> list[ServerStatus]:
        """One row per server."""
        recent = summaries_by_server(log)
        # A copy: a widget's thread looks while the loop adds and removes.
        rows = [self._status(c, recent.get(c.name)) for c in list(self.connections.values())]
        return rows + [_switched_off(config) for config in self._disabled]

    def _status(self, connection: Link, recent: Summary | None) -> ServerStatus:
        config, listing = connection.config, connection.listing
        calls, errors = self._counts.get(connection.name, (0, 0))
        nan = float("nan")
        breaker = self._brain.breaker(connection.name)
        return ServerStatus(
            server=connection.name,
            state=connection.state,
            transport=connection.transport,
            protocol=connection.protocol,
            version=_version(connection),
            region=config.region,
            tags=tuple(sorted(config.tags)),
            weight=config.weight,
            priority=self._catalog.priority(connection.name),
            tools=len(listing.tools),
            resources=len(listing.resources) + len(listing.templates),
            prompts=len(listing.prompts),
            in_flight=self._brain.in_flight(connection.name),
            queued=self._brain.queued(connection.name),
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


def _version(connection: Link) -> str | None:
    """What whoever listed the server says that it is; else what it says itself."""
    return connection.config.version or connection.server_version


def _switched_off(config: ServerConfig) -> ServerStatus:
    return ServerStatus(
        server=config.name,
        state="disconnected",
        transport=config.transport,
        region=config.region,
        tags=tuple(sorted(config.tags)),
        weight=config.weight,
        priority=config.priority,
        last_error=_OFF,
    )
