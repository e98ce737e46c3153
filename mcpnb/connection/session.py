"""One session with a server: the task that enters and leaves the SDK's `Client`, and the requests on it.

The owner task (`run`) is the only one that enters and leaves the client; requests are made from their
callers' tasks. However the session ends, every request on it ends, too. It does not reconnect, and it
decides nothing about the connection's state: it reports.

    run()       connect, list, then keep the listings fresh and watch the health, until something ends it
    exchange()  one request of one caller, from the caller's task
    lose()      end it: at once (`cut=True`), or once the requests in flight have ended
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import anyio
import httpx2
import mcp_types
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage

from mcpnb.config import ServerConfig
from mcpnb.errors import CallTimeout, ConnectError, McpnbError, ServerDisconnected, ToolError, flatten

from .answers import translate
from .discretion import discreet_cause, discreet_transport
from .faults import Fault
from .flight import FLIGHT, Flight, Flights
from .freshness import Freshness
from .health import Health
from .listing import Kind
from .outputs import Outputs
from .pace import Pace, backoff
from .questions import Questions
from .stderr import StderrTail
from .subscriptions import Subscriptions
from .warm import warm
from .wires import open_wire

__all__ = ["Session", "SessionListener"]

T = TypeVar("T")


class SessionListener(Protocol):
    """What a session reports to. Called synchronously, on the loop."""

    def on_open(self, session: Session) -> None:
        """Connected and listed."""
        ...

    def on_health(self, session: Session, problem: str | None) -> None:
        """Slow to answer (in words), or well again (None)."""
        ...

    async def on_page(self, items: int) -> None:
        """A page of a listing that has more, of so many items; the next is asked for after this."""
        ...

    async def on_piece(self, size: int) -> None:
        """So many bytes of a long answer were read; the next ones are after this."""
        ...

    async def on_tools(self, tools: Sequence[mcp_types.Tool]) -> Any:
        """What is to be found out about these tools before `on_listing`; may take its time."""
        ...

    def on_listing(self, session: Session, items: Mapping[Kind, tuple[Any, ...]], drafts: Any) -> None:
        """Whole listings arrived, of these kinds; `drafts` are of the tools, when these are among them."""
        ...

    def on_listing_failed(self, kind: Kind, why: str) -> None:
        """A listing could not be had; the last one stands."""
        ...

    def on_log(self, level: str, text: str) -> None:
        """The server said something for people."""
        ...

    def on_resource(self, uri: str) -> None:
        """A resource that is subscribed to has changed, or may have."""
        ...

    def subscribed(self) -> tuple[str, ...]:
        """The resources whose changes are wanted."""
        ...


class Session:
    """One attempt to connect and, if it succeeds, the session until its end. Not used again."""

    def __init__(
        self, config: ServerConfig, listener: SessionListener, *, stderr: StderrTail | None,
        questions: Questions, redact: Callable[[str], str], legacy: bool, connect_timeout: float, pace: Pace,
        rng: random.Random, clock: Callable[[], float], auth: httpx2.Auth | None = None,
    ) -> None:  # fmt: skip
        self.name, self.config = config.name, config
        self.wire = open_wire(config, self, stderr, pace, auth)
        self.settled = asyncio.Event()
        """Connected, or ended without having been."""
        self.lost = asyncio.Event()
        """No new requests are taken."""
        self.why: Fault | None = None
        """Why it was lost; for a child process complete once `run` has ended."""
        self.opened = False
        self.client: Client | None = None
        self.protocol: str | None = None
        self.listener, self._legacy, self._connect_timeout = listener, legacy, connect_timeout
        self.pace, self.rng, self.clock, self._redact = pace, rng, clock, redact
        self._scope = anyio.CancelScope()
        self._leave = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None
        self._flights = Flights()
        self._questions = questions.on(self._flights)
        # Only over HTTP do requests go different ways, and the transport must know whose each one is.
        self._tell_apart = config.transport in {"http", "sse"}
        self._last_seen = clock()
        self._given_up = -math.inf
        """When a caller went who had no answer."""
        self._waiting: asyncio.TimerHandle | None = None
        """Until a look at whether callers wait for longer than usual."""
        self._health = Health(self)
        self._subscriptions: Subscriptions | None = None
        self.freshness = Freshness(self)
        self.outputs = Outputs()

    # -- the owner task ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Enter the client, serve, leave. Raises nothing but the cancellation of its own task."""
        errors: list[BaseException] = []
        try:
            self._scope.deadline = anyio.current_time() + self._connect_timeout
            with self._scope:
                async with self._new_client() as client:
                    await self._serve(client)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason why the session ended
            errors = flatten(error)
        finally:
            self._end(errors)

    def _new_client(self) -> Client:
        target = self.wire.target()
        return Client(
            # What a server in this process says never was bytes, and it is given no secrets.
            target if self.config.transport == "in-process" else discreet_transport(target, self._redact),
            mode="legacy" if self._legacy else "auto",
            cache=None,
            message_handler=self._on_message,
            logging_callback=self._on_log,
            # Since 2026-07-28 servers log only for calls that say from which level on.
            log_level="info",
            **self._questions.callbacks(),
        )

    async def _serve(self, client: Client) -> None:
        """Everything between entering the client and leaving it. Nothing here outlives the session."""
        self.client, self.protocol = client, client.protocol_version
        self.outputs.stand_before(client.session)
        self._questions.attach(client)
        remaining = self._scope.deadline - anyio.current_time()
        self._scope.deadline = math.inf
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.freshness.listen, client)
            await self.freshness.list_all(client, within=min(remaining, self.pace.listing_timeout))
            await warm()
            self._subscriptions = Subscriptions(self, tasks)
            self._open()
            tasks.start_soon(self._subscriptions.resume, self.listener.subscribed())
            tasks.start_soon(self.freshness.keep)
            tasks.start_soon(self._health.watch)
            await self._leave.wait()
            tasks.cancel_scope.cancel()

    def _open(self) -> None:
        self._last_seen = self.clock()
        if not self.lost.is_set():
            self.opened = True
            self.listener.on_open(self)
        self.settled.set()

    def _end(self, errors: list[BaseException]) -> None:
        if self.why is None:
            ended = f"the session failed: {errors[0]!r}" if errors else "the session ended"
            why = self.wire.explain(errors, self._silence()) or Fault("broken", ended)
            self.why = replace(why, reason=self._redact(why.reason))
        self.client = None
        self.lost.set()
        self.settled.set()
        self._flights.close()
        for timer in (self._patience, self._waiting):
            if timer is not None:
                timer.cancel()
        # The SDK wakes its waiters. Whoever it forgets (calls into this process) is cut a moment later, so
        # that an answer that arrived just before the end still counts.
        if self._flights.callers:
            asyncio.get_running_loop().call_later(self.pace.sweep_after, self._flights.cut, self.why)

    def _silence(self) -> str:
        """In words, that connecting took too long; empty if it did not."""
        late = self._scope.cancelled_caught and not self.lost.is_set()
        return f"no MCP answer within {self._connect_timeout:g} s" if late else ""

    @property
    def busy(self) -> bool:
        """Whether requests are in flight."""
        return self._flights.callers > 0

    @property
    def asking(self) -> bool:
        """Whether the server waits for the answer to a question of its own."""
        return self._flights.asking

    @property
    def sent(self) -> int:
        """How many requests there have been."""
        return self._flights.departed

    def waits_for_first(self, number: int) -> bool:
        """Whether a caller still waits for one of the first `number` requests."""
        return self._flights.any_of_first(number)

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing was heard of the server for that long."""
        return self.clock() - self._last_seen >= seconds

    @property
    def subscriptions(self) -> Subscriptions:
        """Which resources it is subscribed to.

        Raises:
            ConnectError: It is not connected.
        """
        if self._subscriptions is None or self.lost.is_set():
            raise self._gone()
        return self._subscriptions

    def heard_since(self, moment: float) -> bool:
        """Whether it has answered anything after that moment of the `clock`."""
        return self._last_seen > moment

    def suspect(self) -> None:
        """Something was odd: have the health looked at."""
        self._health.suspect()

    def backoff(self, attempt: int) -> float:
        """Seconds to wait before trying something for the `attempt`th time again."""
        return backoff(attempt, self.rng, self.pace)

    # -- ending --------------------------------------------------------------------------------------------

    def lose(self, why: Fault | None, *, cut: bool = False) -> None:
        """Take no new requests and leave: at once if `cut`, else when those in flight have ended.

        `why` may be None when only the wire will know. The first reason stands.
        """
        if not self.lost.is_set():
            self.why = why
            if why is not None and why.kind in {"refused", "silent", "lost"}:
                self.wire.hang_up()
            self.lost.set()
            self._flights.cut_broken()
        if cut and why is not None:
            self._flights.cut(why)
        if not self.settled.is_set():
            self._scope.cancel()
        elif cut or not self.wire.lingers:
            self._leave.set()
        else:
            self._flights.when_idle(self._leave.set)
            self._patience = asyncio.get_running_loop().call_later(self.pace.linger, self._leave.set)

    def on_fault(self, fault: Fault, flight: Flight | None) -> None:
        """A wire's report. Some faults are the end, one is a sign of life; the others a reason to look."""
        del flight
        if self.client is None:
            return
        if fault.final or fault.kind in {"refused", "lost"}:
            self.lose(fault)
        elif fault.kind == "limited":  # and a question of ours would count, too
            self._last_seen = self.clock()
        else:
            self.suspect()

    def on_end(self) -> None:
        """The wire has ended; only what it leaves behind will tell why."""
        if self.client is not None:
            self.lose(None)

    def on_noise(self, line: str) -> None:
        """Say once that a server prints to the wrong place."""
        self.listener.on_log("warning", f"it prints on stdout what is no MCP message: {line!r}")

    async def on_piece(self, size: int) -> None:
        """There is more to read of an answer."""
        await self.listener.on_piece(size)

    # -- requests ------------------------------------------------------------------------------------------

    async def exchange(
        self,
        what: str,
        send: Callable[[Client], Awaitable[T]],
        timeout: float | None = None,  # noqa: ASYNC109 - the flight keeps the time
        *,
        flight: Flight | None = None,
    ) -> T:
        """One request, in the caller's task; `what` names it in errors, `timeout` is in seconds.

        Raises:
            ConnectError: It was certainly not executed.
            ServerDisconnected: The server went away meanwhile.
            CallTimeout: No answer in time.
            ToolError: The answer was an error of the protocol, or does not fit it.
        """
        client = self.client
        if client is None or self.lost.is_set():
            raise self._gone()
        if flight is None:
            flight = Flight(self._flights, timeout)
            if self._waiting is None:
                self._wait_for_an_answer()
        token = FLIGHT.set(flight) if self._tell_apart else None
        try:
            with flight:
                answer = await send(client)
                self._last_seen = self.clock()
                return answer
        except asyncio.CancelledError:
            self._given_up = self.clock()
            raise
        except Exception as error:  # noqa: BLE001 - it goes on at once, in our words
            raise self._failed(flight, what, error) from discreet_cause(error, self._redact)
        finally:
            if token is not None:
                FLIGHT.reset(token)
        raise self._cut_short(flight, what)

    def _wait_for_an_answer(self) -> None:
        later = asyncio.get_running_loop().call_later
        self._waiting = later(self.pace.unanswered, self._look_at_the_waiting)

    def _look_at_the_waiting(self) -> None:
        """Callers who wait, or have given up, while nothing is heard of the server are a reason to ask it."""
        self._waiting = None
        if (self.busy or self._given_up > self._last_seen) and not self.lost.is_set():
            if self.quiet_for(self.pace.unanswered):
                self.suspect()
            else:
                self._wait_for_an_answer()

    def _gone(self) -> ConnectError:
        return ConnectError(self.name, self.why.reason if self.why else "the connection has just ended")

    def _failed(self, flight: Flight, what: str, error: Exception) -> Exception:
        known = flight.fault
        failure = translate(
            self.name, what, error, flight, protocol=self.protocol, why=self.why, redact=self._redact
        )
        if flight.fault is not None and flight.fault is not known:
            self.on_fault(flight.fault, flight)
        elif isinstance(failure, ServerDisconnected):
            self.suspect()
        elif isinstance(failure, ToolError):
            self._last_seen = self.clock()
            if isinstance(error, MCPError):
                self._questions.missed(error, what)
        return failure

    def _cut_short(self, flight: Flight, what: str) -> McpnbError:
        if isinstance(flight.cut_by, Fault):
            return flight.cut_by.error(self.name, what)
        # It says nothing about the server, but it is a reason to ask it.
        self.suspect()
        return CallTimeout(what, flight.timeout, server=self.name)

    def own_flight(self, within: float) -> Flight:
        """A flight for a request of ours, for which no caller waits; `within` is in seconds."""
        return Flight(self._flights, max(within, 0.0), ours=True)

    # -- what the server says unasked ----------------------------------------------------------------------

    async def _on_message(self, message: IncomingMessage) -> None:
        if isinstance(message, Exception):
            self.listener.on_log("error", f"it sent what cannot be read: {message}")
        elif isinstance(message, mcp_types.ResourceUpdatedNotification):
            self.listener.on_resource(str(message.params.uri))
        else:
            self.freshness.heard(message)

    async def _on_log(self, params: mcp_types.LoggingMessageNotificationParams) -> None:
        said = str(params.data)
        self.listener.on_log(params.level, f"{params.logger}: {said}" if params.logger else said)
