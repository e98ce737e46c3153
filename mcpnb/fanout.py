"""One call to many servers at once: an outcome per server, under one deadline.

It owns the concurrency and the verdicts. What a call is, and how answers are fused, it does not know.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from mcpnb.errors import (
    CallTimeout,
    ConnectError,
    McpnbError,
    ServerDisconnected,
    ToolError,
    flatten,
)
from mcpnb.model import OutcomeKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SourceOutcome(Generic[T]):
    """What one server made of the call."""

    server: str
    kind: OutcomeKind
    value: T | None
    """The answer when `kind` is `ok`, else None."""
    error: BaseException | None
    """Why there is no answer; None when there is one, or when it was given up because enough had answered."""
    latency: float
    """Seconds from the start of the fan-out to this outcome."""

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.kind == "ok"


async def fan_out(
    call: Callable[[str], Awaitable[T]],
    servers: Sequence[str],
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - one deadline for all of them is what this is for
    quorum: int | None = None,
    tool: str = "the call",
    clock: Callable[[], float] = time.monotonic,
) -> list[SourceOutcome[T]]:
    """Call every server concurrently. A server that fails is an outcome, never an exception.

    Args:
        call: Makes the call at one server.
        servers: Whom to ask.
        timeout: Seconds for all of them together; None waits for the last.
        quorum: Stop when that many have answered; the others are cancelled. None wants all.
        tool: What is called, for the words of a timeout.
        clock: Monotonic seconds.

    Returns:
        One outcome per server, in the order of `servers`: those cut off by the deadline are `timeout`, those
        given up because the quorum was reached are `cancelled`.

    Raises:
        ValueError: For a quorum below one or above the number of servers.
    """
    known = len(servers)
    if quorum is not None and not 1 <= quorum <= known:
        raise ValueError(f"quorum={quorum} cannot be reached with {known} servers; take 1 to {known}.")
    fan = _Fan(call, clock, quorum)
    with anyio.move_on_after(timeout) as deadline:
        await fan.run(servers)
    late = clock() - fan.started

    def unfinished(server: str) -> SourceOutcome[T]:
        if deadline.cancelled_caught:
            return SourceOutcome(server, "timeout", None, CallTimeout(tool, timeout, server=server), late)
        return SourceOutcome(server, "cancelled", None, None, late)

    return [fan.found.get(place) or unfinished(server) for place, server in enumerate(servers)]


class _Fan(Generic[T]):
    """One fan-out while it runs."""

    def __init__(
        self, call: Callable[[str], Awaitable[T]], clock: Callable[[], float], quorum: int | None
    ) -> None:
        self._call, self._clock, self._quorum = call, clock, quorum
        self.found: dict[int, SourceOutcome[T]] = {}  # by place in the servers
        self._answers = 0
        self._scope = anyio.CancelScope()
        self.started = clock()

    async def run(self, servers: Sequence[str]) -> None:
        """Ask them all, until each has an outcome or enough have answered."""
        async with anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            for place, server in enumerate(servers):
                group.start_soon(self._ask, place, server, name=f"fan-out to {server}")

    async def _ask(self, place: int, server: str) -> None:
        try:
            value = await self._call(server)
        except Exception as error:  # noqa: BLE001 - whatever a server's call raises is that server's outcome
            self._end(place, SourceOutcome(server, kind_of(error), None, error, self._clock() - self.started))
        else:
            self._answers += 1
            self._end(place, SourceOutcome(server, "ok", value, None, self._clock() - self.started))

    def _end(self, place: int, outcome: SourceOutcome[T]) -> None:
        self.found[place] = outcome
        if self._answers == self._quorum:
            self._scope.cancel()


def kind_of(error: BaseException) -> OutcomeKind:
    """What an exception says about the call that raised it."""
    first = flatten(error)[0]
    if isinstance(first, TimeoutError):
        return "timeout"
    if isinstance(first, ConnectError):
        return "refused"
    if isinstance(first, (ServerDisconnected, OSError, EOFError)):
        return "disconnected"
    # Ours that is none of the above (no such tool, wrong arguments, overloaded) was not sent at all.
    sent = isinstance(first, ToolError) or not isinstance(first, McpnbError)
    return "tool_error" if sent else "rejected"
