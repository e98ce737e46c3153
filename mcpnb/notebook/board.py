"""The dashboard as a picture: from statuses, attempts and events at one time to HTML. No widget, no clock.

It owns what stands where and what is left out when there is too much. The live dashboard sends it again and
again; a saved notebook keeps the last one. The same inputs give the same HTML, so that nothing is sent twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mcpnb.metrics import Columns, Series, quantile, series, summarise
from mcpnb.metrics.summary import answered
from mcpnb.model import USABLE_STATES, Event, ServerStatus
from mcpnb.notebook import servers, svg
from mcpnb.notebook.login.words import login_event, login_lines, logins_text
from mcpnb.notebook.markup import Column, cut, escape, join, name, number, visible
from mcpnb.notebook.markup import rate as per_second
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS, Palette

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow

BUCKETS: Final = 60
_RATE_SPAN: Final = 10.0
"""Seconds over which "calls per second" looks back: short enough to follow, long enough to read."""
_SHARE_BUCKETS: Final = 3
"""Buckets that the chart of shares takes together: shares of few calls are noise."""
_LABELLED: Final = 6
"""Servers with a line and a label of their own; more would not be told apart."""
_EVENTS: Final = 7
_MARKS: Final = 12
_QUIET: Final = frozenset({"call_finished", "server_log", "attempt"})
"""Kinds of events that are too many for a list that people read."""


@dataclass(frozen=True, slots=True)
class Moment:
    """All that the board shows, as it stood at one time."""

    title: str
    strategy: str
    statuses: Sequence[ServerStatus]
    columns: Columns
    """The attempts of the window (more do no harm)."""
    events: Sequence[Event]
    """Oldest first."""
    now: float
    """Unix seconds."""
    span: float = 60.0
    """Seconds that the window covers."""
    note: str = ""
    """A line of HTML about what was done last."""
    logins: Sequence[LoginRow] = ()
    """How the servers know us."""


def clock_time(at: float) -> str:
    """A Unix time as the hour, minute and second of the reader's day."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def span_words(span: float) -> str:
    """`1 min` for 60 seconds."""
    return f"{span / 60:g} min" if span >= 60 else f"{span:g} s"


def board_html(moment: Moment, *, palette: Palette = SERVERS, foot: str = "", live: bool = False) -> str:
    """The whole board: head, table, charts, events. `live` leaves room for the controls and their buttons."""
    declared = [status.server for status in moment.statuses]
    for server in declared:  # accents follow the declared order, not the order of the first calls
        palette.accent(server)
    cut_up = series(moment.columns, buckets=BUCKETS, span=moment.span, now=moment.now)
    columns = moment.columns.where(moment.columns.started_at >= cut_up.edges[0])
    rates = _rates(columns, moment.now)
    known = figures(columns, cut_up, rates, coarse=len(declared) > servers.LONG)
    below = f'<span>{moment.note}</span><span class="mcpnb-dim">{foot}</span>'
    return (
        f'<section class="mcpnb-card mcpnb-top">{_head(moment, columns, sum(rates.values()))}'
        f"{_table(moment, known, palette, live=live)}"
        f'<div class="mcpnb-foot">{below}</div></section>'
        f"{_charts(moment, cut_up, declared, palette)}{_events(moment.events)}"
    )


def _head(moment: Moment, columns: Columns, rate: float) -> str:
    p95 = quantile(columns.latency[answered(columns)] * 1000, 0.95)
    slow = f"p95 {number(p95, 2)} ms" if math.isfinite(p95) else "no answers" if len(columns) else "no calls"
    pills = (servers.summary(moment.statuses, noun=""), f"{per_second(rate)} calls/s", slow)
    shown = "".join(f'<span class="mcpnb-pill">{escape(pill)}</span>' for pill in pills)
    return f'<div class="mcpnb-head"><span class="mcpnb-title">{name(moment.title)}</span>{shown}</div>'


def _rates(columns: Columns, now: float) -> dict[str, float]:
    """Server → answered calls per second, lately."""
    if not len(columns):
        return {}
    span = min(_RATE_SPAN, max(now - float(columns.started_at.min()), 1.0))
    lately = answered(columns) & (columns.started_at + np.nan_to_num(columns.latency) >= now - span)
    counts = np.bincount(columns.server[lately], minlength=len(columns.servers))
    return {server: float(count) / span for server, count in zip(columns.servers, counts, strict=False)}


def figures(
    columns: Columns, cut_up: Series, rates: Mapping[str, float], *, coarse: bool = False
) -> dict[str, servers.Figures]:
    """Server → what the window says about it; half as many points in the small lines if `coarse`."""
    lines = cut_up.p95_ms
    if coarse:
        lines = np.fmax(lines[:, ::2], lines[:, 1::2])
    recent = dict(zip(cut_up.servers, lines.tolist(), strict=True))
    known: dict[str, servers.Figures] = {}
    for row in summarise(columns, "server", span=1.0):
        server = row.key[0]
        rate, line = rates.get(server, 0.0), recent.get(server, ())
        known[server] = servers.Figures(rate, row.p50_ms, row.p95_ms, row.error_rate, line)
    return known


def _table(moment: Moment, known: Mapping[str, servers.Figures], palette: Palette, *, live: bool) -> str:
    compact, logins = len(moment.statuses) > servers.LONG, login_lines(moment.logins, moment.now)
    rows = [
        servers.live_row(
            status, known.get(status.server, servers.NOTHING), palette, compact=compact,
            login=logins.get(status.server, ""),
        )
        for status in moment.statuses
    ]  # fmt: skip
    heads: Sequence[Column] = servers.LIVE_COLUMNS
    if live:  # the place of the buttons, which are widgets and lie over the table
        heads, rows = (*heads, Column("")), [[*row, ""] for row in rows]
    kind = f"mcpnb-servers mcpnb-wide{' mcpnb-compact' if compact else ''}{' mcpnb-acts' if live else ''}"
    return html_table(heads, rows, caption="Servers", row_heads=True, kind=kind)


# -- charts


def _charts(moment: Moment, cut_up: Series, declared: Sequence[str], palette: Palette) -> str:
    ago = span_words(moment.span)
    titles = (f"Latency p95 by server, ms · last {ago}", f"Share of traffic, % · last {ago}")
    if not cut_up.count.any():
        empty = '<p class="mcpnb-dim mcpnb-empty">no calls in this time</p>'
        return _pair(titles, (empty, empty))
    marks = list(marks_of(moment.events, float(cut_up.edges[0]), float(cut_up.edges[-1])))
    start = f"\N{MINUS SIGN}{ago}"
    latency = svg.line_chart(_latencies(cut_up, declared, palette), title=titles[0], start=start, marks=marks)
    share = svg.share_chart(_shares(cut_up, declared, palette), title=titles[1], start=start, marks=marks)
    return _pair(titles, (latency, share))


def _pair(titles: Iterable[str], bodies: Iterable[str]) -> str:
    cards = "".join(
        f'<section class="mcpnb-card"><h4 class="mcpnb-sub">{title}</h4>{body}</section>'
        for title, body in zip(titles, bodies, strict=True)
    )
    return f'<div class="mcpnb-charts">{cards}</div>'


def _ranked(cut_up: Series, declared: Sequence[str]) -> tuple[list[int], list[int]]:
    """Places in the series of the servers with a label, in declared order, and of the others.

    The busiest of the window have one, and so has whatever was slowest.
    """
    places = {server: place for place, server in enumerate(declared)}
    order = sorted(range(len(cut_up.servers)), key=lambda i: places.get(cut_up.servers[i], len(places) + i))
    if len(order) <= _LABELLED:
        return order, []
    counts = cut_up.count.sum(axis=1)
    slowest = int(np.argmax(np.nan_to_num(cut_up.p95_ms).max(axis=1)))
    chosen = {slowest, *sorted(order, key=lambda i: -int(counts[i]))[: _LABELLED - 1]}
    return [i for i in order if i in chosen], [i for i in order if i not in chosen]


def _latencies(cut_up: Series, declared: Sequence[str], palette: Palette) -> list[svg.Line]:
    chosen, others = _ranked(cut_up, declared)
    rows = cut_up.p95_ms.tolist()
    labelled = [svg.Line(cut_up.servers[i], rows[i], palette.accent(cut_up.servers[i])) for i in chosen]
    if others:
        labelled.append(svg.Line(f"{len(others)} others", _medians(cut_up.p95_ms[others]), None))
    return labelled


def _medians(rows: npt.NDArray[np.float64]) -> list[float]:
    """Per column the median of what is known, NaN where nothing is; the lower of two middles."""
    known = (~np.isnan(rows)).sum(axis=0)
    middle = np.maximum(known - 1, 0) // 2
    medians: list[float] = np.take_along_axis(np.sort(rows, axis=0), middle[None, :], axis=0)[0].tolist()
    return medians


def _shares(cut_up: Series, declared: Sequence[str], palette: Palette) -> list[svg.Line]:
    chosen, others = _ranked(cut_up, declared)
    counts = cut_up.count.reshape(len(cut_up.servers), BUCKETS // _SHARE_BUCKETS, _SHARE_BUCKETS).sum(axis=2)
    rows = counts.tolist()
    lines = [svg.Line(cut_up.servers[i], rows[i], palette.accent(cut_up.servers[i])) for i in chosen]
    if others:
        lines.append(svg.Line(f"{len(others)} others", counts[others].sum(axis=0).tolist(), None))
    return lines


# -- events


def state_of(event: Event) -> str | None:
    """The state that a `server_state` or `breaker_state` event announces, from its data or its words."""
    said = event.data.get("state")
    if isinstance(said, str):
        return said
    known = servers.STATES if event.kind == "server_state" else servers.BREAKERS
    return next(
        (word for word in known if word in event.detail.split(":")[-1].replace("-", "_").split()), None
    )


def marks_of(events: Iterable[Event], begin: float, end: float) -> Iterable[svg.Mark]:
    """What happened between two Unix times that may explain a bend in a line, the newest few.

    Becoming connected is worth a mark only when it ends a time of being down.
    """
    down: set[str] = set()
    marks: list[svg.Mark] = []
    for event in events:
        mark = _mark(event, down)
        if mark and begin <= event.at <= end:
            marks.append(svg.Mark((event.at - begin) / (end - begin), *mark))
    return marks[-_MARKS:]


def _mark(event: Event, down: set[str]) -> tuple[str, Any] | None:
    match event.kind:
        case "server_state":
            return _state_mark(event.server or "", state_of(event) or "", down)
        case "breaker_state":
            shown = servers.look(servers.BREAKERS, state_of(event) or event.detail)
            return f"{event.server} breaker {shown.word}", shown.tone
        case "strategy":
            return event.detail.removeprefix("strategy is ").removesuffix(" now"), "dim"
        case "fault" | "profile" | "lab":
            named = event.server and not event.detail.startswith(event.server)
            return f"{event.server} {event.detail}" if named else event.detail, "warn"
        case _:
            return None


def _state_mark(server: str, state: str, down: set[str]) -> tuple[str, Any] | None:
    shown = servers.look(servers.STATES, state)
    if state in USABLE_STATES:
        back = server in down
        down.discard(server)
        return (f"{server} is back", "good") if back else None
    if shown.tone != "bad" or server in down:
        return None
    down.add(server)
    return f"{server} {shown.word}", "bad"


_KINDS: Final[Mapping[str, servers.Look]] = {
    "conflict": servers.Look("⇄", "conflict", "warn"),
    "tools_changed": servers.Look("✎", "tools changed", "warn"),
    "tool_held": servers.Look("!", "tool held", "bad"),
    "pin_failed": servers.Look("!", "pin failed", "bad"),
    "lab": servers.Look("⚑", "lab", "warn"),
    "strategy": servers.Look("⇢", "strategy", "dim"),
    "listing_failed": servers.Look("!", "listing failed", "warn"),
    "callback_failed": servers.Look("!", "callback failed", "bad"),
}


def event_look(event: Event) -> servers.Look:
    """Symbol, word and tone of an event."""
    if event.kind == "server_state":
        return servers.look(servers.STATES, state_of(event) or "state")
    if event.kind == "breaker_state":
        shown = servers.look(servers.BREAKERS, state_of(event) or "state")
        return shown._replace(word=f"breaker {shown.word}")
    if event.kind == "auth":
        return login_event(event.data.get("state"))
    return _KINDS.get(event.kind) or servers.Look("•", event.kind.replace("_", " "), "dim")


def _told(events: Sequence[Event]) -> list[Event]:
    """The newest few that people want to read, oldest first."""
    return [event for event in events if event.kind not in _QUIET][-_EVENTS:]


def _events(events: Sequence[Event]) -> str:
    items = (
        "".join(_event(event) for event in reversed(_told(events)))
        or '<li class="mcpnb-dim">nothing yet</li>'
    )
    return (
        f'<section class="mcpnb-card mcpnb-last"><h4 class="mcpnb-sub">Events</h4>'
        f'<ol class="mcpnb-events">{items}</ol></section>'
    )


def _event(event: Event) -> str:
    shown = event_look(event)
    server = f'<span class="mcpnb-who">{name(event.server)}</span> ' if event.server else ""
    return (
        f"<li><time>{clock_time(event.at)}</time>"
        f"<span>{shown.html} {server}{cut(_detail(event, shown), 400)}</span></li>"
    )


def _detail(event: Event, shown: servers.Look) -> str:
    """The event's words without the server and the state that already stand before them."""
    text = event.detail
    for said in (event.server, shown.word):
        # A server `c` has not said the first letter of "connected".
        if said and text.startswith(said) and not text[len(said) : len(said) + 1].isalnum():
            text = text[len(said) :].lstrip(" :")
    return text


def board_text(moment: Moment) -> str:
    """The same in plain text."""
    head = f"{moment.title}: {servers.summary(moment.statuses)}, strategy {moment.strategy}"
    lines = [_event_text(event) for event in reversed(_told(moment.events))]
    logins = filter(None, [logins_text(moment.logins, moment.now)])
    return visible("\n".join([head, servers.servers_text(moment.statuses), *logins, *lines]), lines=True)


def _event_text(event: Event) -> str:
    shown = event_look(event)
    return join((clock_time(event.at), str(shown), event.server or "", _detail(event, shown)), " ")
