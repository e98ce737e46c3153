"""Servers of ours that are published to a directory, for as long as they are well.

It owns the life of a registration: published, renewed well within its TTL, published anew when the directory
has forgotten it, withdrawn at the end. One whose server is down is no longer renewed, so that it runs out as
it would if we were gone. How a directory is spoken to its backend knows.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from mcpnb.config import ServerConfig
from mcpnb.errors import ConfigError, DiscoveryError

from .advertised import Advert, facts_of
from .backend import Surroundings
from .web import Address, Web

__all__ = ["Gone", "Member", "Publisher", "Registration", "advert_of"]

_RENEWALS = 3
"""Renewals within a TTL: two may be lost before anybody notices."""


_FAREWELL = 0.5
"""Seconds for taking one out: a kernel's shutdown leaves 1.5 s for everything, and it runs out anyway."""


class Gone(Exception):
    """The directory does not know the registration any more."""


class Publisher(ABC):
    """A backend that servers can be published to."""

    @property
    @abstractmethod
    def publishes_as(self) -> str | None:
        """The service that servers are published as; None takes what each of them says."""

    @property
    @abstractmethod
    def publishes_to(self) -> Address:
        """Where requests go."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Kind and address, for people."""

    @abstractmethod
    async def publish(self, web: Web, advert: Advert, ttl: float) -> None:
        """Make it known for `ttl` seconds. Raises `DiscoveryError`."""

    @abstractmethod
    async def renew(self, web: Web, advert: Advert) -> None:
        """Make it known for another TTL. Raises `Gone`, `DiscoveryError`."""

    @abstractmethod
    async def withdraw(self, web: Web, advert: Advert) -> None:
        """Make it unknown. Raises `DiscoveryError`."""


@dataclass(frozen=True, slots=True)
class Member:
    """A server that is to be published: what is said of it, and whether it is well at the moment."""

    advert: Advert
    alive: Callable[[], bool]


def advert_of(config: ServerConfig, service: str | None, version: str | None = None) -> Advert:
    """What is published of a server: its address without credentials, and what routing should know.

    Args:
        config: The server's.
        service: What its replicas share; its own replica group, else its name, when None.
        version: What the server says that it is, where the config says nothing.

    Raises:
        ConfigError: Others cannot reach it.
    """
    if config.url is None:
        fix = "Start it with transport='http'."
        raise ConfigError(f"is reached over {config.transport}, by us alone.", server=config.name, fix=fix)
    facts = facts_of(config)
    if version and "version" not in facts:
        facts["version"] = version
    return Advert(service or config.replicas or config.name, config.name, _public(config.url), facts)


def _public(url: str) -> str:
    """Scheme, host, port and path: userinfo and query may be credentials."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path.partition('?')[0].partition('#')[0]}"


class Registration:
    """Published servers. Close it to take them out.

    Args:
        publisher: Where.
        members: Which.
        ttl: Seconds after which a registration that nobody renews runs out.
        tell: Told of what happens: server (or None), words.
        around: Time.

    Raises:
        ConfigError: A TTL that is none.
    """

    def __init__(
        self,
        publisher: Publisher,
        members: Sequence[Member],
        *,
        ttl: float,
        tell: Callable[[str | None, str], None],
        around: Surroundings | None = None,
    ) -> None:
        if not 1 <= ttl <= 3600:
            raise ConfigError(f"is {ttl:g} s.", key="ttl", fix="Use 1 to 3600 seconds.")
        self._publisher, self._members, self._ttl = publisher, tuple(members), ttl
        self._tell, self._around = tell, around or Surroundings()
        self._known: set[str] = set()
        """Instances that the directory has, as far as we know."""
        self._stack = AsyncExitStack()
        self._web: Web | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def servers(self) -> tuple[str, ...]:
        """The instances."""
        return tuple(member.advert.instance for member in self._members)

    @property
    def active(self) -> bool:
        """Whether it was started and not closed since."""
        return self._web is not None

    async def start(self) -> None:
        """Publish all of them and keep them published.

        Raises:
            DiscoveryError: The directory would not take them.
        """
        self._web = await self._stack.enter_async_context(Web.open(self._publisher.publishes_to))
        try:
            for member in self._members:
                await self._publish(member)
        except BaseException:
            await self.close()
            raise
        self._tasks = [asyncio.create_task(self._keep(member)) for member in self._members]

    async def close(self) -> None:
        """Withdraw them all. Where that fails they run out by themselves; it is told. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.gather(*(self._withdraw(member.advert) for member in self._members))
        await self._stack.aclose()
        self._web = None

    async def _withdraw(self, advert: Advert) -> None:
        if advert.instance not in self._known or self._web is None:
            return
        self._known.discard(advert.instance)
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._publisher.withdraw(self._web, advert)
        except (DiscoveryError, TimeoutError) as error:
            why = error.problem if isinstance(error, DiscoveryError) else "no answer."
            self._tell(advert.instance, f"not taken out of {self._publisher.label}: {why} It runs out.")
        else:
            self._tell(advert.instance, f"no longer published to {self._publisher.label}")

    async def _publish(self, member: Member) -> None:
        assert self._web is not None  # noqa: S101 - set by `start`
        await self._publisher.publish(self._web, member.advert, self._ttl)
        self._known.add(member.advert.instance)
        self._tell(member.advert.instance, f"published to {self._publisher.label}")

    async def _keep(self, member: Member) -> None:
        """Renew one of them for ever; each kind of trouble is told once until it is over."""
        told, name = "", member.advert.instance
        while True:
            await self._around.sleep(self._ttl / _RENEWALS)
            trouble = await self._renewed(member)
            if trouble and trouble != told:
                self._tell(name, f"not renewed in {self._publisher.label}: {trouble}")
            elif told and not trouble:
                self._tell(name, f"renewed again in {self._publisher.label}")
            told = trouble

    async def _renewed(self, member: Member) -> str:
        """Why it could not be renewed; empty when it was."""
        assert self._web is not None  # noqa: S101 - set by `start`
        if not member.alive():
            return "it is down; it runs out unless it comes back"
        try:
            await self._publisher.renew(self._web, member.advert)
        except Gone:
            return await self._anew(member)
        except DiscoveryError as error:
            return error.problem
        return ""

    async def _anew(self, member: Member) -> str:
        try:
            await self._publish(member)
        except DiscoveryError as error:
            return error.problem
        return ""

    def __repr__(self) -> str:
        state = f"renewed every {self._ttl / _RENEWALS:g} s" if self._tasks else "closed"
        return f"<Registration of {', '.join(self.servers)} in {self._publisher.label}: {state}>"
