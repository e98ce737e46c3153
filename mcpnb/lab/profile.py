"""How a lab server behaves: how slow, how unreliable, how many calls at once.

It owns the `Profile`, the small JSON file through which a fleet tells a server process about it, and the
middleware that makes every tool of a server behave so. It knows no particular server and no fleet.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import anyio

from mcpnb.errors import McpnbError

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

__all__ = ["Behaviour", "Profile", "ProfileFile", "ProfileSource"]

_SENT_AGAIN = 0.05
"""Seconds until what a partition holds back tries its way again."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a lab server treats each tool call. The defaults are a perfect server."""

    latency_ms: float = 0.0
    """Mean time that a call occupies the server, in ms; the tool's own work comes on top."""
    jitter: float = 0.0
    """Spread of that time as a fraction of the mean (standard deviation / mean, lognormal)."""
    error_rate: float = 0.0
    """Fraction of the calls that end in a tool error, 0 to 1."""
    capacity: int | None = None
    """Calls that are worked on at once, the others wait their turn; None is unbounded."""
    rtt_ms: float = 0.0
    """Time on the way, half there and half back, in ms; it takes no place of the capacity."""
    fault_rate: float = 0.0
    """Fraction of the calls that are lost as if the connection had broken, 0 to 1."""
    fault_ms: float = 0.0
    """Time after which a lost call says so, in ms; infinite never does."""
    drip: float | None = None
    """Bytes of an answer that get through per second (HTTP); None is all at once."""
    partitioned: bool = False
    """Whether the network between is cut: nothing arrives, and no answer comes back."""
    seed: int = 0
    """Seed of the server's random numbers; changing it starts them anew."""

    def __post_init__(self) -> None:
        for name in ("latency_ms", "rtt_ms"):
            _require_number(name, getattr(self, name), at_most=math.inf)
        _require_number("jitter", self.jitter, at_most=10)
        for name in ("error_rate", "fault_rate"):
            _require_number(name, getattr(self, name), at_most=1)
        if self.fault_ms != math.inf:
            _require_number("fault_ms", self.fault_ms, at_most=math.inf)
        if self.drip is not None and not (_is_number(self.drip) and self.drip > 0):
            raise McpnbError("profile: drip must be a number of bytes per second above 0, or None")
        if not isinstance(self.partitioned, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - from JSON
            raise McpnbError("profile: partitioned must be True or False")
        if self.capacity is not None and not (_is_whole(self.capacity) and self.capacity >= 1):
            raise McpnbError("profile: capacity must be a whole number of at least 1, or None")
        if not _is_whole(self.seed):
            raise McpnbError("profile: seed must be a whole number")

    def __repr__(self) -> str:
        """What differs from a perfect server."""
        plain = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return f"Profile({', '.join(f'{name}={value!r}' for name, value, usual in plain if value != usual)})"

    def changed(self, **changes: float | None) -> Profile:
        """This profile with some fields changed.

        Raises:
            McpnbError: A field that does not exist, or a value that it cannot have.
        """
        known = [field.name for field in fields(self)]
        for name in changes.keys() - set(known):
            raise McpnbError(f"a profile has no {name!r}; it has {', '.join(known)}")
        return replace(self, **changes)  # pyright: ignore[reportArgumentType] - __post_init__ checks them

    def since(self, before: Profile) -> str:
        """What is different from before, in a few words with units; empty where nothing is."""
        changed = self.differs(before)
        return ", ".join(_change(name, getattr(before, name), getattr(self, name)) for name in changed)

    def differs(self, other: Profile) -> tuple[str, ...]:
        """The settings in which it is not as the other."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name))

    def service_time(self, rng: random.Random) -> float:
        """Seconds that one call occupies the server."""
        return self.latency_ms / 1000 * self.stretch(rng)

    def stretch(self, rng: random.Random) -> float:
        """How many times as long as the mean one call takes."""
        if self.jitter == 0:
            return 1.0
        variance = math.log1p(self.jitter**2)
        return rng.lognormvariate(-variance / 2, math.sqrt(variance))


_TOLD = {
    "jitter": ("jitter", 100, " %"),
    "error_rate": ("errors", 100, " %"),
    "fault_rate": ("lost calls", 100, " %"),
    "rtt_ms": ("round trip", 1, " ms"),
}
"""Setting → what it is called in an event, the factor of its unit, and the unit."""


def _change(name: str, before: float | None, now: float | None) -> str:
    if now is None:
        return f"{name} unbounded" if name == "capacity" else f"no {name}"
    if name == "latency_ms" and before is not None:
        return f"{'slowed' if now > before else 'sped up'} to {now:g} ms"
    word, factor, unit = _TOLD.get(name, (name, 1, ""))
    return f"{word} {now * factor:g}{unit}"


def _require_number(name: str, value: object, *, at_most: float) -> None:
    if not (_is_number(value) and 0 <= value <= at_most):
        limit = "" if at_most == math.inf else f" and at most {at_most:g}"
        raise McpnbError(f"profile: {name} must be a number of at least 0{limit}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class ProfileSource(Protocol):
    """Where a server looks up its profile, before every call."""

    def current(self) -> Profile:
        """The profile that holds now. Cheap; never raises."""
        ...


class ProfileFile:
    """A profile in a JSON file: the fleet writes it, the server process reads it when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._profile = Profile()

    def write(self, profile: Profile) -> None:
        """Replace the file in one step, so that a reader sees the old profile or the new one, never half."""
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(asdict(profile)))
        fresh.replace(self.path)

    def current(self) -> Profile:
        """The profile in the file; the last good one while the file is missing or makes no sense."""
        try:
            stat = self.path.stat()
            # The inode too: two replacements within one tick of the clock share their modification time.
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if stamp != self._seen:
                self._seen = stamp
                self._profile = self.read()
        except (OSError, McpnbError):
            # A person may edit the file by hand: a server in the middle of a lesson goes on as it was.
            return self._profile
        return self._profile

    def read(self) -> Profile:
        """Read the file now.

        Raises:
            McpnbError: It is not a JSON object with the fields of a profile.
            OSError: It cannot be read.
        """
        try:
            values: object = json.loads(self.path.read_text())
        except ValueError as error:
            raise McpnbError(f"{self.path.name} is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise McpnbError(f"{self.path.name} must hold a JSON object such as {{'latency_ms': 20}}")
        return Profile().changed(**values)  # pyright: ignore[reportUnknownArgumentType] - checked there


class Behaviour:
    """Middleware of an MCP server: every `tools/call` waits, queues and fails as the profile says.

    The time is spent while a slot of the capacity is held, so that a full server queues as a real one does.
    A partition holds back requests of every kind, and the answers of those that were at work when it came: as
    with a cut cable, the work is done and nobody learns of it. When it is over they arrive, as what TCP sends
    again until it is through; whoever has run into a time limit is no longer there to hear it.
    """

    def __init__(
        self,
        source: ProfileSource,
        *,
        name: str,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._source, self._name, self._sleep = source, name, sleep
        self._slots = _Slots(lambda: source.current().capacity)
        self._seed: int | None = None
        self._rng = random.Random()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """The SDK's middleware face."""
        await self._get_through()
        if ctx.method == "tools/call":
            result = await self._call(self._source.current(), ctx, call_next)
        else:
            result = await call_next(ctx)
        await self._get_through()
        return result

    async def _get_through(self) -> None:
        while self._source.current().partitioned:
            await self._sleep(_SENT_AGAIN)

    async def _call(
        self, profile: Profile, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        self._reseed(profile.seed)
        # Drawn on arrival, so that the draws do not depend on who is let in first.
        stretch, fails = profile.stretch(self._rng), self._rng.random() < profile.error_rate
        await self._pass(profile.rtt_ms / 2000)
        if profile.fault_rate and self._rng.random() < profile.fault_rate:
            await self._pass(profile.fault_ms / 1000)
            raise _broken()
        result = await self._work(stretch, fails, ctx, call_next)
        await self._pass(profile.rtt_ms / 2000)
        return result

    async def _work(
        self, stretch: float, fails: bool, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        await self._slots.take()
        try:
            # The pace is that of when the work begins: what waits in line when a server gets well is quick.
            await self._pass(self._source.current().latency_ms / 1000 * stretch)
            return _failure(ctx.params, self._name) if fails else await call_next(ctx)
        finally:
            self._slots.free()

    async def _pass(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds)

    def _reseed(self, seed: int) -> None:
        if seed != self._seed:
            self._seed = seed
            self._rng = random.Random(f"{seed}/{self._name}")


def _failure(params: Mapping[str, Any] | None, server: str) -> HandlerResult:
    from mcp_types import CallToolResult, TextContent  # noqa: PLC0415 - the fleet's side needs no mcp

    text = f"{(params or {}).get('name', 'the tool')} failed on {server}: the lab's error rate struck"
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _broken() -> Exception:
    """What a client's own SDK says of a connection that ended, so that it takes the call for lost."""
    from mcp import MCPError  # noqa: PLC0415 - as above
    from mcp_types import CONNECTION_CLOSED  # noqa: PLC0415

    return MCPError(CONNECTION_CLOSED, "Connection closed")


class _Slots:
    """A semaphore whose size may change while it is held; first come, first served."""

    def __init__(self, capacity: Callable[[], int | None]) -> None:
        self._capacity = capacity
        self._taken = 0
        self._waiting: deque[anyio.Event] = deque()

    async def take(self) -> None:
        turn = anyio.Event()
        self._waiting.append(turn)
        self._admit()
        if turn.is_set():
            return
        try:
            await turn.wait()
        except BaseException:
            self._abandon(turn)
            raise

    def free(self) -> None:
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        limit = self._capacity()
        while self._waiting and (limit is None or self._taken < limit):
            self._taken += 1
            self._waiting.popleft().set()

    def _abandon(self, turn: anyio.Event) -> None:
        if turn.is_set():
            self.free()  # cancelled between being let in and waking up
        else:
            self._waiting.remove(turn)
