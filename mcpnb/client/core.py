"""`MultiServerClient`: many servers behind one set of verbs.

It owns the connections, the catalog, the dispatcher and the log, and joins them. What goes where is decided
by the dispatcher; how a connection lives is the connection's business.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from mcpnb.catalog import Catalog, Resolution, ToolEntry
from mcpnb.client.answers import answer, fused, size_of
from mcpnb.client.driver import Driver
from mcpnb.client.membership import Membership
from mcpnb.client.verbs import Trial, Verbs
from mcpnb.config import ServerConfig, load
from mcpnb.errors import (
    CallTimeout,
    ConfigError,
    ConnectError,
    NoServerAvailable,
    ServerDisconnected,
    ToolError,
    ToolNotFound,
    suggest,
)
from mcpnb.fanout import fan_out
from mcpnb.metrics import AttemptLog, EventLog
from mcpnb.model import (
    Attempt,
    CallOptions,
    Event,
    Outcome,
    Request,
    Requirement,
    ServerStatus,
)
from mcpnb.resilience.breaker import Breaker, BreakerPolicy
from mcpnb.resilience.retry import RetryBudget
from mcpnb.result import Aggregate, Result
from mcpnb.routing import BreakerChanged, Dispatcher, Finish
from mcpnb.routing.strategies import Strategy, StrategySpec, spec

DEFAULT_RETRIES = 2
"""Attempts after the first. Enough to pass by two bad servers; more would hide an outage behind waiting."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What an attempt sends."""

    tool: str
    arguments: dict[str, Any]


class MultiServerClient(Verbs):
    """Connects to many MCP servers and routes each call to one of them.

    Args:
        source: A config file, URL, command, in-process server, a dict or list of these (see `mcpnb.config`).
        replicas: Which servers stand in for each other: True for all, or groups of names.
        strategy: A routing strategy by name, or an object.
        timeout: Seconds for a whole call, retries included; None waits for ever.
        name: What to call this set of servers.
        seed: Makes every random choice of routing repeatable.
        connect_timeout: Seconds after which a server that says nothing counts as not connected.
        breaker: When a server's circuit breaker opens; False does without.
        defaults: Config keys for every server (region=, tags=, ...).

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
        breaker: BreakerPolicy | bool = True,
        **defaults: Any,
    ) -> None:
        self._client, self._options = self, CallOptions()
        self.configs = load(source, **defaults)
        self._defaults, self.timeout = defaults, timeout
        self.name = name or "fleet"
        self.log = AttemptLog()
        self.events = EventLog()
        self.catalog = Catalog(replicas=replicas, on_event=self.events.append)
        _check_names(replicas, self.configs)
        rng = random.Random(seed)
        policy = BreakerPolicy() if breaker is True else breaker or None
        self._brain = Dispatcher(spec(strategy), rng=rng, budget=RetryBudget(), breaker=policy)
        self._driver: Driver[_Job] = Driver(
            self._brain, self._send, self._log_call, self._tell_breaker, time.monotonic
        )
        self.members = Membership(
            self.catalog,
            self._brain,
            self.events,
            carry_out=self._driver.carry_out,
            rng=rng,
            connect_timeout=connect_timeout,
            clock=time.monotonic,
        )
        self._calls = 0
        self._trials = 0
        self._skew = time.time() - time.monotonic()  # monotonic + skew = Unix time, for display

    @property
    def addresses(self) -> tuple[tuple[str, str], ...]:
        """(name, address) of every configured server, secrets left out: what this client connects to."""
        return tuple((config.name, config.address) for config in self.configs)

    # -- life

    async def start(self, *, wait: bool = True) -> Self:
        """Connect to all servers at once; with `wait`, until each is up or has said why not."""
        await self.members.open(self.configs, wait=wait)
        return self

    async def aclose(self) -> None:
        """End every connection; nothing is left behind. Closing twice is fine."""
        await self.members.close()
        self._driver.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- servers

    async def add(self, name: str, target: Any, **config: Any) -> None:
        """Connect to one more server while calls are running."""
        await self.members.open(load({name: target}, **{**self._defaults, **config}), wait=True)

    async def remove(self, name: str, *, drain: bool = True) -> None:
        """Disconnect from a server; with `drain`, its running calls end first."""
        await self.members.remove(name, drain=drain)

    async def reconnect(self, name: str) -> None:
        """Drop a server's session and connect anew, without waiting for the backoff."""
        await self.members[name].reconnect()

    def servers(self) -> list[ServerStatus]:
        """One row per server, in the order of joining."""
        return self.members.status(self.log)

    def breaker(self, name: str) -> Breaker | None:
        """A server's circuit breaker, to look at; None when it has none.

        Raises:
            ConfigError: There is no such server.
        """
        return self._brain.breaker(self.members[name].name)

    def trip(self, name: str) -> None:
        """Open a server's breaker by hand: it gets no calls until it is well again or `reset`."""
        self._driver.carry_out(self._brain.trip(self.members[name].name, self._driver.now()))

    def reset(self, name: str | None = None) -> None:
        """Close a server's breaker by hand, or every one."""
        for server in list(self.members.connections) if name is None else [self.members[name].name]:
            self._driver.carry_out(self._brain.reset(server, self._driver.now()))

    def _tell_breaker(self, change: BreakerChanged) -> None:
        detail = f"{change.state.replace('_', '-')}: {change.detail}" if change.detail else change.state
        data = {"state": change.state}
        self.events.append(Event(time.time(), "breaker_state", change.server, detail, data))

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
        """Call `callback` with each event of a kind (`*` for all). Returns what unsubscribes it."""
        return self.events.on(kind, callback)

    # -- calls

    async def route(self, tool: str, arguments: dict[str, Any], options: CallOptions) -> Result:
        """One routed call; what the verbs `call` and `call_tool` do."""
        resolution = self.resolve(tool, options)
        self.catalog.check(resolution.entry, arguments)
        finish = await self._run(resolution.entry, resolution.servers, arguments, options)
        return self._answer(resolution.entry, finish, options, resolution.note)

    async def trace(self, tool: str, arguments: dict[str, Any], options: CallOptions) -> Finish:
        """One routed call as routing saw it, whatever its end; for experiments.

        Raises:
            ToolNotFound, AmbiguousTool, ArgumentError: Before anything is sent.
        """
        resolution = self.resolve(tool, options)
        self.catalog.check(resolution.entry, arguments)
        return await self._run(resolution.entry, resolution.servers, arguments, options)

    def resolve(self, tool: str, options: CallOptions) -> Resolution:
        """Which tool a name means, and which servers have it.

        Raises:
            ToolNotFound: With near names, and with the servers that are not connected.
        """
        try:
            return self.catalog.resolve(tool, server=options.server)
        except ToolNotFound as problem:
            who = "; ".join(f"{c.name}: {c.last_error or c.state}" for c in self.members.down)
            if not who:
                raise
            known = {entry.ref.tool for entry in self.catalog.entries}
            raise ToolNotFound(problem.tool, known, note=f" Not connected: {who}.") from None

    async def _run(
        self, entry: ToolEntry, servers: tuple[str, ...], arguments: dict[str, Any], options: CallOptions
    ) -> Finish:
        self._calls += 1
        timeout = self._timeout(options, servers)
        deadline = None if timeout is None else self._driver.now() + timeout
        requirement = None
        if options.server is not None or options.tags:
            requirement = Requirement(options.server, options.tags)
        repeatable = entry.read_only or entry.idempotent if options.idempotent is None else options.idempotent
        request = Request(
            id=self._calls,
            tool=entry.ref.tool,
            servers=servers,
            deadline=deadline,
            timeout=timeout,
            repeatable=repeatable,
            retries=DEFAULT_RETRIES if options.retries is None else options.retries,
            strategy=options.strategy,
            requirement=requirement,
        )
        return await self._driver.run(request, _Job(entry.ref.tool, arguments))

    def _answer(self, entry: ToolEntry, finish: Finish, options: CallOptions, note: str) -> Result:
        try:
            return answer(entry, finish, note, raise_on_error=options.raise_on_error)
        except NoServerAvailable as error:
            again = self.members.next_chance(error.reasons)
            raise NoServerAvailable(error.tool, error.reasons, retry_after=again) from error.__cause__

    def _timeout(self, options: CallOptions, servers: tuple[str, ...]) -> float | None:
        if options.timeout is not None:
            return options.timeout
        first = self.members.connections.get(servers[0]) if servers else None
        configured = None if first is None else first.config.timeout
        return self.timeout if configured is None else configured

    async def _send(self, attempt: Attempt, job: _Job) -> Outcome:
        """Carry out one attempt. Everything but our own cancellation is an outcome."""
        connection = self.members.connections.get(attempt.server)
        if connection is None:
            return Outcome("refused", error=ConnectError(attempt.server, "left the fleet"))
        try:
            raw = await connection.call_tool(job.tool, job.arguments)  # the dispatcher keeps the deadline
        except ConnectError as error:
            return Outcome("refused", error=error)
        except ServerDisconnected as error:
            return Outcome("disconnected", error=error)
        except CallTimeout as error:
            return Outcome("timeout", error=error)
        except ToolError as error:
            return Outcome("tool_error", error=error)
        return Outcome("tool_error" if raw.is_error else "ok", raw, None, size_of(raw))

    def _log_call(self, finish: Finish) -> None:
        """Each attempt of a call becomes a row, in the order in which they ended."""
        call = finish.call
        for record in call.ended:
            attempt = record.attempt
            self.members.ended(record)
            self.log.append(
                call=call.request.id,
                attempt=attempt.number,
                started_at=attempt.sent_at + self._skew,
                tool=attempt.tool,
                server=attempt.server,
                strategy=attempt.strategy,
                outcome=record.outcome,
                latency=record.latency,
                queued=attempt.queued,
                hedge=attempt.hedge,
                cached=False,
                size=finish.outcome.size if record is call.ended[-1] else 0,
                error=record.error,
            )

    # -- many servers

    async def fan_out(self, tool: str, arguments: dict[str, Any], options: CallOptions) -> Aggregate:
        """One call at every provider of a tool; what the verb `gather` does."""
        self.resolve(tool, options)
        entries = {
            entry.ref.server: entry
            for entry in self.catalog.providers(tool)
            if options.server in {None, entry.ref.server}
        }
        timeout = self.timeout if options.timeout is None else options.timeout

        async def one(server: str) -> Result:
            self.catalog.check(entries[server], arguments)
            mine = replace(options, server=server, raise_on_error=True)
            finish = await self._run(entries[server], (server,), arguments, mine)
            return self._answer(entries[server], finish, mine, "")

        outcomes = await fan_out(one, list(entries), timeout=timeout, tool=tool, clock=self._driver.now)
        return fused(tool, outcomes, options.method)

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
