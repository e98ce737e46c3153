"""How a client's call runs: what its name means, the cache, routing, one sending, the answer.

It owns the way of one call through the other rooms, for one server or for all that have a tool. Whether and
where something is sent is the dispatcher's to decide; how it is sent is the connection's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mcpnb.aggregation import DECLARED
from mcpnb.catalog import Catalog, Resolution, ToolEntry
from mcpnb.client.answers import answer, fused, kept_answer, size_of
from mcpnb.client.arguments import carried
from mcpnb.client.cache import Cache, Hit, Key, canonical
from mcpnb.client.discovered import Discovered
from mcpnb.client.documents import Job, Question
from mcpnb.client.driver import Driver
from mcpnb.client.fallback import Fallbacks
from mcpnb.client.ledger import Ledger
from mcpnb.client.logins import Access
from mcpnb.client.membership import Membership
from mcpnb.client.taps import Taps
from mcpnb.client.telemetry import CallSpan, Telemetry
from mcpnb.errors import (
    AmbiguousTool,
    AuthError,
    CallTimeout,
    ConnectError,
    McpnbError,
    NoServerAvailable,
    ServerDisconnected,
    ToolChanged,
    ToolError,
    ToolNotFound,
)
from mcpnb.fanout import fan_out
from mcpnb.metrics import AttemptLog, summaries_by_server
from mcpnb.model import (
    USABLE_STATES,
    Alternative,
    Attempt,
    CallOptions,
    Outcome,
    Request,
    Requirement,
    ToolRef,
)
from mcpnb.result import Aggregate, Result
from mcpnb.routing import Dispatcher, Finish
from mcpnb.routing.call import Call
from mcpnb.threads import beside

if TYPE_CHECKING:
    from mcpnb.client.membership import Link

_LATELY = 600.0
"""Seconds of the log that say how reliable a server is."""


class _Job(NamedTuple):
    """What the attempts of a call send: each tool with its arguments, stand-ins included."""

    tools: Mapping[str, tuple[ToolEntry, dict[str, Any]]]
    on_progress: Callable[[float, float | None, str | None], object] | None = None

    @property
    def question(self) -> Question:
        """See `documents.Job`."""
        name, (_, arguments) = next(iter(self.tools.items()))  # the others stand in for it
        return Question("tool", name, arguments)

    async def send(self, connection: Link, tool: str) -> Outcome:
        """See `documents.Job`."""
        entry, arguments = self.tools[tool]
        its = entry.arguments_for(connection.name, arguments)
        raw = await connection.call_tool(tool, its, on_progress=self.on_progress)
        return Outcome("tool_error" if raw.is_error else "ok", raw, None, size_of(raw))


class Calls:
    """What `MultiServerClient` does with a call; it brings the rooms that a call goes through."""

    catalog: Catalog
    members: Membership
    cache: Cache
    discovery: Discovered
    log: AttemptLog
    timeout: float | None
    access: Access
    check_open: Callable[[], None]
    _brain: Dispatcher
    _driver: Driver[Job]
    _fallbacks: Fallbacks
    _ledger: Ledger
    _telemetry: Telemetry
    _retries: int
    _calls: int
    taps: Taps

    async def route(self, tool: str, arguments: dict[str, Any], options: CallOptions) -> Result:
        """One routed call; what the verbs `call` and `call_tool` do."""
        self.check_open()
        arguments = carried(tool, arguments)
        try:
            resolution = self.catalog.fit(self.resolved(tool, options), arguments)
        except ToolNotFound:  # nobody lists it, or not yet: what was declared to stand in does
            stand_ins = [] if options.server else self._fallbacks.of(tool, arguments)
            if not stand_ins:
                raise
            return await self.route(stand_ins[0].entry.name, stand_ins[0].arguments, options)
        entry = resolution.entry
        seconds = self.cache.seconds(entry.name, read_only=entry.read_only, asked=options.cache)
        asked = canonical(arguments) if seconds else None
        if asked is not None:
            return await self._answered(resolution, asked, arguments, options, seconds)
        finish = await self._run(entry, resolution.servers, arguments, options)
        return self._answer(entry, finish, options, resolution.note)

    async def _answered(
        self,
        resolution: Resolution,
        asked: str,
        arguments: dict[str, Any],
        options: CallOptions,
        seconds: float,
    ) -> Result:
        """The answer to a checked call: one that is kept, else a new one."""
        entry, note = resolution.entry, resolution.note
        arrived = self._driver.now()
        end = await self._recalled(resolution, asked, arguments, options, seconds)
        if isinstance(end, Finish):
            return self._answer(entry, end, options, note)
        call = self._unsent(resolution, arrived)
        if isinstance(end, Outcome):
            finish = Finish(call, end)
            self._ledger.finished(finish)
            return self._answer(entry, finish, options, note)
        self._ledger.kept(call, end)
        entry = self._who_answered(entry, end.tool)
        return kept_answer(entry, end, call, note, raise_on_error=options.raise_on_error)

    async def _recalled(
        self,
        resolution: Resolution,
        asked: str,
        arguments: dict[str, Any],
        options: CallOptions,
        seconds: float,
    ) -> Finish | Hit | Outcome:
        """What is kept of an identical call, or the end of one that is out, or of the one that is sent."""
        entry, servers = resolution.entry, resolution.servers
        arrived, sent = self._driver.now(), False

        async def ask(left: float | None) -> Finish:
            nonlocal sent
            sent = True
            mine = options if left is None else replace(options, timeout=left)
            return await self._run(entry, servers, arguments, mine)

        key = Key(servers, entry.name, asked, (_requirement(options), options.affinity))
        try:
            return await self.cache.answer(key, seconds, ask, timeout=self._timeout(options, servers))
        except asyncio.CancelledError:
            if not sent:
                self._ledger.finished(Finish(self._unsent(resolution, arrived), Outcome("cancelled")))
            raise

    def _unsent(self, resolution: Resolution, arrived: float) -> Call:
        """A call that is over without having been sent."""
        self._calls += 1
        request = Request(self._calls, resolution.entry.name, resolution.servers)
        return Call(request, arrived, finished=self._driver.now())

    async def trace(self, tool: str, arguments: dict[str, Any], options: CallOptions) -> Finish:
        """One routed call as routing saw it, whatever its end; for experiments.

        Raises:
            ToolNotFound, AmbiguousTool, ArgumentError: Before anything is sent.
        """
        arguments = carried(tool, arguments)
        resolution = self.catalog.fit(self.resolved(tool, options), arguments)
        return await self._run(resolution.entry, resolution.servers, arguments, options)

    def resolved(self, tool: str, options: CallOptions) -> Resolution:
        """Which tool a name means, and which servers have it.

        Raises:
            ToolNotFound: With near names, and with the servers that are not connected.
            AmbiguousTool, ToolChanged, NoServerAvailable: As the catalog does.
        """
        if not isinstance(tool, str):  # pyright: ignore[reportUnnecessaryIsInstance] - people pass refs
            if not isinstance(tool, ToolRef):
                raise TypeError(f"a tool is named by a text, not by {tool!r}")
            tool = str(tool)
        try:
            return self.catalog.resolve(tool, server=options.server, version=options.version)
        except ToolNotFound as problem:
            self._log_in_first(options)
            raise self._missing(problem, options.server) from None

    def _missing(self, problem: ToolNotFound, server: str | None) -> ToolNotFound:
        """The same, saying of the servers that could be meant which are not connected, and why."""
        off = next((name for name in self.members.off if problem.tool.startswith(f"{name}:")), None)
        if off is not None:
            problem = ToolNotFound(problem.tool)  # the catalog does not know it
        troubles = [] if server or off else self.discovery.troubles()
        problem.args = (f"{problem}{self.members.away(server or off, *troubles)}",)
        return problem

    def _log_in_first(self, options: CallOptions) -> None:
        """Nobody knows what a server offers before somebody logs in: say that, where no other is asked.

        Raises:
            AuthError: All servers that could be meant wait for a login.
        """
        meant = [link for link in self.members.connections.values() if options.server in {None, link.name}]
        if meant and not any(link.state in USABLE_STATES for link in meant):
            denied = self.access.denied(link.name for link in meant)
            if denied is not None:
                raise denied

    def meant(self, tool: str, options: CallOptions) -> tuple[str, ToolEntry]:
        """The name of a tool, and the tool itself; where nobody has it, what was declared to stand in.

        Raises as `resolved` does.
        """
        try:
            entry = self.resolved(tool, options).entry
        except ToolNotFound:
            entry = None if options.server else self._fallbacks.first(tool)
            if entry is None:
                raise
            return tool, entry
        return entry.name, entry

    def _run(
        self, entry: ToolEntry, servers: tuple[str, ...], arguments: dict[str, Any], options: CallOptions
    ) -> Awaitable[Finish]:
        repeatable = entry.read_only or entry.idempotent if options.idempotent is None else options.idempotent
        name, alternatives = entry.name, ()
        tools = {name: (entry, arguments)}
        if name in self._fallbacks:
            stand_ins = self._fallbacks.of(name, arguments)
            tools.update({each.entry.name: (each.entry, each.arguments) for each in stand_ins})
            alternatives = tuple([stand_in.alternative for stand_in in stand_ins])
        job = _Job(tools, options.on_progress)
        return self._routed(name, servers, job, options, repeatable, alternatives)

    def _routed(
        self,
        name: str,
        servers: tuple[str, ...],
        job: Job,
        options: CallOptions,
        repeatable: bool = True,
        alternatives: tuple[Alternative, ...] = (),
    ) -> Awaitable[Finish]:
        """One call through the dispatcher, whatever it sends; by default what only reads."""
        self._calls += 1
        timeout = self._timeout(options, servers)
        deadline = None if timeout is None else self._driver.now() + timeout
        retries = self._retries if options.retries is None else options.retries
        key = job.question.key if options.affinity is None and self._brain.keyed(options.strategy) else ""
        # By position: fourteen names would cost as much as all else in here.
        request = Request(
            self._calls, name, servers, deadline, timeout, repeatable, retries, options.strategy,
            _requirement(options), options.affinity, options.priority, options.hedge, alternatives, key,
        )  # fmt: skip
        span, finish = self._telemetry.span(request), self.taps.run(request, job, self._driver.run)
        return finish if span is None else _within(span, finish)

    def _who_answered(self, entry: ToolEntry, tool: str) -> ToolEntry:
        """The tool that answered: another one where it stood in, of which nothing is known if it has left."""
        if tool == entry.name:
            return entry
        try:
            return self.catalog.resolve(tool).entry
        except (ToolNotFound, AmbiguousTool, ToolChanged):
            return replace(entry, ref=ToolRef(entry.server, tool), output_schema=None)

    def _answer(self, entry: ToolEntry, finish: Finish, options: CallOptions, note: str) -> Result:
        entry = self._who_answered(entry, finish.call.tool)
        try:
            return answer(entry, finish, note, raise_on_error=options.raise_on_error)
        except NoServerAvailable as error:
            if (denied := self.access.denied(error.reasons)) is not None:
                raise denied from error.__cause__
            again = self.members.next_chance(error.reasons)
            told = NoServerAvailable(error.tool, error.reasons, retry_after=again)
            told.attempts = finish.call.sent
            raise told from error.__cause__
        except McpnbError as error:
            error.attempts = finish.call.sent
            raise

    def _timeout(self, options: CallOptions, servers: tuple[str, ...]) -> float | None:
        if options.timeout is not None:
            return options.timeout
        first = self.members.connections.get(servers[0]) if servers else None
        configured = None if first is None else first.config.timeout
        return self.timeout if configured is None else configured

    async def _send(self, attempt: Attempt, job: Job) -> Outcome:
        """Carry out one attempt. Everything but our own cancellation is an outcome."""
        connection = self.members.connections.get(attempt.server)
        if connection is None:
            return Outcome("refused", error=ConnectError(attempt.server, "left the fleet"))
        try:
            return await job.send(connection, attempt.tool)  # the dispatcher keeps the deadline
        except ConnectError as error:
            # For want of scope it says no as for a wrong argument: to this caller, and no fault of its own.
            narrow = isinstance(error, AuthError) and error.narrow
            return Outcome("tool_error" if narrow else "refused", error=error)
        except ServerDisconnected as error:
            return Outcome("disconnected", error=error)
        except CallTimeout as error:
            return Outcome("timeout", error=error)
        except ToolError as error:
            return Outcome("tool_error", error=error)

    # -- many servers

    async def fan_out(self, tool: str, arguments: dict[str, Any], options: CallOptions) -> Aggregate:
        """One call at every provider of a tool; what the verb `gather` does."""
        arguments = carried(tool, arguments)
        meant = self._meant(tool, options)
        entries = {
            entry.server: entry
            for entry in self.catalog.providers(tool)
            if options.server in {None, entry.server}
        }
        timeout = self.timeout if options.timeout is None else options.timeout
        rules = DECLARED.rules(next(iter(entries.values())).name, options.method)
        # The first answer is there once one has answered.
        quorum = 1 if rules.method == "first" and options.quorum is None else options.quorum

        async def one(server: str) -> Result:
            left = (each for each in (timeout, self._timeout(options, (server,))) if each is not None)
            mine = replace(
                options, server=server, raise_on_error=True, hedge=False, timeout=min(left, default=None)
            )
            its = arguments if meant is None else meant.arguments_for(server, arguments)
            return await self._gathered(entries[server], its, mine)

        # Each call keeps the one deadline itself: its clock stands when a person is asked for it.
        outcomes = await fan_out(one, list(entries), quorum=quorum, tool=tool, clock=self._driver.now)
        lately = summaries_by_server(self.log, _LATELY)
        # One success is taken for granted, so that a first failure is not the end of all trust.
        reliability = {name: 1 - each.errors / (each.count + 1) for name, each in lately.items()}
        return await beside(partial(fused, tool, outcomes, rules, reliability))

    def _meant(self, tool: str, options: CallOptions) -> ToolEntry | None:
        """What a call of that name would mean; None where the policy chooses none.

        Raises:
            ToolNotFound: As `resolved` does.
        """
        try:
            return self.resolved(tool, options).entry
        except (AmbiguousTool, ToolChanged):
            return None

    async def _gathered(self, entry: ToolEntry, arguments: dict[str, Any], options: CallOptions) -> Result:
        """One server's answer: one that is kept, else a new one."""
        self.catalog.check(entry, arguments)
        seconds = self.cache.seconds(entry.name, read_only=entry.read_only, asked=options.cache)
        asked = canonical(arguments) if seconds else None
        if asked is not None:
            mine = Resolution(entry, (entry.server,))
            return await self._answered(mine, asked, arguments, options, seconds)
        finish = await self._run(entry, (entry.server,), arguments, options)
        return self._answer(entry, finish, options, "")


async def _within(span: CallSpan, finish: Awaitable[Finish]) -> Finish:
    with span:
        return await finish


def _requirement(options: CallOptions) -> Requirement | None:
    """What a call demands of a server; None when it takes any."""
    if options.server is None and not options.tags and options.region is None and options.version is None:
        return None
    return Requirement(options.server, options.tags, options.region, options.strict, options.version)
