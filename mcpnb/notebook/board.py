"""The dashboard as a picture: from statuses, attempts and events at one time to HTML. No widget, no clock.

It owns what stands where and what is left out when there is too much. The live dashboard sends it again and
again; a saved notebook keeps the last one. The same inputs give the same HTML, so that nothing is sent twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mcpnb.metrics import Columns, Series, quantile, series, summarise
from mcpnb.metrics.summary import answered
from mcpnb.model import Event, ServerStatus
from mcpnb.notebook import servers, svg
from mcpnb.notebook.happened import clock_time, event_text, events_html, marks_of, told
from mcpnb.notebook.login.row import control, logins_of, needing
from mcpnb.notebook.login.words import logins_text
from mcpnb.notebook.markup import Column, escape, name, number, visible
from mcpnb.notebook.markup import rate as per_second
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS, Palette

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow

BUCKETS: Final = 60
_RATE_SPAN: Final = 10.0
"""Seconds over which "calls per second" looks back: short enough to follow, long enough to read."""
_QUIET_FOR: Final = 2.0
_QUIET_GAPS: Final = 3
"""Traffic has ended when nothing came for so many seconds, and for so many times its usual gap."""
_SHARE_BUCKETS: Final = 3
"""Buckets that the chart of shares takes together: shares of few calls are noise."""
_LABELLED: Final = 6
"""Servers with a line and a label of their own; more would not be told apart."""


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


def span_words(span: float) -> str:
    """`1 min` for 60 seconds."""
    return f"{span / 60:g} min" if span >= 60 else f"{span:g} s"


def board_html(moment: Moment, *, palette: Palette = SERVERS, foot: str = "", live: bool = False) -> str:
    """The whole board: head, table, charts, events. `live` leaves room for the controls and their buttons."""
    declared = [status.server for status in moment.statuses]
    for server in declared:  # accents follow the declared order, not the order of the first calls
        palette.accent(server)
    still = stands_at(moment)
    at = moment.now if still is None else still
    cut_up = series(moment.columns, buckets=BUCKETS, span=moment.span, now=at)
    columns = moment.columns.where(moment.columns.started_at >= cut_up.edges[0])
    rates = _rates(columns, at) if still is None else {}
    known = figures(columns, cut_up, rates, coarse=len(declared) > servers.LONG)
    below = f'<span>{moment.note}</span><span class="mcpnb-dim">{foot}</span>'
    return (
        f'<section class="mcpnb-card mcpnb-top">{_head(moment, columns, sum(rates.values()))}'
        f"{_table(moment, known, palette, live=live)}"
        f'<div class="mcpnb-foot">{below}</div></section>'
        f"{_charts(moment, cut_up, declared, palette, still)}{events_html(moment.events)}"
    )


def _head(moment: Moment, columns: Columns, rate: float) -> str:
    p95 = quantile(columns.latency[answered(columns)] * 1000, 0.95)
    slow = f"p95 {number(p95, 2)} ms" if math.isfinite(p95) else "no answers" if len(columns) else "no calls"
    pills = (servers.summary(moment.statuses, noun=""), f"{per_second(rate)} calls/s", slow)
    shown = "".join(f'<span class="mcpnb-pill">{escape(pill)}</span>' for pill in pills)
    return f'<div class="mcpnb-head"><span class="mcpnb-title">{name(moment.title)}</span>{shown}</div>'


def stands_at(moment: Moment) -> float | None:
    """The Unix time at which charts and figures stand still because traffic has ended; else None.

    Without it the picture would creep to the left for as long as somebody looks at it, a message each time.
    Once the last attempt has left the window, they are empty, and the time is now again.
    """
    columns = moment.columns
    if not len(columns) or any(status.in_flight or status.queued for status in moment.statuses):
        return None
    ends = columns.started_at + np.nan_to_num(columns.latency)
    last = float(ends.max())
    gap = _RATE_SPAN / max(int((ends >= last - _RATE_SPAN).sum()), 1)
    quiet = last + max(_QUIET_FOR, min(_QUIET_GAPS * gap, _RATE_SPAN))
    return quiet if quiet < moment.now <= last + moment.span else None


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
    compact = len(moment.statuses) > servers.LONG
    logins = logins_of(moment.statuses, moment.logins, moment.now)
    rows = [
        servers.live_row(
            status, known.get(status.server, servers.NOTHING), palette, compact=compact,
            login=logins.get(status.server, servers.NO_LOGIN),
        )
        for status in moment.statuses
    ]  # fmt: skip
    heads: Sequence[Column] = servers.LIVE_COLUMNS
    if live:  # the place of the buttons, which are widgets and lie over the table
        heads, rows = (*heads, Column("")), [[*row, ""] for row in rows]
    acts = "" if not live else " mcpnb-acts mcpnb-two" if two_buttons(moment) else " mcpnb-acts"
    kind = f"mcpnb-servers mcpnb-wide{' mcpnb-compact' if compact else ''}{acts}"
    return html_table(heads, rows, caption="Servers", row_heads=True, kind=kind)


def two_buttons(moment: Moment) -> bool:
    """Whether rows need room for a login's button beside their own."""
    return len(moment.statuses) <= servers.LONG and any(control(row.state) for row in moment.logins)


# -- charts


def _charts(
    moment: Moment, cut_up: Series, declared: Sequence[str], palette: Palette, still: float | None
) -> str:
    ago = span_words(moment.span)
    over = f"last {ago}" if still is None else f"{ago} up to {clock_time(still)}"
    titles = (f"Latency p95 by server, ms · {over}", f"Share of traffic, % · {over}")
    if not cut_up.count.any():
        empty = '<p class="mcpnb-dim mcpnb-empty">no calls in this time</p>'
        return _pair(titles, (empty, empty))
    marks = list(marks_of(moment.events, float(cut_up.edges[0]), float(cut_up.edges[-1])))
    start, end = f"\N{MINUS SIGN}{ago}", "now" if still is None else clock_time(still)
    latency = svg.line_chart(
        _latencies(cut_up, declared, palette), title=titles[0], start=start, end=end, marks=marks
    )
    share = svg.share_chart(
        _shares(cut_up, declared, palette), title=titles[1], start=start, end=end, marks=marks
    )
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


def board_text(moment: Moment) -> str:
    """The same in plain text."""
    head = f"{moment.title}: {servers.summary(moment.statuses)}, strategy {moment.strategy}"
    lines = [event_text(event) for event in reversed(told(moment.events))]
    logins = filter(None, [logins_text(moment.logins, moment.now)])
    table = servers.servers_text(moment.statuses, needing(moment.statuses, moment.logins))
    return visible("\n".join([head, table, *logins, *lines]), lines=True)
