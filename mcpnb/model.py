"""The values that rooms hand to each other: frozen, slotted, without behaviour worth a test double.

It owns names and shapes. It knows no MCP, no event loop, no clock and no frames; times are monotonic
seconds that somebody else read, except where a field says "Unix time" (for display only).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

ServerState = Literal[
    "connecting", "connected", "degraded", "reconnecting", "failed", "disconnected", "draining"
]
"""The life of a server: connecting → connected → (degraded) → reconnecting; failed is final until changed."""

USABLE_STATES: frozenset[str] = frozenset({"connected", "degraded"})
"""States in which a server takes calls."""

OutcomeKind = Literal["ok", "tool_error", "timeout", "disconnected", "refused", "rejected", "cancelled"]
"""How an attempt ended.

`ok` and `tool_error` are the tool's own answers; `timeout` says nothing about execution;
`disconnected` went away in the middle; `refused` certainly did not execute (connection refused, session
lost, 429, 503); `rejected` was never sent (admission, breaker); `cancelled` was given up by us.
"""

OUTCOMES: tuple[OutcomeKind, ...] = (
    "ok",
    "tool_error",
    "timeout",
    "disconnected",
    "refused",
    "rejected",
    "cancelled",
)
FAULTS: frozenset[str] = frozenset({"timeout", "disconnected", "refused"})
"""Outcomes that speak against the server. Tool errors are the caller's, cancellations are nobody's."""

ANSWERS: frozenset[str] = frozenset({"ok", "tool_error"})
"""Outcomes in which the tool itself had the last word."""

NOT_EXECUTED: frozenset[str] = frozenset({"refused", "rejected"})
"""Outcomes after which the tool certainly did not run."""

Priority = Literal["high", "normal", "low"]
"""Who goes first when calls have to wait for a server."""

PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")


class ToolRef(NamedTuple):
    """A tool's identity: the pair. The string is for display and is never split back."""

    server: str
    tool: str

    def __str__(self) -> str:
        return f"{self.server}:{self.tool}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What routing knows of a server before it has called it."""

    name: str
    weight: float = 1.0
    """Static share relative to others; > 0."""
    priority: int = 0
    """Larger is preferred by the strategies and policies that look at it."""
    region: str | None = None
    tags: frozenset[str] = frozenset()
    version: str | None = None
    max_in_flight: int | None = None
    """Bulkhead: calls at once; None is unbounded."""
    rate_limit: float | None = None
    """Calls per second that may be sent; None is unbounded."""
    max_queue: int | None = None
    """What it adds to the calls that may wait while all servers of its group are full: a call waits for the
    group, and goes to whoever is free first. None, of one of them, is what the queue's policy says."""
    tool_versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions of tools that have one of their own; the others have the server's."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller may say about one call, apart from the tool's arguments."""

    server: str | None = None
    """Only this server."""
    tags: frozenset[str] = frozenset()
    """Only servers that carry all of these."""
    strategy: str | None = None
    """Another routing strategy than the fleet's."""
    timeout: float | None = None
    """Seconds for the whole call, retries included; None takes the fleet's."""
    retries: int | None = None
    """Attempts after the first, at most; None takes the fleet's."""
    idempotent: bool | None = None
    """True: may be sent again although it may have run. None: what the tool's annotations say."""
    priority: Priority = "normal"
    """Who goes first when servers are full."""
    affinity: str | None = None
    """Calls of one key go to one server, as long as it takes calls."""
    region: str | None = None
    """Servers of this region first, then by declared distance."""
    strict: bool = False
    """Never leave `region`: no server of it means no answer."""
    version: str | None = None
    """Only servers whose version of the tool fits, e.g. `">=2,<3"`."""
    hedge: bool | float | None = None
    """A second attempt elsewhere when the first is slow: True after the tool's live p95, a number after that
    many seconds, False never. None takes the fleet's. Only for calls that may be repeated."""
    cache: bool | float | None = None
    """Take the answer from the cache when it is there: a number is its age in seconds at most. None takes the
    fleet's."""
    fuse: str | Callable[..., object] | None = None
    """Another name of `method`, for those who read `options(fuse="median")`; the two are always equal."""
    method: str | Callable[..., object] | None = None
    """How `gather` fuses the answers: a method's name, or a callable that gets copies of the answers and
    runs in a thread of its own. None takes what is declared for the tool, else goes by their shape."""
    quorum: int | None = None
    """`gather` stops when that many servers have answered, and cancels the others; None waits for all."""
    raise_on_error: bool = True
    """False: an error of the tool comes back as a `Result` with `.ok == False`."""
    on_progress: Callable[[float, float | None, str | None], object] | None = None
    """Called with progress, total and message whenever the server tells them; a coroutine is awaited."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a call demands of a server, apart from its being up. Hashable: routing keeps a pool for each."""

    server: str | None = None
    tags: frozenset[str] = frozenset()
    region: str | None = None
    """Preferred; demanded when `strict`."""
    strict: bool = False
    version: str | None = None
    """A version specifier."""


class Alternative(NamedTuple):
    """Another tool to try when nobody answers for the one that was asked for."""

    tool: str
    servers: tuple[str, ...]
    repeatable: bool = False


class Request(NamedTuple):
    """One call as routing sees it: no arguments, no answer, only what decides."""

    id: int
    tool: str
    servers: tuple[str, ...]
    """The replica group, in the catalog's order."""
    deadline: float | None = None
    """Monotonic seconds at which the whole call ends; None waits for ever."""
    timeout: float | None = None
    """The same as a duration, for messages."""
    repeatable: bool = False
    """May be sent again although it may have run: read-only, idempotent, or the caller says so."""
    retries: int = 2
    """Attempts after the first, at most."""
    strategy: str | None = None
    """The name of another strategy than the fleet's."""
    requirement: Requirement | None = None
    affinity: str | None = None
    """Calls of one key go to one server, as long as it takes calls."""
    priority: Priority = "normal"
    hedge: bool | float | None = None
    """Seconds after which a second attempt is sent; True: the tool's live p95; None: what the fleet does."""
    alternatives: tuple[Alternative, ...] = ()
    """Tools to fall back on, in this order."""
    key: str = ""
    """What is asked, in a few letters, where a strategy goes by that and there is no affinity key; equal for
    equal arguments. Empty: the tool."""


class Attempt(NamedTuple):
    """One sending of one call to one server. A lease: it ends exactly once."""

    id: int
    request: int
    number: int
    """From 1, in the order of sending."""
    server: str
    tool: str
    strategy: str
    sent_at: float
    """Monotonic seconds."""
    queued: float
    """Seconds between the call's arrival and this sending."""
    hedge: bool
    why: str
    """Why it was sent: `first`, `retry: ...`, `hedge: ...`."""
    saw: tuple[tuple[str, float], ...]
    """The candidates the strategy compared, each with the number it looked at."""


class Outcome(NamedTuple):
    """How an attempt ended, as the driver saw it."""

    kind: OutcomeKind
    value: object = None
    """The answer (`ok`, `tool_error`)."""
    error: BaseException | None = None
    size: int = 0
    """Bytes of the answer, 0 when unknown."""


class AttemptRecord(NamedTuple):
    """An attempt and its end, as the explanation and the log show it."""

    attempt: Attempt
    outcome: OutcomeKind
    latency: float
    """Seconds from sending to the end, without `asked`: the server's own, by which strategies judge it."""
    error: str = ""
    asked: float = 0.0
    """Seconds in which the server waited for a person, or a language model, to answer its questions."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call went where it went."""

    tool: str
    candidates: tuple[str, ...]
    """Every server of the chosen replica group, in the catalog's order."""
    excluded: Mapping[str, str] = field(default_factory=dict[str, str])
    """Server → which filter took it out at the time of the first pick, and why; the first of them, when there
    are many."""
    out_of: int = 0
    """How many were filtered out."""
    strategy: str = ""
    looked_at: str = ""
    """What the strategy's numbers are, with their unit."""
    attempts: tuple[AttemptRecord, ...] = ()
    resolution: str = ""
    """How the catalog chose among different tools of one name; empty when there was nothing to choose."""
    queued: float = 0.0
    """Seconds the call waited for admission."""
    total: float = 0.0
    """Seconds from the call's arrival to its end, our own overhead included."""
    cached: bool = False
    """The answer is that of another call; nothing was sent for this one."""
    origin: str = ""
    """Of a cached answer: whose it was, and how old."""
    arrived: float = 0.0
    """When the call came, in the monotonic seconds of its attempts' `sent_at`."""

    def __str__(self) -> str:
        return "\n".join(_explain(self))


_NAMED = 8
"""Candidates that the text names; a fleet may have thousands."""


def _explain(e: Explanation) -> list[str]:
    lines = [f"{e.tool}: {len(e.candidates)} candidate{'s' if len(e.candidates) != 1 else ''}"]
    unnamed = len(e.candidates) - _NAMED
    named = [*e.candidates[:_NAMED], *([f"{unnamed} more"] if unnamed > 0 else [])]
    lines[0] += f" ({', '.join(named)})" if named else ""
    if e.resolution:
        lines.append(f"  chosen among tools of this name: {e.resolution}")
    lines += [f"  filtered out  {server}: {why}" for server, why in e.excluded.items()]
    if e.out_of > len(e.excluded):
        lines.append(f"  filtered out  {e.out_of - len(e.excluded)} more")
    if e.cached:
        lines.append(f"  answered from the cache; nothing was sent{f' ({e.origin})' if e.origin else ''}")
    lines += [_explain_attempt(record, e) for record in sorted(e.attempts, key=lambda r: r.attempt.number)]
    if e.queued > 0:
        lines.append(f"  waited {e.queued * 1000:.1f} ms for a free server")
    lines.append(f"  {e.total * 1000:.1f} ms in all")
    return lines


def _explain_attempt(record: AttemptRecord, e: Explanation) -> str:
    a = record.attempt
    saw = ", ".join(f"{name} {number:g}" for name, number in a.saw)
    looked = f"{a.strategy} compared {saw} ({e.looked_at})" if saw else a.strategy
    to = a.server if a.tool == e.tool else f"{a.tool} at {a.server}"
    why = "" if a.why == "first" else f" [{a.why}]"
    sent = "" if a.number == 1 and not a.queued else f", sent after {(a.sent_at - e.arrived) * 1000:.1f} ms"
    error = f" ({record.error})" if record.error else ""
    took = f"{record.outcome} after {record.latency * 1000:.1f} ms"
    took += f" and {record.asked:.1f} s for its questions" if record.asked else ""
    return f"  attempt {a.number} → {to}{why}{sent}: {took}{error}; {looked}"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server's row, as `fleet.servers` and the dashboard show it."""

    server: str
    state: ServerState
    transport: str
    protocol: str | None = None
    version: str | None = None
    region: str | None = None
    tags: tuple[str, ...] = ()
    weight: float = 1.0
    priority: int = 0
    tools: int = 0
    resources: int = 0
    prompts: int = 0
    in_flight: int = 0
    queued: int = 0
    calls: int = 0
    """Attempts that ended, since the fleet started."""
    errors: int = 0
    """Those of them that ended in `timeout`, `disconnected` or `refused`."""
    error_rate: float = 0.0
    """errors / calls, 0 when there were none."""
    p50_ms: float = float("nan")
    p95_ms: float = float("nan")
    p99_ms: float = float("nan")
    breaker: str = "closed"
    connected_at: float | None = None
    """Unix time."""
    last_error: str | None = None
    max_in_flight: int | None = None
    retry_in: float | None = None
    """Seconds until the next attempt to reconnect."""
    stderr: tuple[str, ...] = ()
    """The last lines of a stdio server's standard error."""


EVENT_KINDS: tuple[str, ...] = (
    "auth", "breaker_state", "call_finished", "callback_failed", "choices", "conflict", "discovery",
    "elicitation_declined", "fallback", "lab", "listing_failed", "outlier", "pin_failed", "prompts_changed",
    "recording", "recording_failed", "resource_updated", "resources_changed", "roots_declined",
    "sampling_declined", "schema_ignored", "server_log", "server_state", "strategy", "tool_held",
    "tools_changed",
)  # fmt: skip
"""Every kind of event that there is: a test looks for others in the source."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for people: `fleet.events` and the dashboard's log."""

    at: float
    """Unix time."""
    kind: str
    """One of `EVENT_KINDS`."""
    server: str | None
    detail: str
    data: Mapping[str, object] = field(default_factory=dict[str, object])
