"""The table of servers, as HTML and as text, for the fleet's representation and for the dashboard.

It owns the words, symbols and tones of states, breakers and outcomes: colour never stands alone. It computes
no figures and keeps no state.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from mcpnb.model import USABLE_STATES, ServerStatus
from mcpnb.notebook import svg
from mcpnb.notebook.markup import (
    Column,
    count,
    cut,
    escape,
    join,
    name,
    number,
    percent,
    rate,
    shorten,
    visible,
)
from mcpnb.notebook.palette import SERVERS, Palette

Tone = Literal["good", "warn", "bad", "dim"]

ROW, COMPACT_ROW, HEAD = 46, 30, 30
"""Heights in pixels that the style sheet gives a row, a row of a long table, and the head."""
LONG: Final = 12
"""Servers beyond which rows become one line."""
_REASON: Final = 60


class Look(NamedTuple):
    """A state as people read it."""

    symbol: str
    word: str
    tone: Tone

    @property
    def html(self) -> str:
        """Symbol and word, coloured."""
        symbol = f'<span aria-hidden="true">{self.symbol}</span>'
        return f'<span class="mcpnb-state mcpnb-{self.tone}">{symbol} {escape(self.word)}</span>'

    def __str__(self) -> str:
        return f"{self.symbol} {self.word}"


STATES: Final[Mapping[str, Look]] = {
    "connecting": Look("◌", "connecting", "dim"),
    "connected": Look("●", "connected", "good"),
    "degraded": Look("◐", "degraded", "warn"),
    "reconnecting": Look("↻", "reconnecting", "bad"),
    "failed": Look("✕", "failed", "bad"),
    "disconnected": Look("○", "disconnected", "bad"),
    "draining": Look("◒", "draining", "warn"),
}
BREAKERS: Final[Mapping[str, Look]] = {
    "closed": Look("○", "closed", "good"),
    "half_open": Look("◔", "half-open", "warn"),
    "open": Look("●", "open", "bad"),
}
OUTCOMES: Final[Mapping[str, Look]] = {
    "ok": Look("✓", "ok", "good"),
    "tool_error": Look("!", "tool error", "warn"),
    "timeout": Look("◷", "timed out", "bad"),
    "disconnected": Look("✕", "disconnected", "bad"),
    "refused": Look("✕", "refused", "bad"),
    "rejected": Look("⊘", "rejected", "warn"),
    "cancelled": Look("⊘", "cancelled", "dim"),
}


def look(looks: Mapping[str, Look], word: str) -> Look:
    """How a state looks; one that is not known yet is shown as it is called."""
    return looks.get(word) or Look("•", word, "dim")


class Figures(NamedTuple):
    """What a window of time says about one server."""

    rate: float
    """Answered calls per second."""
    p50_ms: float
    p95_ms: float
    error_rate: float
    recent: Sequence[float] = ()
    """p95 in ms per bucket of the window, NaN where there was no call."""


NOTHING: Final = Figures(0.0, math.nan, math.nan, math.nan)


class Login(NamedTuple):
    """What a server's login puts into its row."""

    needed: bool = False
    """The server takes no calls until somebody logs in: that is its state then."""
    line: str = ""
    """HTML below the state."""


NO_LOGIN: Final = Login()
NEEDS_LOGIN: Final = Look("◌", "needs a login", "warn")


def state_look(status: ServerStatus, *, needs_login: bool = False) -> Look:
    """The state, with the time until the next attempt when there is one."""
    if needs_login:
        return NEEDS_LOGIN
    shown = look(STATES, status.state)
    return shown._replace(word=join((shown.word, _again(status))))


def _again(status: ServerStatus) -> str:
    """When the next attempt to reconnect is; empty where none is planned."""
    if status.state != "reconnecting" or status.retry_in is None:
        return ""
    seconds = max(math.ceil(status.retry_in), 0)
    return f"in {seconds} s" if seconds else "now"


def meta(status: ServerStatus) -> str:
    """Transport, region, version and protocol on one line, whose end may be cut."""
    version = f"v{status.version}" if status.version else ""
    return join((status.transport, status.region or "", version, status.protocol or ""))


def usable(status: ServerStatus) -> bool:
    """Whether the server takes calls."""
    return status.state in USABLE_STATES


def who(status: ServerStatus, palette: Palette, *, compact: bool = False) -> str:
    """The server's cell: its accent, its name, what it is."""
    swatch = f'<span class="mcpnb-swatch {palette.accent(status.server).css}" aria-hidden="true"></span>'
    what = escape(meta(status))
    about = "" if compact else f'<span class="mcpnb-small mcpnb-under" title="{what}">{what}</span>'
    title = escape(join((status.server, meta(status)))) if compact else escape(status.server)
    return f'<span class="mcpnb-who" title="{title}">{swatch}{name(status.server)}</span>{about}'


def state_cell(status: ServerStatus, *, compact: bool = False, login: Login = NO_LOGIN) -> str:
    """Symbol and word, and below them why the server is down, else who is logged in until when."""
    shown = state_look(status, needs_login=login.needed).html
    if compact:
        return shown
    if login.needed or usable(status) or not status.last_error:
        return f"{shown}{login.line}"
    again = _again(status)
    word = look(STATES, status.state).html if again else shown
    why = join((again, status.last_error))
    return f'{word}<span class="mcpnb-small" title="{escape(why)}">{escape(shorten(why, _REASON))}</span>'


def load_cell(status: ServerStatus, palette: Palette) -> str:
    """Calls in flight, as a bar when there is a limit, and how many wait."""
    waiting = f'<span class="mcpnb-small">+{status.queued} queued</span>' if status.queued else ""
    if not status.max_in_flight:
        return f"{status.in_flight}{waiting}"
    words = f"{status.in_flight} of {status.max_in_flight} calls in flight"
    bar = svg.meter(status.in_flight / status.max_in_flight, palette.accent(status.server), title=words)
    figure = f'<span class="mcpnb-dim">{status.in_flight}/{status.max_in_flight}</span>'
    return f'<span class="mcpnb-meterbox">{bar}{figure}</span>{waiting}'


def errors_cell(rate: float) -> str:
    """The share of errors, coloured when there are any."""
    return f'<span class="mcpnb-bad">{percent(rate)}</span>' if rate > 0 else percent(rate)


_COLUMNS: Final = (
    Column("Server"),
    Column("State"),
    Column("In flight", title="Calls that the server works on now, of those it may have at once"),
)
_LATENCIES: Final = (
    Column("p50 ms", numeric=True, title="Half of the answers came within this time"),
    Column("p95 ms", numeric=True, title="95 of 100 answers came within this time"),
    Column("Errors", numeric=True, title="Attempts that timed out, were refused or lost their server"),
)
LIVE_COLUMNS: Final = (
    *_COLUMNS,
    Column("Calls/s", numeric=True, title="Answers per second"),
    *_LATENCIES,
    Column("Latency", title="p95 over the window, from zero to its own highest point"),
    Column("Breaker"),
)
STATIC_COLUMNS: Final = (*_COLUMNS, Column("Calls", numeric=True), *_LATENCIES, Column("Breaker"))


def live_row(
    status: ServerStatus, figures: Figures, palette: Palette, *, compact: bool = False,
    login: Login = NO_LOGIN,
) -> list[str]:  # fmt: skip
    """The cells of `LIVE_COLUMNS`."""
    words = f"p95 of {status.server} over the window, now {number(figures.p95_ms, 2)} ms"
    return [
        who(status, palette, compact=compact),
        state_cell(status, compact=compact, login=login),
        load_cell(status, palette),
        rate(figures.rate),
        number(figures.p50_ms, 2),
        number(figures.p95_ms, 2),
        errors_cell(figures.error_rate),
        svg.sparkline(figures.recent, palette.accent(status.server), title=words),
        look(BREAKERS, status.breaker).html,
    ]


def static_row(status: ServerStatus, palette: Palette, login: Login = NO_LOGIN) -> list[str]:
    """The cells of `STATIC_COLUMNS`."""
    return [
        who(status, palette),
        f"{state_look(status, needs_login=login.needed).html}{login.line}",
        load_cell(status, palette),
        count(status.calls),
        number(status.p50_ms, 2),
        number(status.p95_ms, 2),
        errors_cell(status.error_rate if status.calls else math.nan),
        look(BREAKERS, status.breaker).html,
    ]


def troubles(statuses: Sequence[ServerStatus]) -> str:
    """What the servers that are down said last, whole, with the end of their standard error."""
    items = [
        _trouble(status) for status in statuses if not usable(status) and (status.last_error or status.stderr)
    ]
    if not items:
        return ""
    return f'<h4 class="mcpnb-sub">What is wrong</h4><dl class="mcpnb-tree">{"".join(items)}</dl>'


def _trouble(status: ServerStatus) -> str:
    said = cut("\n".join(status.stderr), 80) if status.stderr else ""
    heard = f'<div><span class="mcpnb-dim">standard error:</span> {said}</div>' if said else ""
    return f"<dt>{name(status.server)}</dt><dd>{cut(status.last_error or '')}{heard}</dd>"


def summary(statuses: Sequence[ServerStatus], *, noun: str = "servers ") -> str:
    """How many of the servers take calls, in words."""
    up, of = sum(map(usable, statuses)), len(statuses)
    if of == 1:
        return f"its one server takes {'' if up else 'no '}calls"
    return f"{up} of {of} {noun}take calls" if of else "no servers"


def swatch(server: str, palette: Palette = SERVERS) -> str:
    """A server's name beside its accent."""
    return f'<span class="mcpnb-swatch {palette.accent(server).css}" aria-hidden="true"></span>{name(server)}'


def text_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()
) -> str:
    """Columns of plain text, aligned; columns in `right` to the right."""
    cells = [list(heads), *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def servers_text(statuses: Sequence[ServerStatus], needing: Container[str] = ()) -> str:
    """The table for viewers without HTML; `needing` are servers that wait for a login."""
    heads = ("server", "state", "transport", "calls", "p50 ms", "p95 ms", "errors", "breaker", "last error")
    rows = [
        (
            s.server, str(state_look(s, needs_login=s.server in needing)), s.transport, str(s.calls),
            number(s.p50_ms, 2), number(s.p95_ms, 2),
            percent(s.error_rate if s.calls else math.nan), str(look(BREAKERS, s.breaker)),
            "" if usable(s) else shorten(s.last_error or "", 100),
        )
        for s in statuses
    ]  # fmt: skip
    return text_table(heads, rows, right=frozenset({3, 4, 5, 6}))
