"""One server, kept connected: its state, its last listing, and the way for calls to its session.

    disconnected → connecting → connected ⇄ degraded → reconnecting → connected ...
                              ↘ failed (a configuration that cannot work; until `reconnect`)
    draining: takes no new calls, does not reconnect.  disconnected: closed.

It owns the state machine and the backoff. Sessions end for their own reasons (`session`), and what a request
is worth retrying is decided far above.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import mcp_types
from mcp import Client
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from mcpnb.auth.logins import Logins
from mcpnb.config import ServerConfig, hush, redact, secrets_of
from mcpnb.errors import ConnectError
from mcpnb.model import Event, ServerState

from .chatter import Chatter
from .faults import Fault
from .listing import KINDS, Kind, Listing, Reader
from .pace import Pace, backoff
from .questions import Answering, Questions
from .requests import Requests
from .session import Session
from .stderr import StderrTail
from .warm import begin

__all__ = ["Connection"]

T = TypeVar("T")


class Connection(Requests):
    """One server of a fleet. Made on any thread, used on the loop that called `start`.

    Args:
        config: The server.
        on_change: Called on the loop, synchronously, with this connection and an event of kind
            `server_state`, `tools_changed`, `listing_failed`, `server_log`, `resource_updated`,
            `elicitation_declined` or `sampling_declined`.
        rng: For jitter.
        connect_timeout: Seconds for one attempt to connect and list.
        clock: Monotonic seconds.
        pace: Every other duration.
        answering: Who answers what the server asks; by default nobody.
        logins: Who has the tokens that requests carry; needed where the configuration says OAuth.
        reader: Reads listings before they are told of; what it drafts is kept beside the tools. It says
            how fast what is long is read.
    """

    def __init__(
        self, config: ServerConfig, *, on_change: Callable[[Connection, Event], None], rng: random.Random,
        connect_timeout: float = 15.0, clock: Callable[[], float] = time.monotonic, pace: Pace | None = None,
        answering: Answering | None = None, reader: Reader | None = None, logins: Logins | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.name = config.name
        self.state: ServerState = "disconnected"
        self.last_error: str | None = None
        """Why it is not connected, or not well; None when all is well. Redacted."""
        self.listing = Listing()
        """The last good one; it stays while the server is away."""
        self.protocol: str | None = None
        self.server_name: str | None = None
        self.server_version: str | None = None
        self.completes = False
        """Whether the server completes arguments of prompts and templates."""
        self.connected_at: float | None = None
        """Unix time; None while it is not connected."""
        self._on_change, self._rng, self._clock = on_change, rng, clock
        self._connect_timeout, self._pace = connect_timeout, pace or Pace()
        self._chatter = Chatter(clock)
        self._questions = Questions(config.name, answering or Answering(), self._tell)
        self._reader = reader
        self._secrets, self._logins = secrets_of(config), logins
        self._release: Callable[[], None] = lambda: None
        """Ends the hiding of our secrets in what libraries log."""
        self._stderr: StderrTail | None = None
        self._session: Session | None = None
        """The session that takes calls."""
        self._current: Session | None = None
        """The session there is, connected or not yet."""
        self._supervisor: asyncio.Task[None] | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._subscribed: dict[str, None] = {}
        self._settled = asyncio.Event()
        self._again = asyncio.Event()
        self._retry_at: float | None = None
        self._asked = False
        self._closing = False

    def __repr__(self) -> str:
        return f"<Connection {self.name}: {self.state} over {self.transport}>"

    # -- what it is ----------------------------------------------------------------------------------------

    @property
    def transport(self) -> str:
        """`stdio`, `http`, `sse` or `in-process`."""
        return self.config.transport

    @property
    def retry_in(self) -> float | None:
        """Seconds until the next attempt to connect, while it waits for one."""
        return None if self._retry_at is None else max(0.0, self._retry_at - self._clock())

    @property
    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines of a stdio server's standard error, oldest first, redacted."""
        return self._stderr.lines() if self._stderr is not None else ()

    @property
    def pid(self) -> int | None:
        """The process of a stdio server, while there is one."""
        return self._current.wire.pid if self._current is not None else None

    # -- its life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect, on the running loop; returns at once. Without effect a second time."""
        if self._supervisor is None and not self._closing:
            if self.config.transport == "stdio":
                self._stderr = StderrTail(self.redacted)
            begin()
            self._release = hush(self._secrets)
            self._enter("connecting")
            self._supervisor = asyncio.create_task(self._supervise(), name=f"mcpnb {self.name}")
            self._supervisor.add_done_callback(self._supervised)

    async def settled(self) -> None:
        """Wait until it is connected, or until the attempt under way has said why not."""
        await self._settled.wait()

    async def reconnect(self) -> None:
        """Drop the session, with the calls on it, and connect anew at once; returns when that has settled."""
        if self._closing or self._supervisor is None or self._supervisor.done():
            raise ConnectError(self.name, "it has been closed" if self._closing else "it is not running")
        if self.state in {"draining", "failed"}:
            self._enter("reconnecting")
        self._settled.clear()
        self._asked = True
        self._again.set()
        if self._current is not None:
            self._current.lose(Fault("broken", "a new connection was asked for"), cut=True)
        await self.settled()

    def drain(self) -> None:
        """Take no new calls; those in flight end by themselves."""
        if not self._closing and self.state != "draining":
            self._enter("draining")

    async def close(self) -> None:
        """End the session and its process group. Idempotent; when it returns nothing is left behind."""
        self._closing = True
        self._again.set()
        if self._current is not None:
            self._current.lose(Fault("broken", "the connection was closed"), cut=True)
        tasks = {task for task in (self._supervisor, *self._retired) if task is not None}
        if tasks:
            await self._finished(tasks)
        if self._stderr is not None:
            self._stderr.close()
        self._release()
        self._settled.set()
        if self.state != "disconnected":
            self._enter("disconnected")

    async def _finished(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for them, within bounds: a server object's own clean-up may hang, and is cancelled then."""
        _, late = await asyncio.wait(tasks, timeout=self._pace.close_timeout)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self._pace.reap_timeout)

    # -- requests ------------------------------------------------------------------------------------------

    def exchange(
        self, what: str, send: Callable[[Client], Awaitable[T]], timeout: float | None
    ) -> Awaitable[T]:
        """One request over the session there is; see `Requests`."""
        return self._usable().exchange(what, send, timeout)

    async def subscribe(self, uri: str) -> None:
        """Have an event `resource_updated` told whenever a resource changes, across reconnections.

        One is also told after a gap in which nobody listened. Raises as `call_tool` does; `ToolError` when
        the server does not tell of changes.
        """
        subscriptions = self._usable().subscriptions
        if uri in self._subscribed:
            return
        self._subscribed[uri] = None  # before the server agrees: an update may come with its agreement
        try:
            await subscriptions.add(uri)
        except BaseException:
            self._subscribed.pop(uri, None)
            raise

    async def unsubscribe(self, uri: str) -> None:
        """Hear no more of a resource. Raises as `call_tool` does."""
        if uri in self._subscribed:
            del self._subscribed[uri]
            if self._session is not None and not self._session.lost.is_set():
                await self._session.subscriptions.drop(uri)

    async def announce_roots(self) -> None:
        """Tell the server that the roots are others now, where its era has a notification for that.

        Since 2026-07-28 there is none: a server asks anew whenever it wants to know. While the server is
        away nothing is sent; it asks when it is back.
        """
        session = self._session
        if session is not None and session.protocol in HANDSHAKE_PROTOCOL_VERSIONS:
            changed = mcp_types.RootsListChangedNotification()
            await session.exchange("roots", lambda client: client.session.send_notification(changed))

    def _usable(self) -> Session:
        if self._session is not None and self.state != "draining":
            return self._session
        why = f": {self.last_error}" if self.last_error else ""
        raise ConnectError(self.name, f"it is {self.state}{why}", retry_after=self.retry_in)

    # -- the supervisor ------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        attempt = 0
        while not self._closing:
            self._asked = False
            self._again.clear()
            self._retry_at = None
            fault, lived = await self._one_session()
            if self._closing:
                return
            if self._asked:
                attempt = 0
            elif self.state == "draining":
                self._enter("disconnected", fault.reason)
                return
            elif fault.final or (fault.kind == "denied" and lived is None):
                await self._give_up(fault)
                attempt = 0
            else:
                attempt = 0 if lived is not None and lived >= self._pace.stable_after else attempt
                await self._rest(fault, attempt)
                attempt = 0 if self._asked else attempt + 1

    def _supervised(self, task: asyncio.Task[None]) -> None:
        """The supervisor has ended; should that be by a mistake of ours, nobody waits for it in vain."""
        self._settled.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._enter("failed", f"mcpnb itself failed: {error!r}")
            self._complain(f"the supervisor of connection {self.name} failed", error)

    async def _one_session(self) -> tuple[Fault, float | None]:
        """Connect once and stay while it lasts. Why it ended, and for how many seconds it was connected."""
        if self.config.unsupported is not None:
            return Fault("refused", self.config.unsupported, final=True), None
        session = self._new_session()
        task = asyncio.create_task(session.run(), name=f"mcpnb {self.name} session")
        await session.settled.wait()
        opened_at = self._clock() if session.opened else None
        await session.lost.wait()
        lived = None if opened_at is None else self._clock() - opened_at
        self._left(session)
        if session.wire.lingers and session.busy and session.why is not None:
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        else:
            await self._finished({task})
        if not session.opened:
            self.protocol = None  # whatever it was, probe again
        return session.why or Fault("broken", "the session ended"), lived

    def _new_session(self) -> Session:
        if self._stderr is not None:
            self._stderr.trim()
        # A server of the handshake era is spared the probe: some answer it only by 10 s of silence.
        legacy = self.protocol in HANDSHAKE_PROTOCOL_VERSIONS
        self._current = Session(
            self.config, self, stderr=self._stderr, questions=self._questions, redact=self.redacted,
            legacy=legacy, connect_timeout=self._connect_timeout, pace=self._pace, rng=self._rng,
            clock=self._clock, auth=None if self._logins is None else self._logins.flow(self.config),
        )  # fmt: skip
        return self._current

    def _left(self, session: Session) -> None:
        self._session = None
        self.connected_at = None
        if session.opened and not self._closing and self.state != "draining":
            self._enter("reconnecting", session.why.reason if session.why else "the connection ended")

    async def _give_up(self, fault: Fault) -> None:
        """Nothing to try before somebody changes something and asks for it."""
        self._enter("failed", fault.reason)
        self._settled.set()
        await self._again.wait()

    async def _rest(self, fault: Fault, attempt: int) -> None:
        asked_for = min(fault.retry_after or 0.0, self._pace.retry_after_cap)
        delay = max(backoff(attempt, self._rng, self._pace), asked_for)
        self._retry_at = self._clock() + delay
        self._enter("reconnecting", fault.reason)
        self._settled.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._again.wait()

    # -- what sessions report ------------------------------------------------------------------------------

    def on_open(self, session: Session) -> None:
        """Connected: calls may come."""
        self._learn(session)
        self._session = session
        self.connected_at = time.time()
        if self.state != "draining":
            self._enter("connected")
        self._settled.set()

    def on_health(self, session: Session, problem: str | None) -> None:
        """Slow, or well again."""
        if session is self._session and self.state in {"connected", "degraded"}:
            self._enter("connected" if problem is None else "degraded", problem)

    async def on_page(self, items: int) -> None:
        """There is more to read."""
        if self._reader is not None:
            await self._reader.rest(items)

    async def on_piece(self, size: int) -> None:
        """There is more to read of a long answer."""
        if self._reader is not None:
            await self._reader.give_way(self.name, size)

    async def on_tools(self, tools: Sequence[mcp_types.Tool]) -> Any:
        """What is found out about the tools of a listing while it is nobody's news yet."""
        return None if self._reader is None else await self._reader.draft(tools)

    def on_listing(self, session: Session, items: Mapping[Kind, tuple[Any, ...]], drafts: Any) -> None:
        """A new listing, of some kinds or all."""
        if session is not self._current:
            return  # it only finishes its last calls
        before = (self.listing, self.server_name, self.server_version)
        self._learn(session)
        self.listing = replace(self.listing, **items, **({"drafts": drafts} if "tools" in items else {}))
        if before != (self.listing, self.server_name, self.server_version):
            counts = {kind: len(getattr(self.listing, kind)) for kind in KINDS}
            self._tell("tools_changed", ", ".join(f"{n} {kind}" for kind, n in counts.items() if n), **counts)

    def on_listing_failed(self, kind: Kind, why: str) -> None:
        """The last good listing stands."""
        self._tell("listing_failed", f"{kind}: {why}", listing=kind)

    def on_log(self, level: str, text: str) -> None:
        """Words for people."""
        said = self._chatter.heard(text)
        if said is not None:
            self._tell("server_log", f"{level}: {said}", level=level)

    def on_resource(self, uri: str) -> None:
        """News of a resource that somebody subscribed to."""
        # What is on its way when somebody unsubscribes is no news; a part of a subscribed resource is.
        if any(uri.startswith(wanted) for wanted in self._subscribed):
            self._tell("resource_updated", uri, uri=self.redacted(uri))

    def subscribed(self) -> tuple[str, ...]:
        """The resources whose changes are wanted, by whichever session there is."""
        return tuple(self._subscribed)

    def _learn(self, session: Session) -> None:
        if session.client is None:
            return
        self.protocol = session.protocol
        self.completes = session.client.server_capabilities.completions is not None
        info = session.client.server_info
        self.server_name = info.name if info is not None else None
        self.server_version = (info.version or None) if info is not None else None

    # -- telling -------------------------------------------------------------------------------------------

    def redacted(self, text: str) -> str:
        """The text without this server's secrets."""
        return redact(text, self._secrets if self._logins is None else self._secrets | self._logins.hidden)

    def _enter(self, state: ServerState, reason: str | None = None) -> None:
        reason = None if reason is None else self.redacted(reason)
        if (state, reason) == (self.state, self.last_error):
            return
        previous, self.state, self.last_error = self.state, state, reason
        self._tell(
            "server_state", state if reason is None else f"{state}: {reason}", state=state, previous=previous
        )

    def _tell(self, kind: str, detail: str, **data: object) -> None:
        event = Event(at=time.time(), kind=kind, server=self.name, detail=self.redacted(detail), data=data)
        try:
            self._on_change(self, event)
        except Exception as error:  # noqa: BLE001 - an observer's failure must not cost the connection
            self._complain(f"on_change of connection {self.name} raised", error)

    @staticmethod
    def _complain(message: str, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
