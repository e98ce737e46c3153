"""Several sessions to one server, behind the face of one connection.

It owns how many there are and which of them takes a request: the one with the fewest. One is always kept; the
others close when they have been idle for a while, and open again when every open one is busy. Each session
lives its own life in a `Connection`; the pool's state is the best of theirs. It knows nothing of routing.

Why: some servers do one thing at a time per session, and some intermediaries bind a session to one worker.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mcp import Client

from mcpnb.auth.logins import Logins
from mcpnb.config import ServerConfig
from mcpnb.errors import ConnectError
from mcpnb.model import USABLE_STATES, Event, ServerState

from .connection import Connection
from .listing import Listing, Reader
from .pace import Pace
from .questions import Answering
from .requests import Requests

__all__ = ["ConnectionPool", "Understudy", "connection_for"]

T = TypeVar("T")

_BEST_FIRST: tuple[ServerState, ...] = (
    "connected", "degraded", "connecting", "reconnecting", "draining", "failed", "disconnected",
)  # fmt: skip


class Understudy:
    """A target that plays a server without a wire: it brings the connection to itself."""

    def connection(
        self, config: ServerConfig, *, on_change: Callable[[Connection, Event], None], rng: random.Random
    ) -> Connection:
        """The connection, not started yet; the arguments are those of `Connection`."""
        raise NotImplementedError


def connection_for(
    config: ServerConfig, *, on_change: Callable[[Connection | ConnectionPool, Event], None],
    rng: random.Random, connect_timeout: float, answering: Answering | None = None,
    reader: Reader | None = None, logins: Logins | None = None,
) -> Connection | ConnectionPool:  # fmt: skip
    """What a configuration asks for: one session, or several."""
    if isinstance(config.target, Understudy):
        return config.target.connection(config, on_change=on_change, rng=rng)
    kind = Connection if config.connections == 1 else ConnectionPool
    return kind(
        config,
        on_change=on_change,
        rng=rng,
        connect_timeout=connect_timeout,
        answering=answering,
        reader=reader,
        logins=logins,
    )


class _Lane:
    """One session's connection, its requests in flight, and since when it has had none."""

    __slots__ = ("connection", "idle_since", "in_flight")

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        self.in_flight = 0
        self.idle_since = now

    @property
    def usable(self) -> bool:
        return self.connection.state in USABLE_STATES


class ConnectionPool(Requests):
    """Up to `config.connections` sessions to one server. Arguments and members are those of `Connection`."""

    def __init__(
        self, config: ServerConfig, *, on_change: Callable[[ConnectionPool, Event], None], rng: random.Random,
        connect_timeout: float = 15.0, clock: Callable[[], float] = time.monotonic, pace: Pace | None = None,
        answering: Answering | None = None, reader: Reader | None = None, logins: Logins | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.name = config.name
        self.state: ServerState = "disconnected"
        self.last_error: str | None = None
        self.listing = Listing()
        self._learnt: tuple[object, ...] = ()
        self._on_change, self._rng, self._clock = on_change, rng, clock
        self._connect_timeout, self._pace, self._answering = connect_timeout, pace, answering
        self._reader, self._logins = reader, logins
        self._lanes: list[_Lane] = [self._new_lane()]
        """The first one stays for good: it keeps the subscriptions, and it is never closed for being idle."""
        self._leaving: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._closing = False

    def __repr__(self) -> str:
        return f"<ConnectionPool {self.name}: {self.state} over {self.transport}, {self.sessions} sessions>"

    # -- what it is ----------------------------------------------------------------------------------------

    @property
    def _first(self) -> Connection:
        return self._lanes[0].connection

    @property
    def _best(self) -> Connection:
        """The connection that speaks for all: the one in the best state, the oldest of these."""
        return min((lane.connection for lane in self._lanes), key=lambda c: _BEST_FIRST.index(c.state))

    @property
    def sessions(self) -> int:
        """Sessions that take requests now."""
        return sum(lane.usable for lane in self._lanes)

    @property
    def in_flight(self) -> int:
        """Requests in flight, over all sessions."""
        return sum(lane.in_flight for lane in self._lanes)

    @property
    def transport(self) -> str:
        """As of `Connection`."""
        return self.config.transport

    @property
    def protocol(self) -> str | None:
        """As of `Connection`."""
        return self._best.protocol

    @property
    def server_name(self) -> str | None:
        """As of `Connection`."""
        return self._best.server_name

    @property
    def server_version(self) -> str | None:
        """As of `Connection`."""
        return self._best.server_version

    @property
    def completes(self) -> bool:
        """As of `Connection`."""
        return self._best.completes

    @property
    def connected_at(self) -> float | None:
        """Unix time since when the best session has been connected."""
        return self._best.connected_at

    @property
    def retry_in(self) -> float | None:
        """Seconds until the first session tries again, while none takes requests."""
        waits = [c.retry_in for c in (lane.connection for lane in self._lanes) if c.retry_in is not None]
        return None if self.state in USABLE_STATES else min(waits, default=None)

    @property
    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines of the session that speaks for all; of one that went wrong, if there is one."""
        wrong = (lane.connection for lane in self._lanes if not lane.usable and lane.connection.stderr_tail)
        return next(wrong, self._best).stderr_tail

    @property
    def pid(self) -> int | None:
        """The process of the best session."""
        return self._best.pid

    # -- its life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect all sessions, on the running loop; returns at once."""
        if self._started or self._closing:
            return
        self._started = True
        while len(self._lanes) < self.config.connections:
            self._lanes.append(self._new_lane())
        for lane in self._lanes:
            lane.connection.start()
        self._watch()

    async def settled(self) -> None:
        """Wait until one session is connected, or until all have said why not."""
        waiting = {asyncio.ensure_future(lane.connection.settled()) for lane in self._lanes}
        try:
            while waiting and self.state not in USABLE_STATES:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def reconnect(self) -> None:
        """Drop every session, with the requests on it, and connect anew at once."""
        await asyncio.gather(*(lane.connection.reconnect() for lane in self._lanes))

    def drain(self) -> None:
        """Take no new requests; those in flight end by themselves."""
        for lane in self._lanes:
            lane.connection.drain()

    async def close(self) -> None:
        """End every session. Idempotent."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(lane.connection.close() for lane in self._lanes), *self._leaving)

    # -- requests ------------------------------------------------------------------------------------------

    async def exchange(
        self,
        what: str,
        send: Callable[[Client], Awaitable[T]],
        timeout: float | None,  # noqa: ASYNC109 - passed on
    ) -> T:
        """One request over the session with the fewest; see `Requests`."""
        lane = self._pick()
        lane.in_flight += 1
        try:
            return await lane.connection.exchange(what, send, timeout)
        finally:
            lane.in_flight -= 1
            lane.idle_since = self._clock()

    def redacted(self, text: str) -> str:
        """The text without this server's secrets."""
        return self._first.redacted(text)

    async def subscribe(self, uri: str) -> None:
        """As `Connection.subscribe`, on the session that is never closed for being idle."""
        await self._first.subscribe(uri)

    async def unsubscribe(self, uri: str) -> None:
        """As `Connection.unsubscribe`."""
        await self._first.unsubscribe(uri)

    async def announce_roots(self) -> None:
        """As `Connection.announce_roots`, to every session."""
        await asyncio.gather(*(lane.connection.announce_roots() for lane in self._lanes))

    def _pick(self) -> _Lane:
        """The usable session with the fewest requests, the oldest of these. None free: one more opens."""
        usable = [lane for lane in self._lanes if lane.usable]
        if not usable:
            why = f": {self.last_error}" if self.last_error else ""
            raise ConnectError(self.name, f"it is {self.state}{why}", retry_after=self.retry_in)
        best = min(usable, key=lambda lane: lane.in_flight)
        if best.in_flight:
            self._grow()
        return best

    # -- growing and shrinking -----------------------------------------------------------------------------

    def _new_lane(self) -> _Lane:
        connection = Connection(
            self.config, on_change=self._changed, rng=random.Random(self._rng.random()),
            connect_timeout=self._connect_timeout, clock=self._clock, pace=self._pace,
            answering=self._answering, reader=self._reader, logins=self._logins,
        )  # fmt: skip
        return _Lane(connection, self._clock())

    def _grow(self) -> None:
        """One more session, unless there are enough or one is just being opened."""
        opening = any(not lane.usable for lane in self._lanes)
        if len(self._lanes) < self.config.connections and not opening and not self._closing:
            lane = self._new_lane()
            self._lanes.append(lane)
            lane.connection.start()
            self._watch()

    def shrink(self) -> None:
        """Close sessions that have been idle for `idle_timeout`, but not the first or the last usable one."""
        now, patience = self._clock(), self.config.idle_timeout
        for lane in self._lanes[:0:-1]:
            idle = not lane.in_flight and now - lane.idle_since >= patience
            if idle and lane.usable and self.sessions > 1:
                self._lanes.remove(lane)
                task = asyncio.get_running_loop().create_task(lane.connection.close())
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    def _watch(self) -> None:
        """Look for idle sessions now and then, as long as there is more than one."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.config.idle_timeout / 2, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.shrink()
        if len(self._lanes) > 1 and not self._closing:
            self._watch()

    # -- what the sessions report --------------------------------------------------------------------------

    def _changed(self, connection: Connection, event: Event) -> None:
        """Pass on what concerns the server; what one session of several went through is nobody's news."""
        if all(lane.connection is not connection for lane in self._lanes):
            return
        if event.kind == "server_state":
            self._restate(event)
        elif event.kind == "tools_changed":
            learnt = (connection.listing, connection.server_name, connection.server_version)
            if learnt != self._learnt:
                self._learnt, self.listing = learnt, connection.listing
                self._on_change(self, event)
        else:
            self._on_change(self, event)

    def _restate(self, event: Event) -> None:
        best = self._best
        if (best.state, best.last_error) == (self.state, self.last_error):
            return
        previous, self.state, self.last_error = self.state, best.state, best.last_error
        detail = best.state if best.last_error is None else f"{best.state}: {best.last_error}"
        data = {"state": best.state, "previous": previous}
        self._on_change(self, Event(event.at, "server_state", self.name, detail, data))
