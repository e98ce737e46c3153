"""`MultiServerClient`: many servers behind one set of verbs.

It owns the connections, the catalog, the dispatcher and the log, and joins them. What goes where is decided
by the dispatcher; how a connection lives is the connection's business.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mcpnb.catalog import Catalog, Choices
from mcpnb.client.asked import answering, change_roots, keep_time
from mcpnb.client.cache import Cache
from mcpnb.client.cache_policy import CachePolicy, policy_of
from mcpnb.client.call_options import check_timeout
from mcpnb.client.calls import Calls
from mcpnb.client.choices import ChoiceVerbs, Choosing, PathLike
from mcpnb.client.client_options import check_kind, check_regions, check_seed
from mcpnb.client.discovered import Discovered
from mcpnb.client.documents import Documents, Job
from mcpnb.client.driver import Driver
from mcpnb.client.fallback import Fallbacks
from mcpnb.client.ledger import Ledger
from mcpnb.client.logins import Access, LoginVerbs
from mcpnb.client.membership import Membership
from mcpnb.client.taps import Taps
from mcpnb.client.telemetry import Telemetry
from mcpnb.client.verbs import Trial, Verbs
from mcpnb.config import ServerConfig, load
from mcpnb.discovery import Backend, Found, Publisher, Registration, divided
from mcpnb.errors import (
    ConfigError,
    suggest,
)
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import (
    CallOptions,
    Event,
    ServerStatus,
)
from mcpnb.resilience.admission import QueuePolicy
from mcpnb.resilience.breaker import Breaker, BreakerPolicy
from mcpnb.resilience.hedge import HedgePolicy
from mcpnb.resilience.outlier import OutlierPolicy
from mcpnb.resilience.retry import RetryPolicy
from mcpnb.resilience.settings import Resilience
from mcpnb.routing import BreakerChanged, Dispatcher, Ejected, Finish
from mcpnb.routing.roster import Distances
from mcpnb.routing.strategies import Strategy, StrategySpec, spec
from mcpnb.threads import beside

if TYPE_CHECKING:
    from mcpnb.auth import OnLogin, TokenStore
    from mcpnb.connection import OnElicit, OnSample


class MultiServerClient(Verbs, ChoiceVerbs, LoginVerbs, Calls):
    """Connects to many MCP servers and routes each call to one of them.

    Args:
        source: A config file, URL, command, in-process server, a dict or list of these (see `mcpnb.config`);
            anything of `mcpnb.discovery`, alone or among them.
        replicas: Which servers stand in for each other: True for all, or groups of names.
        strategy: A routing strategy by name, or an object.
        timeout: Seconds for a whole call, retries included; None waits for ever. They stand still while a
            person, or a language model, answers what a server asks in the middle of it.
        name: What to call this set of servers.
        seed: Makes every random choice of routing repeatable.
        connect_timeout: Seconds after which a server that says nothing counts as not connected.
        cache: Keep what tools that only read answer: True, seconds for which it is good, or a `CachePolicy`.
            Off unless asked for here, or by a call (`options(cache=...)`).
        breaker: When a server's circuit breaker opens; False does without.
        retry: How failed calls are sent again, within which budget; a number is the attempts after the first.
        hedge: A second attempt elsewhere for slow calls that may be repeated: True after the tool's live p95,
            a number after that many seconds. Off unless asked for here, or by a call (`options(hedge=...)`).
        panic: The share of a tool's servers that breakers may shut out before they are ignored; False: never.
        outlier: Take out servers that fail clearly more than the others.
        queue: How many calls may wait while every server is full, and how they age.
        home: The region that the strategy `nearest` measures from.
        distances: Region → region → distance in any unit; one direction is enough.
        on_elicit: Answers what servers ask a person: gets an `Elicitation`, returns a mapping (accepted),
            False (declined) or None (dismissed). A plain function runs in a thread of its own and may block,
            a coroutine function runs on the loop. Without one, questions are declined and told as events.
        on_sample: Answers what servers ask a language model: gets a `Sampling`, returns its text, or None.
        roots: Folders that servers may know of, as paths or file: URIs; None does not speak of roots.
        question_timeout: Seconds after which a question counts as dismissed, so that a call ends although
            nobody is there; None: it may stay open for ever.
        on_login: Who is asked to log in, where servers have OAuth (`auth=`): gets a
            `mcpnb.auth.LoginRequest`, shows its link, takes its answer. A plain function runs in a thread of
            its own, a coroutine function on the loop. By default a link is printed and opened, where there
            is a terminal.
        tokens: Where logins are kept: "memory", "keyring" (an extra), or the path of a file that only its
            owner can read.
        policy: What a name means that different servers offer; one of `mcpnb.catalog.POLICIES`, by default
            what `choices` says, else `first_server`.
        choices: A file that `save` wrote: policies, preferences, priorities, pins. It need not be there yet.
            Or the catalog's own `Choices`.
        pin: A file of pins: every tool is noted when it is first seen, and refused once its description or
            schema is another, until `approve`. Made when it is not there.
        clock: Monotonic seconds, the event loop's own: another loop may keep another time.
        defaults: Config keys for every server (region=, tags=, ...); `token=`, `headers=`, `auth=` ("oauth",
            a `mcpnb.OAuth` or a dict of its arguments) for those with a URL and no credentials of their own.

    Use it as an async context manager, or `start()` and `aclose()` it.
    """

    def __init__(
        self,
        source: Any,
        *,
        replicas: bool | Sequence[Sequence[str]] | None = None,
        strategy: str | Strategy | type[Strategy] | StrategySpec = "p2c",
        timeout: float | None = 30.0,
        name: str | None = None,
        seed: int | None = None,
        connect_timeout: float = 15.0,
        cache: CachePolicy | bool | float = False,
        breaker: BreakerPolicy | bool = True,
        retry: RetryPolicy | int = True,
        hedge: HedgePolicy | float | None = None,
        panic: float | None = True,
        outlier: OutlierPolicy | bool = False,
        queue: QueuePolicy | None = None,
        home: str | None = None,
        distances: Distances | None = None,
        on_elicit: OnElicit | None = None,
        on_sample: OnSample | None = None,
        roots: Iterable[str | Path] | None = None,
        question_timeout: float | None = 600.0,
        on_login: OnLogin | None = None,
        tokens: str | Path | TokenStore = "memory",
        policy: str | None = None,
        choices: PathLike | Choices | None = None,
        pin: PathLike | None = None,
        clock: Callable[[], float] = time.monotonic,
        **defaults: Any,
    ) -> None:
        check_timeout("timeout", timeout, may_be_none=True)
        check_timeout("connect_timeout", connect_timeout, may_be_none=False)
        check_seed(seed)
        check_regions(home, distances)
        self._client, self._options, self._closed = self, CallOptions(), False
        self._answering = answering(on_elicit, on_sample, roots, question_timeout)
        rest, found = divided(source)
        self.configs = load(rest, **defaults)
        self._defaults, self.timeout = defaults, timeout
        self.name = name or "fleet"
        self.log = AttemptLog()
        self.events = EventLog()
        self.access = Access(tokens, on_login, self.events)
        self._choosing = kept = Choosing(choices, pin)
        self.catalog = Catalog(
            replicas=replicas,
            policy=policy,
            choices=kept.choices,
            pins=kept.pins,
            on_event=self.events.append,
        )
        if not found:
            _check_names(replicas, self.configs)
        rng = random.Random(seed)
        resilience = Resilience(
            breaker=breaker, retry=retry, hedge=hedge, panic=panic, outlier=outlier, queue=queue
        )
        self.resilience, self.replicas = resilience, replicas
        self.home, self.distances = home, distances
        self._retries = 0 if resilience.retry is None else resilience.retry.retries
        self._brain = Dispatcher(
            spec(strategy), rng=rng, resilience=resilience, home=home, distances=distances
        )
        self.taps = Taps(clock, self._log_call)
        """Who else hears of calls, or answers them."""
        self._driver: Driver[Job] = Driver(
            self._brain, self._send, self.taps.conclude, self._tell_change, clock
        )
        keep_time(self._answering, self._driver)
        self.members = Membership(
            self.catalog,
            self._brain,
            self.events,
            carry_out=self._driver.carry_out,
            rng=random.Random(None if seed is None else f"{seed} connections"),
            connect_timeout=connect_timeout,
            clock=clock,
            answering=self._answering,
            access=self.access,
        )
        self._choosing.serve(self.catalog, self.members, self.events)
        self._connect_timeout = connect_timeout
        self.discovery = Discovered(found, self.members, self.events, defaults)
        self.documents = Documents(self.members, self.catalog, self._routed)
        self._telemetry = Telemetry(self.name, self.members.connections, self._brain.in_flight, clock)
        self._fallbacks = Fallbacks(self.catalog, self.events.append)
        self.cache = Cache(policy_of(cache), clock=clock)
        self.events.on("tools_changed", self.cache.changed)
        self._calls = self._trials = 0
        skew = time.time() - clock()  # monotonic + skew = Unix time, for display
        self._ledger = Ledger(self.log, self.events, self._telemetry, self.members.ended, skew)

    @property
    def addresses(self) -> tuple[tuple[str, str], ...]:
        """(name, address) of every configured server, (kind, address) of what lists others; no secrets."""
        servers = ((config.name, config.address) for config in self.configs)
        return (*servers, *self.discovery.addresses)

    # -- life

    async def start(self, *, wait: bool = True) -> Self:
        """Connect to all servers at once; with `wait`, until each is up or has said why not.

        Raises:
            ConfigError: The client was closed, or what a backend of discovery lists makes no sense.
            DiscoveryError: A backend of discovery that cannot be used at all.
        """
        self.check_open()
        try:
            await asyncio.gather(
                self.members.open(self.configs, wait=wait),
                self.discovery.start(wait=wait, within=self._connect_timeout),
            )
        except BaseException:
            await self.aclose()  # nobody else would end what has begun
            raise
        return self

    async def aclose(self) -> None:
        """End every connection; nothing is left behind. Closing twice is fine, and final."""
        self._closed = True
        async with AsyncExitStack() as ending:  # from the last to the first, each whatever becomes of others
            ending.callback(self.cache.clear)
            ending.callback(self._driver.close)
            ending.push_async_callback(self.access.aclose)
            ending.push_async_callback(self.members.close)
            ending.push_async_callback(self.discovery.close)  # what leaves a directory should still be there

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def check_open(self) -> None:
        """Nothing, as long as this client was not closed.

        Raises:
            ConfigError: It was.
        """
        if self._closed:
            raise ConfigError(f"{self.name} is closed.", fix="Connect anew.")

    # -- servers

    async def add(self, name: str, target: Any, **config: Any) -> None:
        """Connect to one more server while calls are running, or follow what one more backend lists.

        The servers of a backend get the name and a dot before their own.
        """
        await (await beside(partial(self.adding, name, target, **config)))()

    def adding(self, name: str, target: Any, **config: Any) -> Callable[[], Awaitable[object]]:
        """What is left to do on the event loop for `add`.

        What the configuration asks (`${input:id}`) is asked here, by whoever calls, since he may block.

        Raises:
            ConfigError: There is such a server already, or the configuration is none.
        """
        self.check_open()
        if isinstance(target, Backend):
            target.also(config)
            return partial(self.discovery.add, Found(target, name), within=self._connect_timeout)
        if name in self.members.connections:  # before anybody is asked anything
            raise ConfigError("there is already a server of that name", server=name)
        return partial(self._join, load({name: target}, **{**self._defaults, **config}))

    async def _join(self, configs: Iterable[ServerConfig]) -> None:
        self.check_open()  # somebody was asked meanwhile, who may have taken his time
        await self.members.open(configs, wait=True)

    async def remove(self, name: str, *, drain: bool = True) -> None:
        """Disconnect from a server; with `drain`, its running calls end first."""
        await self.members.remove(name, drain=drain)

    async def register(
        self, backend: Publisher, *servers: str, service: str | None = None, ttl: float = 15.0
    ) -> Registration:
        """Publish servers of this client in Consul or etcd, so that others discover them.

        Each is renewed well within `ttl` seconds while it is connected, runs out when it is down, and is
        taken out when the registration or the client is closed. Its address is published without credentials.

        Args:
            backend: `mcpnb.discovery.Consul` or `Etcd`.
            servers: Their names; by default all that others can reach.
            service: What they are published as; by default the backend's service, else their replica group.
            ttl: Seconds, 1 to 3600.

        Raises:
            ConfigError: No such server, or one that others cannot reach.
            DiscoveryError: The directory would not take them.
        """
        self.check_open()
        names = servers or tuple(self.discovery.publishable())
        return await self.discovery.register(backend, names, service=service, ttl=ttl)

    async def reconnect(self, name: str) -> None:
        """Drop a server's session and connect anew, without waiting for the backoff."""
        await self.members[name].reconnect()

    def servers(self) -> list[ServerStatus]:
        """One row per server, in the order of joining."""
        return self.discovery.annotated(self.members.status(self.log))

    def breaker(self, name: str) -> Breaker | None:
        """A server's circuit breaker, to look at; where each tool has its own, the worst of them.

        None when it has none.

        Raises:
            ConfigError: There is no such server.
        """
        return self._brain.breaker(self.members[name].name)

    def breakers(self, name: str) -> Mapping[str, Breaker]:
        """A server's breakers by tool; the one under the empty name is the whole server's."""
        return self._brain.breakers(self.members[name].name)

    def trip(self, name: str, tool: str | None = None) -> None:
        """Open a server's breaker by hand: it gets no calls until it is well again or `reset`.

        Breakers, these too, are ignored for a call that nobody else could take, unless `panic=False`. With
        `tool` only that tool's, where each has its own.
        """
        self._driver.carry_out(self._brain.trip(self.members[name].name, self._driver.now(), tool))

    def reset(self, name: str | None = None, tool: str | None = None) -> None:
        """Close a server's breaker by hand, or every one."""
        for server in list(self.members.connections) if name is None else [self.members[name].name]:
            self._driver.carry_out(self._brain.reset(server, self._driver.now(), tool))

    def _tell_change(self, change: BreakerChanged | Ejected) -> None:
        """What happened to a breaker, or to an outlier, becomes an event."""
        if isinstance(change, Ejected):
            data: dict[str, object] = {"out": change.out}
            self.events.append(Event(time.time(), "outlier", change.server, change.detail, data))
            return
        state = change.state.replace("_", "-")
        detail = f"{change.tool} {state}" if change.tool else state
        detail = f"{detail}: {change.detail}" if change.detail else detail
        data = {"state": change.state, "tool": change.tool}
        self.events.append(Event(time.time(), "breaker_state", change.server, detail, data))

    async def set_roots(self, roots: Iterable[str | Path]) -> None:
        """Let servers know of other folders from now on.

        Raises:
            ConfigError: A root is no folder, or the client was made without `roots=`.
        """
        await change_roots(self._answering, self.members.usable, roots)

    # -- strategies

    @property
    def strategy(self) -> str:
        """The routing strategy; setting it takes effect on running traffic."""
        return str(self._brain.strategy)

    @strategy.setter
    def strategy(self, choice: str | Strategy | type[Strategy] | StrategySpec) -> None:
        self._brain.use(spec(choice), self._driver.now())
        self.events.append(Event(time.time(), "strategy", None, f"strategy is {self.strategy} now"))

    def trial(self, strategy: str | Strategy | type[Strategy] | StrategySpec) -> Trial:
        """A view whose calls go by a strategy with a fresh state of its own.

        For comparing strategies on the same servers without one learning from the other. `close()` drops it.
        """
        self._trials += 1
        name = f"{spec(strategy).name}#{self._trials}"
        self._brain.define(name, spec(strategy))
        return Trial(self, replace(self._options, strategy=name))

    def end_trial(self, trial: Trial) -> None:
        """Drop a trial's strategy and what it learned."""
        self._brain.undefine(trial.strategy, self._driver.now())

    # -- events

    def on(self, kind: str, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with each later event of a kind, on the event loop. Returns what unsubscribes it.

        `*` is every kind that `events` keeps. `call_finished`, at the end of each call, is not among these:
        only those who ask for it by name get it.

        Raises:
            ValueError: There are no events of that kind; names those that there are.
        """
        check_kind(kind)
        return self.events.on(kind, callback)

    def _log_call(self, finish: Finish) -> None:
        self._ledger.finished(finish)

    def fallback(self, tool: str, alternatives: Sequence[str]) -> None:
        """Try these tools, in this order, when no server answers for `tool`; an empty list takes that back.

        A stand-in gets those of the call's arguments that it knows, under the call's one deadline. A tool's
        own "no" is an answer: nothing stands in then. Nor does anything where the tool may have run already
        and must not run twice.

        Raises:
            ValueError: The tool would stand in for itself.
        """
        self._fallbacks.declare(tool, alternatives)

    def __repr__(self) -> str:
        known = len(self.members.connections)
        up = f"{len(self.members.usable)} of {known} servers take calls"
        return f"<MultiServerClient {self.name}: {up}, {self.strategy}>"


def _check_names(replicas: bool | Sequence[Sequence[str]] | None, configs: Sequence[ServerConfig]) -> None:
    """A misspelt name in `replicas` would silently leave a server alone."""
    if isinstance(replicas, bool) or replicas is None:
        return
    known = [config.name for config in configs]
    for name in (name for group in replicas for name in group):
        if name not in known:
            near = ", ".join(suggest(name, known)) or ", ".join(known)
            raise ConfigError(
                "replicas= names a server that there is not.", server=name, fix=f"Known: {near}."
            )
