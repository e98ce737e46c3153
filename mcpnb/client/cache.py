"""Answers that are kept for a while, so that the same question need not be asked twice.

It owns what is kept, for how long, and who waits for whom. What is sent, and where, is decided elsewhere: the
cache is handed a function that asks. Monotonic time is injected.

- Kept are answers of tools that only read (`readOnlyHint`) where the client's cache is on, and whatever a
  call asks to have kept. Errors never are, nor is the answer of another tool that was fallen back on.
- The key is the servers that may answer, what the call demands of them, the tool, and the arguments as JSON.
- Of identical calls that run at once one goes out and the others wait for it. They share its answer, the
  tool's own no and a server's fault included. When it was given up instead (cancelled, or its own time was
  over), the first of those waiting goes out in its place: nobody inherits another's impatience.
- What a server newly says of its tools ends the life of their entries, and of answers still on their way.
"""

from __future__ import annotations

import asyncio
import json
import math
import pickle
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, cast

import anyio
import anyio.lowlevel
from cachetools import TLRUCache

from mcpnb.client.cache_policy import CachePolicy, seconds_of
from mcpnb.errors import CallTimeout
from mcpnb.model import Event, Outcome
from mcpnb.routing import Finish

if TYPE_CHECKING:
    from mcp_types import CallToolResult

__all__ = ["Cache", "CacheInfo", "Hit", "Key", "canonical"]

_GAVE_UP = frozenset({"timeout", "cancelled"})
"""Ends of a call that say nothing to those who wait for it: they may have more time, or more patience."""


class Key(NamedTuple):
    """Which question an answer answers."""

    servers: tuple[str, ...]
    """Those that may answer."""
    tool: str
    arguments: str
    """Canonical JSON."""
    where: Hashable = None
    """What else the call demands of whoever answers it."""


def canonical(arguments: Mapping[str, object]) -> str | None:
    """JSON text that is the same for the same arguments in any order; None when they have no JSON form.

    1, 1.0 and true are three different arguments, because a server can tell them apart.
    """
    try:
        return json.dumps(arguments, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None


class Hit(NamedTuple):
    """An answer for which nothing was sent. `raw` is the caller's own: changing it changes no other's."""

    raw: CallToolResult
    server: str
    """Whose answer it was."""
    tool: str
    """Of which tool; another than was asked for when that one was stood in for."""
    bytes: int
    """Of the answer's content."""
    age: float | None
    """Seconds; None when it is that of an identical call for which this one waited."""

    @property
    def origin(self) -> str:
        """Where it came from, in words."""
        how = "to an identical call that was out already" if self.age is None else f"{self.age:.1f} s old"
        return f"the answer of {self.server}{' ' if self.age is None else ', '}{how}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer as bytes: nobody can change it, and their number is what the bound counts."""

    server: str
    tool: str
    packed: bytes
    at: float
    seconds: float
    content: int
    size: int

    def hit(self, age: float | None) -> Hit:
        raw = pickle.loads(self.packed)  # noqa: S301 - our own bytes, which never left this process
        return Hit(raw, self.server, self.tool, self.content, age)


class _Flight:
    """A call that is out, and how it ended for those who wait for it."""

    __slots__ = ("end", "landed", "stale")

    def __init__(self) -> None:
        self.landed = asyncio.Event()
        self.end: _Kept | Outcome | None = None
        self.stale = False


class CacheInfo(NamedTuple):
    """What became of the calls that looked into the cache, and what is in it."""

    hits: int
    """Answered with what was kept."""
    shared: int
    """Waited for an identical call and got what it got."""
    misses: int
    """Sent."""
    unkept: int
    """Answers that were larger than the whole cache, or too deep to be copied."""
    entries: int
    bytes: int


class Cache:
    """The answers that one client keeps.

    One event loop asks; `clear`, `info` and `repr` are for any thread.

    Args:
        policy: What is kept without being asked for; None: nothing.
        clock: Monotonic seconds.
    """

    def __init__(self, policy: CachePolicy | None, *, clock: Callable[[], float]) -> None:
        self.policy, self._clock = policy, clock
        self._rules = policy or CachePolicy()
        self._store: TLRUCache[Key, _Kept] = TLRUCache(
            self._rules.max_bytes, _good_until, timer=clock, getsizeof=_size_of
        )
        self._flights: dict[Key, _Flight] = {}
        self._lock = Lock()  # of the store and the flights
        self._hits = self._shared = self._misses = self._unkept = 0

    def seconds(self, tool: str, *, read_only: bool, asked: bool | float | None) -> float:
        """How old an answer may be for this call; 0 when the call has nothing to do with the cache.

        Raises:
            ConfigError: `asked` is neither True, False nor seconds.
        """
        if asked is None:
            return self._rules.seconds(tool) if read_only and self.policy is not None else 0.0
        return self._rules.seconds(tool) if asked is True else seconds_of(asked, "cache")

    async def answer(
        self,
        key: Key,
        seconds: float,
        ask: Callable[[float | None], Awaitable[Finish]],
        *,
        timeout: float | None,  # noqa: ASYNC109 - the call's own time, of which waiting for another is a part
    ) -> Finish | Hit | Outcome:
        """What is known, else what `ask` brings; it gets the seconds left, None for the call's whole time.

        Args:
            key: The question.
            seconds: How old an answer may be, and for how long a new one is kept.
            ask: Sends the call and says how it ended.
            timeout: Seconds for the whole call; None waits for ever.

        Returns:
            How the call ended that was sent for this one; or the answer that was there; or, without either,
            how it ended that this one waited for an identical one.
        """
        deadline = math.inf if timeout is None else self._clock() + timeout
        left: float | None = None
        while True:
            if (hit := self._find(key, seconds)) is not None:
                await anyio.lowlevel.checkpoint()  # nothing else here waits, and others want to run too
                return hit
            flight = self._flights.get(key)
            if flight is None:
                return await self._go(key, seconds, ask, left)
            landed = await self._wait(flight, deadline)
            if flight.end is not None:
                self._shared += 1
                return flight.end.hit(None) if isinstance(flight.end, _Kept) else flight.end
            left = None if timeout is None else deadline - self._clock()
            if not landed or (left is not None and left <= 0):
                return Outcome("timeout", error=CallTimeout(key.tool, timeout))

    def _find(self, key: Key, seconds: float) -> Hit | None:
        with self._lock:
            kept: _Kept | None = self._store.get(key)
        age = 0.0 if kept is None else self._clock() - kept.at
        if kept is None or age >= seconds:
            return None
        self._hits += 1
        return kept.hit(age)

    async def _wait(self, flight: _Flight, deadline: float) -> bool:
        """Until the call that is out has ended; False when our own time is over before."""
        with anyio.move_on_after(None if deadline == math.inf else deadline - self._clock()):
            await flight.landed.wait()
        return flight.landed.is_set()

    async def _go(
        self, key: Key, seconds: float, ask: Callable[[float | None], Awaitable[Finish]], left: float | None
    ) -> Finish:
        flight = self._flights[key] = _Flight()
        self._misses += 1
        try:
            finish = await ask(left)
            self._land(key, flight, seconds, finish)
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.landed.set()
        return finish

    def _land(self, key: Key, flight: _Flight, seconds: float, finish: Finish) -> None:
        """Tell those who wait how the call ended, and keep its answer."""
        outcome, answered = finish.outcome, finish.call.answered
        if outcome.kind in _GAVE_UP:
            return
        if outcome.value is None or answered is None:
            flight.end = outcome
            return
        by = answered.attempt
        try:
            packed = pickle.dumps(outcome.value, protocol=pickle.HIGHEST_PROTOCOL)
        except RecursionError:  # nested deeper than can be copied: then each caller fetches its own
            self._unkept += 1
            return
        size = len(packed) + len(key.arguments)
        kept = _Kept(by.server, by.tool, packed, self._clock(), seconds, outcome.size, size)
        flight.end = kept
        if outcome.kind == "ok" and by.tool == key.tool:
            self._keep(key, flight, kept)

    def _keep(self, key: Key, flight: _Flight, kept: _Kept) -> None:
        if kept.size > self._store.maxsize:
            self._unkept += 1
            return
        with self._lock:
            if flight.stale:
                return
            while len(self._store) >= self._rules.entries and key not in self._store:
                self._store.popitem()
            self._store[key] = kept

    # -- what makes answers old before their time

    def changed(self, event: Event) -> None:
        """A server's tools are no longer what they were (`tools_changed`): forget what it may have said."""
        names = {name for how in ("added", "removed", "changed") for name in _names(event, how)}
        self._forget(lambda key: event.server in key.servers and (not names or key.tool in names))

    def clear(self) -> None:
        """Forget every answer, those included that are on their way. The counts stay."""
        self._forget(lambda _: True)

    def _forget(self, meant: Callable[[Key], bool]) -> None:
        with self._lock:
            for key in [key for key in self._store if meant(key)]:
                self._store.pop(key, None)
            for key in [key for key in self._flights if meant(key)]:
                self._flights.pop(key).stale = True

    # -- what is shown

    def info(self) -> CacheInfo:
        """Counts since the client started, and what is kept now."""
        with self._lock:
            kept, size = len(self._store), int(self._store.currsize)
        return CacheInfo(self._hits, self._shared, self._misses, self._unkept, kept, size)

    def __repr__(self) -> str:
        info = self.info()
        what = (
            "only what calls ask for" if self.policy is None else f"read-only tools for {self.policy.ttl:g} s"
        )
        counts = f"hits {info.hits:,}, shared {info.shared:,}, misses {info.misses:,}"
        return f"<Cache: {what}; {info.entries:,} answers in {info.bytes:,} bytes; {counts}>"


def _good_until(_key: Key, kept: _Kept, now: float) -> float:
    return now + kept.seconds


def _size_of(kept: _Kept) -> int:
    return kept.size


def _names(event: Event, how: str) -> Iterable[str]:
    return cast("Iterable[str]", event.data.get(how, ()))
