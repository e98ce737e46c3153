"""The table: which faults there are, where each one can happen, and what has to come of it.

A `Fault` is a row; its `cases` say, for each transport where it can happen, how it is brought about and what
the affected call, the server's row and the healing have to look like. Where a fault cannot happen there is no
cell, and `NO_CELL` says why. Nothing here connects or waits: `test_faults` does.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .behaviour import NEW, OLD, TOOLS
from .proxy import Cut, Line, Rule, Seen
from .stages import LIMIT, NetStage, Stage

Moment = Literal["connect", "idle", "mid-call"]
"""Before the client connects; while it is idle, followed by a call; while the server works on a call."""

ERAS: Mapping[str, tuple[str, ...]] = {
    "stdio": (OLD, NEW),
    "http": (OLD, NEW),
    "sse": (OLD,),
    "in-process": (OLD, NEW),
}
"""SSE was replaced before 2026-07-28: that era has two transports, stdio and Streamable HTTP."""

UP = frozenset({"connected", "degraded"})
DOWN = frozenset({"reconnecting"})
FAILED = frozenset({"failed"})
CONNECTING = frozenset({"connecting"})
SLOW = frozenset({"degraded"})


Inject = Callable[[Stage], Awaitable[None] | None]
"""Does something to a stage: brings a fault about, or ends it."""


@dataclass(frozen=True)
class Row:
    """What the server's row must have said at some moment since the fault began."""

    states: frozenset[str]
    says: str = ""
    """A pattern for `last_error`."""
    event: str = ""
    """A kind of event that must have been told, too, whose detail fits `says` then."""
    throughout: bool = False
    """The row says so during the whole cell: this fault is no reason to give the server up."""
    tools: int | None = None
    times: int = 1
    """How often it must have said so, anew each time."""


@dataclass(frozen=True)
class Case:
    """One fault on one transport."""

    inject: Inject
    ends: str
    """The outcomes, separated by |, that the affected call may have: `ok` or the name of an error."""
    row: Row
    lift: Inject | None = None
    """Ends the fault; None where it is over by itself."""
    direct: bool = False
    """Without the proxy: what happens to the server's process must be felt as it is."""

    @property
    def timeout(self) -> float:
        """Seconds the affected call is given: few where they have to pass, else more than it can need."""
        return 0.5 if "CallTimeout" in self.ends else LIMIT


@dataclass(frozen=True)
class Fault:
    """A row of the matrix."""

    name: str
    moment: Moment
    cases: Mapping[str, Case]
    call: str = "echo"
    arguments: Mapping[str, object] = field(default_factory=dict)
    heals: Literal["by itself", "on reconnect"] = "by itself"
    """`on reconnect`: where only a person can put it right, the documented way is to ask for it."""
    connect_timeout: float = 15.0
    tools_after: int = TOOLS
    """What the row counts when it has healed: a listing that was good is not asked for again."""
    eras: tuple[str, ...] = (OLD, NEW)
    """One where the other would only take its time."""
    own_pace: bool = False
    """With the durations that users have; such a cell takes its time and belongs to the long job."""
    prompt: bool = True
    """The row tells the truth within two seconds of the first that is felt of the fault."""


# -- how faults are brought about --------------------------------------------------------------------------


def told(fault: str) -> Callable[[Stage], None]:
    """The server itself misbehaves."""
    return lambda stage: stage.tell(fault)


def untold(stage: Stage) -> None:
    """It behaves again."""
    stage.tell("")


def signalled(number: signal.Signals) -> Callable[[Stage], None]:
    return lambda stage: stage.signal(number)


def ruled(rule: Callable[[Stage], Rule]) -> Callable[[NetStage], None]:
    """The way to the server misbehaves."""

    def inject(stage: NetStage) -> None:
        stage.proxy.rule = rule(stage)

    return inject


def unruled(stage: NetStage) -> None:
    stage.proxy.rule = Rule()


async def restarted(stage: NetStage) -> None:
    await stage.start()


def nothing(stage: Stage) -> None:
    """The tool itself is the fault."""


def flapping(seconds: float) -> Callable[[Stage], None]:
    """It dies again and again, so many seconds after it was connected to."""

    def inject(stage: Stage) -> None:
        stage.tell(f"flap {seconds}")
        stage.signal(signal.SIGKILL)
        if isinstance(stage, NetStage):
            stage.keep_starting()

    return inject


async def steady(stage: Stage) -> None:
    stage.tell("")
    if isinstance(stage, NetStage):
        await stage.stop_starting()


def clock_put_forward(stage: Stage) -> None:
    """The clock on the wall is set, as after a long sleep or by hand; a day is more than any deadline."""
    real = time.time
    stage.on_close(lambda: setattr(time, "time", real))
    time.time = lambda: real() + 86_400


def clock_put_back(stage: Stage) -> None:
    real = time.time
    time.time = lambda: real() - 172_800


def status(code: int, words: str, **headers: str) -> Callable[[Stage], Rule]:
    """Every request is answered with this status."""

    async def instead(seen: Seen, line: Line) -> None:
        await line.status(code, words, **headers)

    return lambda stage: Rule(instead=instead)


def closed_at_once(stage: Stage) -> Rule:
    async def instead(seen: Seen, line: Line) -> None:
        return None

    return Rule(instead=instead)


def delayed(seconds: float) -> Callable[[Stage], Rule]:
    async def instead(seen: Seen, line: Line) -> Seen:
        await asyncio.sleep(seconds)
        return seen

    return lambda stage: Rule(instead=instead)


def redirected_within(stage: Stage) -> Rule:
    """Every path has moved, on the same server."""

    async def instead(seen: Seen, line: Line) -> Seen | None:
        if not seen.path.startswith("/moved/"):
            await line.status(307, "Temporary Redirect", location=f"/moved{seen.path}")
            return None
        head = seen.head.replace(b" /moved/", b" /", 1)
        return Seen(seen.method, seen.path.removeprefix("/moved"), head, seen.body)

    return Rule(instead=instead)


def answers_of(stage: Stage) -> Callable[[Seen], bool]:
    """Whose bodies carry the answers of calls."""
    if stage.transport == "sse":
        return lambda seen: seen.method == "GET"
    return lambda seen: seen.calls in {"echo", "look"}


Make = Callable[[bytes, Line, Callable[[], bool]], Awaitable[None]]
"""Writes something else than the piece of an answer that it gets; it may ask whether the fault is over."""


def answered(make: Make) -> Callable[[Stage], Rule]:
    """Something else is made of the answers of calls."""

    def rule(stage: NetStage) -> Rule:
        async def body(data: bytes, line: Line) -> None:
            if b'"content"' in data:
                await make(data, line, lambda: stage.proxy.rule is not mine)
            else:
                await line.chunk(data)

        mine = Rule(body=body, bodies_of=answers_of(stage))
        return mine

    return rule


async def cut(data: bytes, line: Line, over: Callable[[], bool]) -> None:
    await line.chunk(data[: len(data) // 2])
    # A moment, so that the half arrives: a reset overtakes what is still on its way.
    await asyncio.sleep(0.02)
    line.reset()
    raise Cut


async def dripped(data: bytes, line: Line, over: Callable[[], bool]) -> None:
    for n in range(len(data)):
        await line.chunk(data[n : n + 1])
        await asyncio.sleep(0 if over() else 0.05)


def swapped(pattern: bytes, replacement: bytes) -> Make:
    async def make(data: bytes, line: Line, over: Callable[[], bool]) -> None:
        changed = re.sub(pattern, replacement, data, count=1, flags=re.DOTALL)
        assert changed != data
        await line.chunk(changed)

    return make


garbled = swapped(rb"\{.*\}", rb"<html>Bad gateway</html>")
not_jsonrpc = swapped(rb'"jsonrpc":"2.0"', rb'"jsonrpc":"1.0"')
for_another = swapped(rb'"id":(\d+)', rb'"id":9\1')


def frozen(stage: NetStage) -> None:
    stage.proxy.freeze()


def thawed(stage: NetStage) -> None:
    stage.proxy.thaw()


# -- the rows ----------------------------------------------------------------------------------------------

ALL = ("stdio", "http", "sse", "in-process")
NET = ("http", "sse")


def on(transports: tuple[str, ...], *what: object, **more: object) -> dict[str, Case]:
    """The same case on each of these."""
    return dict.fromkeys(transports, Case(*what, **more))


WELL = Row(UP, throughout=True)
NOISE = Row(UP, "no MCP message", event="server_log", throughout=True)
SILENT = Row(DOWN, "no MCP answer within")
UNANSWERED = Row(SLOW, "no answer to a health check")
NO_LICENCE = "no licence found"

BUSY = status(503, "Service Unavailable", retry_after="1")

KILL = signalled(signal.SIGKILL)
STOP = signalled(signal.SIGSTOP)
GO_ON = signalled(signal.SIGCONT)

FAULTS: tuple[Fault, ...] = (
    # -- the process
    Fault("kill_idle", "idle", {
        # It is started again before most callers notice.
        "stdio": Case(KILL, "ok|ConnectError|ServerDisconnected", Row(DOWN, "SIGKILL")),
        **on(NET, KILL, "ConnectError|ServerDisconnected", Row(DOWN), restarted, direct=True),
    }),
    Fault("kill_mid_call", "mid-call", {
        "stdio": Case(KILL, "ServerDisconnected", Row(DOWN, "SIGKILL")),
        **on(NET, KILL, "ServerDisconnected", Row(DOWN), restarted, direct=True),
    }),
    Fault("stop_idle", "idle", {
        "stdio": Case(STOP, "CallTimeout|ServerDisconnected", UNANSWERED),
        **on(NET, STOP, "CallTimeout|ServerDisconnected", UNANSWERED, GO_ON, direct=True),
    }),
    Fault("stop_mid_call", "mid-call", {
        "stdio": Case(STOP, "CallTimeout", UNANSWERED),
        **on(NET, STOP, "CallTimeout", UNANSWERED, GO_ON, direct=True),
    }),
    Fault("flap", "mid-call", {
        "stdio": Case(flapping(0.1), "ServerDisconnected", Row(DOWN, times=3), steady),
        **on(NET, flapping(0.1), "ServerDisconnected", Row(DOWN, times=3), steady, direct=True),
    }, prompt=False),  # it is the third time that counts
    Fault("flap_every_second", "mid-call", {
        "stdio": Case(flapping(1.0), "ServerDisconnected", Row(DOWN, times=2), steady),
        **on(NET, flapping(1.0), "ServerDisconnected", Row(DOWN, times=2), steady, direct=True),
    }, eras=(NEW,), own_pace=True, prompt=False),
    # -- connecting
    Fault("exit_on_connect", "connect", {
        "stdio": Case(told("exit_on_connect"), "ToolNotFound", Row(DOWN, NO_LICENCE), untold),
        **on(NET, ruled(closed_at_once), "ToolNotFound", Row(DOWN, "broke"), unruled),
        "in-process": Case(told("exit_on_connect"), "ToolNotFound", Row(DOWN, NO_LICENCE), untold),
    }),
    Fault("slow_start", "connect", {
        **on(("stdio", "in-process"), told("slow_start 1.5"), "ToolNotFound", Row(CONNECTING), untold),
        **on(NET, ruled(delayed(0.2)), "ToolNotFound", Row(CONNECTING)),
    }),
    Fault("slow_start_8_s", "connect", {
        "stdio": Case(told("slow_start 8"), "ToolNotFound", Row(CONNECTING)),
    }, eras=(NEW,), own_pace=True),
    Fault("silent_on_connect", "connect", {
        **on(("stdio", "in-process"), told("slow_start 60"), "ToolNotFound", SILENT, untold),
        **on(NET, frozen, "ToolNotFound", SILENT, thawed),
    }, connect_timeout=1.0),
    Fault("status_503_on_connect", "connect", on(
        NET, ruled(BUSY), "ToolNotFound", Row(DOWN, "HTTP 503"), unruled,
    )),
    # -- the call
    Fault("never_returns", "idle", on(ALL, nothing, "CallTimeout", WELL), call="work"),
    Fault("big_result", "idle", on(
        ALL, nothing, "ok", WELL, direct=True,
    ), call="big", arguments={"bytes": 20_000_000}),
    # -- the way
    Fault("reset_mid_body", "idle", {
        "http": Case(ruled(answered(cut)), "ServerDisconnected", WELL, unruled),
        "sse": Case(ruled(answered(cut)), "ServerDisconnected", Row(DOWN), unruled),
    }),
    Fault("half_open", "idle", on(
        NET, frozen, "CallTimeout|ServerDisconnected", Row(SLOW | DOWN, UNANSWERED.says), thawed,
    )),
    Fault("drip", "idle", {
        "stdio": Case(told("drip"), "CallTimeout", UNANSWERED, untold),
        "http": Case(ruled(answered(dripped)), "CallTimeout", WELL, unruled),
        "sse": Case(ruled(answered(dripped)), "CallTimeout", UNANSWERED, unruled),
    }),
    Fault("status_502", "idle", on(
        NET, ruled(status(502, "Bad Gateway")), "ServerDisconnected", Row(DOWN, "HTTP 502"), unruled,
    )),
    Fault("status_503", "idle", on(
        NET, ruled(BUSY), "ConnectError", Row(DOWN, "HTTP 503"), unruled,
    )),
    Fault("status_429", "idle", on(
        NET, ruled(status(429, "Too Many Requests", retry_after="1")), "ConnectError", WELL, unruled,
    )),
    Fault("status_401", "idle", on(
        NET, ruled(status(401, "Unauthorized")), "AuthError", Row(FAILED, "HTTP 401"), unruled,
    ), heals="on reconnect"),
    Fault("session_expired", "idle", on(
        NET, ruled(status(404, "Not Found")), "ConnectError", Row(DOWN, "no longer knows"), unruled,
    )),
    Fault("redirect_within", "idle", on(NET, ruled(redirected_within), "ok", WELL, unruled)),
    Fault("redirect_away", "idle", on(
        NET, ruled(status(307, "Temporary Redirect", location="http://127.0.0.1:9/mcp?key=hidden")),
        "ConnectError", Row(DOWN, r"HTTP 307: it says that it has moved to http://127.0.0.1:9/mcp$"), unruled,
    )),
    # -- the words
    Fault("garbage", "idle", {
        "stdio": Case(told("garbage"), "ok", NOISE, untold),
        "http": Case(ruled(answered(garbled)), "ToolError", WELL, unruled),
        "sse": Case(ruled(answered(garbled)), "CallTimeout", WELL, unruled),
    }),
    Fault("garbage_flood", "idle", {"stdio": Case(told("garbage_flood"), "ok", NOISE, untold)}),
    Fault("garbage_only", "idle", {
        "stdio": Case(told("garbage_only"), "CallTimeout", NOISE, untold),
    }),
    Fault("invalid_jsonrpc", "idle", {
        "stdio": Case(told("invalid_jsonrpc"), "CallTimeout", NOISE, untold),
        "http": Case(ruled(answered(not_jsonrpc)), "ToolError", WELL, unruled),
        "sse": Case(ruled(answered(not_jsonrpc)), "CallTimeout", WELL, unruled),
    }),
    Fault("wrong_id", "idle", {
        "stdio": Case(told("wrong_id"), "CallTimeout", WELL, untold),
        # Over Streamable HTTP an answer in an event stream belongs to the request that it answers.
        "http": Case(ruled(answered(for_another)), "CallTimeout|ok", WELL, unruled),
        "sse": Case(ruled(answered(for_another)), "CallTimeout", WELL, unruled),
    }),
    # -- the listing
    *(
        Fault(name, "connect", on(
            ALL, told(f"many_tools {count}"), "ok", Row(UP, tools=count + TOOLS), untold,
        ), call=f"tool_{count - 1}", tools_after=count + TOOLS, eras=eras, own_pace=own_pace,
          prompt=False)  # until all is read it is connecting, and says so
        for name, count, eras, own_pace in (
            ("a_thousand_tools", 1_000, (OLD, NEW), False), ("ten_thousand_tools", 10_000, (NEW,), True),
        )
    ),
    Fault("page_2_fails", "connect", on(
        ALL, told("page_2_fails"), "ToolNotFound", Row(UP, "page 2 is lost", event="listing_failed"), untold,
    )),
    Fault("invalid_schema", "connect", on(
        ALL, told("invalid_schema"), "ok", Row(UP), untold,
    ), call="odd", tools_after=TOOLS + 1),
    Fault("unreadable_listing", "connect", on(
        ALL, told("unreadable_listing"), "ToolNotFound", Row(UP, event="listing_failed"), untold,
    )),
    # -- this computer
    Fault("clock_jump", "idle", on(ALL, clock_put_forward, "ok", WELL, clock_put_back)),
)  # fmt: skip

_NO_PROCESS = "a server in this process has no process of its own"
_NO_HTTP = "it does not speak HTTP"
_NO_BYTES = "its messages are objects or whole, they are never bytes on a way"
_NO_STDOUT = "only over stdio do messages share their way with what a program prints"

NO_CELL: Mapping[str, Mapping[str, str]] = {
    "kill_idle": {"in-process": _NO_PROCESS},
    "kill_mid_call": {"in-process": _NO_PROCESS},
    "stop_idle": {"in-process": _NO_PROCESS},
    "stop_mid_call": {"in-process": _NO_PROCESS},
    "flap": {"in-process": _NO_PROCESS},
    "flap_every_second": {"in-process": _NO_PROCESS},
    "slow_start_8_s": {
        "http": "whoever listens has started; slow answers are `slow_start`",
        "sse": "whoever listens has started; slow answers are `slow_start`",
        "in-process": "there is no process to start; slow answers are `slow_start`",
    },
    "status_503_on_connect": {"stdio": _NO_HTTP, "in-process": _NO_HTTP},
    "reset_mid_body": {"stdio": "a pipe ends with its process: `kill_mid_call`", "in-process": _NO_BYTES},
    "half_open": {"stdio": "a pipe has no network between its ends", "in-process": _NO_BYTES},
    "drip": {"in-process": _NO_BYTES},
    "garbage": {"in-process": _NO_BYTES},
    "garbage_flood": {"http": _NO_STDOUT, "sse": _NO_STDOUT, "in-process": _NO_STDOUT},
    "garbage_only": {"http": _NO_STDOUT, "sse": _NO_STDOUT, "in-process": _NO_STDOUT},
    "invalid_jsonrpc": {"in-process": _NO_BYTES},
    "wrong_id": {"in-process": _NO_BYTES},
    **{
        name: {"stdio": _NO_HTTP, "in-process": _NO_HTTP}
        for name in (
            "status_502", "status_503", "status_429", "status_401", "session_expired", "redirect_within",
            "redirect_away",
        )
    },
}  # fmt: skip
"""Where a fault cannot happen, and why."""
