"""What all backends have in common: an address, options for the servers they list, a stream of sightings.

It owns the port that a backend implements, the backoff while one cannot be asked, and the async iterator that
people use. What becomes of the servers it does not know.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, cast

from mcpnb.config import ServerConfig, load
from mcpnb.errors import ConfigError, DiscoveryError
from mcpnb.resilience.retry import Backoff

from .asking import Person, at_the_terminal
from .changes import Change, Sighting, Trouble, between
from .damping import Damping

__all__ = ["Backend", "Surroundings", "reports", "required"]

_AGAIN = Backoff(base=0.5, cap=30.0)
"""A directory that was restarted is back within seconds; one that is down for long is not hammered."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, chance and people, so that tests can bring their own."""

    clock: Callable[[], float] = time.monotonic
    """Monotonic seconds."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    person: Person = field(default_factory=at_the_terminal)


class Backend(ABC):
    """A place that lists servers. Give it to `mcpnb.connect`, or iterate over it asynchronously for changes.

    Args:
        damping: When a server that comes and goes is kept out; the default after its third disappearance.
        config: Config keys for the servers that it lists, for what it does not say itself (`headers=`,
            `token=`, `timeout=`, `region=`, ...).

    Raises:
        ConfigError: An option that there is not.
    """

    kind: ClassVar[str]
    """One word for the table."""

    def __init__(self, *, damping: Damping | None = None, config: Mapping[str, object] | None = None) -> None:
        self.config: dict[str, object] = {}
        self.also(config or {})
        self.damping = damping or Damping()

    @property
    @abstractmethod
    def address(self) -> str:
        """What it asks, for people; no secrets."""

    @abstractmethod
    def sightings(self, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:
        """All servers at one time, again after each change; ends when there will be no change any more.

        Raises:
            DiscoveryError: It cannot be asked; it is called again after a while.
            ConfigError: What it lists cannot be understood at all; likewise.
        """

    def also(self, config: Mapping[str, object]) -> None:
        """Further config keys for its servers. Raises `ConfigError` for one that there is not."""
        load({}, **cast("dict[str, Any]", config))  # now, and not when the first server comes
        self.config |= config

    @property
    def label(self) -> str:
        """Kind and address."""
        return f"{self.kind} {self.address}"

    def complete(self, config: ServerConfig, defaults: Mapping[str, object]) -> ServerConfig:
        """A server with what this backend, then the fleet, says of servers that do not say it themselves."""
        return load(config, **cast("dict[str, Any]", {**defaults, **self.config}))[0]

    def failed(self, problem: str, *, fix: str | None = None, lasting: bool = False) -> DiscoveryError:
        """The error that names this backend."""
        return DiscoveryError(problem, backend=self.label, fix=fix, lasting=lasting)

    async def __aiter__(self) -> AsyncIterator[Change]:
        """`Added`, `Changed`, `Removed`, without damping; what it cannot be asked for is retried silently.

        Raises:
            DiscoveryError, ConfigError: It cannot be used at all, as far as can be told at once.
        """
        shown: Mapping[str, ServerConfig] | None = None
        async with aclosing(reports(self, Surroundings())) as coming:
            async for report in coming:
                if isinstance(report, Trouble):
                    if shown is None and report.lasting:
                        raise report.error
                    continue
                seen = {name: self.complete(config, {}) for name, config in report.servers.items()}
                for change in between(shown or {}, seen):
                    yield change
                shown = seen

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"


async def reports(backend: Backend, around: Surroundings) -> AsyncGenerator[Sighting | Trouble]:
    """A backend's sightings for ever, with a `Trouble` wherever it could not be asked."""
    failures = 0
    while True:
        trouble: Trouble | None = None
        try:
            async with aclosing(backend.sightings(around)) as coming:
                async for report in coming:
                    failures = 0
                    yield report
        except (DiscoveryError, ConfigError) as error:
            trouble = Trouble(error)
        if trouble is None:
            return
        yield trouble
        await around.sleep(_AGAIN.delay(failures, around.rng))
        failures += 1


def required(module: str, backend: str) -> ModuleType:
    """A library that comes with the extra.

    Raises:
        DiscoveryError: It is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        fix = "Install it: pip install 'mcpnb[discovery]'."
        raise DiscoveryError(
            f"needs a package that is not installed: {package}.", backend=backend, fix=fix, lasting=True
        ) from None
