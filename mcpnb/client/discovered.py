"""What discovery finds, as members of a client: joining, leaving, being described otherwise.

It carries out what `mcpnb.discovery` decides, and says what happened as events. It knows no backend.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from mcpnb.client.membership import Membership
from mcpnb.config import ServerConfig
from mcpnb.discovery import BackendStatus, Following, Found, Person, Publisher, Registration, advert_of
from mcpnb.discovery import Member as Published
from mcpnb.discovery.changes import touches_connection
from mcpnb.errors import ConfigError
from mcpnb.metrics import EventLog
from mcpnb.model import USABLE_STATES, Event, ServerStatus

__all__ = ["Discovered"]


class Discovered:
    """The discovered part of a client, and what the client itself publishes."""

    def __init__(
        self, found: Sequence[Found], members: Membership, events: EventLog, defaults: Mapping[str, object]
    ) -> None:
        self._members, self._events = members, events
        self._following = Following(found, members=_Members(members), tell=self._tell, defaults=defaults)
        self._registrations: list[Registration] = []
        self.addresses = tuple((one.backend.kind, one.backend.address) for one in found)

    def _tell(self, server: str | None, words: str, data: Mapping[str, object] | None = None) -> None:
        self._events.append(Event(time.time(), "discovery", server, words, dict(data or {})))

    def ask(self, person: Person) -> None:
        """Whoever answers questions for which a backend names nobody itself; before `start`."""
        self._following.ask(person)

    async def start(self, *, wait: bool, within: float) -> None:
        """Follow every backend; with `wait`, until what they found is up or has said why not.

        Raises:
            DiscoveryError, ConfigError: As `Following.start` does.
        """
        found = await self._following.start(wait=wait, within=within)
        if wait:
            await self._settled(found)

    async def add(self, found: Found, *, within: float) -> None:
        """Follow one more backend. Raises as `Following.add` does."""
        await self._settled(await self._following.add(found, within=within))

    async def _settled(self, names: Sequence[str]) -> None:
        links = [self._members.connections[name] for name in names if name in self._members.connections]
        await asyncio.gather(*(link.settled() for link in links))

    async def close(self) -> None:
        """Withdraw what is published, and follow nobody any more."""
        registrations, self._registrations = self._registrations, []
        await asyncio.gather(self._following.close(), *(each.close() for each in registrations))

    def status(self) -> list[BackendStatus]:
        """One row per backend."""
        return self._following.status()

    def annotated(self, rows: list[ServerStatus]) -> list[ServerStatus]:
        """The servers' rows; those that nobody can confirm now say so where they say nothing worse."""
        doubts = self._following.unconfirmed()
        if not doubts:
            return rows
        return [replace(row, last_error=row.last_error or doubts.get(row.server)) for row in rows]

    def troubles(self) -> list[str]:
        """Which backends cannot be asked, and why."""
        away = (row for row in self.status() if row.state == "away")
        return [f"{row.backend} {row.address}: {row.last_error}" for row in away]

    async def register(
        self, publisher: Publisher, servers: Sequence[str], *, service: str | None, ttl: float
    ) -> Registration:
        """Publish servers of the client; see `MultiServerClient.register`."""
        published = [self._published(name, service or publisher.publishes_as) for name in servers]
        registration = Registration(publisher, published, ttl=ttl, tell=self._tell)
        await registration.start()
        self._registrations.append(registration)
        return registration

    def _published(self, name: str, service: str | None) -> Published:
        link = self._members[name]

        def alive() -> bool:
            now = self._members.connections.get(name)
            return now is not None and now.state in USABLE_STATES

        return Published(advert_of(link.config, service, link.server_version), alive)

    def publishable(self) -> list[str]:
        """The servers that others could reach.

        Raises:
            ConfigError: There is none.
        """
        names = [name for name, link in self._members.connections.items() if link.config.url is not None]
        if not names:
            fix = "Start one with transport='http'."
            raise ConfigError("there is no server that others could reach.", fix=fix)
        return names


class _Members:
    """See `mcpnb.discovery.Members`."""

    def __init__(self, members: Membership) -> None:
        self._members = members

    @property
    def names(self) -> Container[object]:
        return self._members.connections.keys()

    async def join(self, config: ServerConfig) -> None:
        await self._members.open([config], wait=False)

    async def change(self, before: ServerConfig, config: ServerConfig) -> None:
        if not self._members.knows(config.name):
            return  # somebody removed it by hand: it stays out
        if touches_connection(before, config):
            await self.leave(config.name)
            await self.join(config)
        else:
            self._members.describe(config)

    async def leave(self, name: str) -> None:
        if self._members.knows(name):
            await self._members.remove(name, drain=True)
