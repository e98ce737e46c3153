"""What is known of a question, as HTML and as text: four pictures, a table of figures, and how sure they are.

It owns what stands where and in which words. The same findings give the same HTML, so that nothing is sent
twice. It knows no widgets and no threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from mcpnb.notebook.markup import Column, count, cut, escape, number, percent, rate, visible
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS, STRATEGIES, Accent
from mcpnb.notebook.playground import charts
from mcpnb.notebook.playground import figures as fig
from mcpnb.notebook.playground.charts import Dot, Line, Row, Span
from mcpnb.notebook.playground.compute import Found
from mcpnb.notebook.playground.figures import Figures
from mcpnb.notebook.playground.state import Choice, State
from mcpnb.notebook.playground.vocabulary import Episode, episodes

if TYPE_CHECKING:
    from mcpnb.experiment import Comparison

_FLOOR: Final = 4
"""Calls that the lowest share of the first picture rests on, at least."""


def accent_of(choice: Choice) -> Accent:
    """A strategy's colour, whatever its parameters are."""
    return STRATEGIES.accent(choice.name)


def picture_html(found: Found, live: Comparison | None = None, *, earlier: bool = False) -> str:
    """The pictures and the table; one line when there is nothing to draw.

    Args:
        found: What was simulated.
        live: What real servers did, shown beside it.
        earlier: Whether they were asked another question than this one.
    """
    if found.error:
        return f'<p><span class="mcpnb-bad">✕ this cannot be simulated</span> {cut(found.error)}</p>'
    if not found.state.strategies:
        return '<p class="mcpnb-dim mcpnb-empty">Choose at least one strategy.</p>'
    if not found.runs:
        return '<p class="mcpnb-dim mcpnb-empty">simulating …</p>'
    seen = fig.of_runs(found.runs)
    drawn = _charts(found, seen, None if earlier else live)
    titled = "".join(f"<div>{_titled(*each)}</div>" for each in drawn)
    simulated = f'<div class="mcpnb-four">{titled}</div>{_table(found, seen)}{_notes(found, seen)}'
    return simulated + _live(live, earlier)


def _titled(title: str, chart: str) -> str:
    return f'<h4 class="mcpnb-sub">{escape(title)}</h4>{chart}'


def _accents(state: State) -> dict[str, Accent]:
    return {choice.label: accent_of(choice) for choice in state.strategies}


def _charts(found: Found, seen: Sequence[Figures], live: Comparison | None) -> list[tuple[str, str]]:
    accents, state = _accents(found.state), found.state
    for server in state.servers:
        SERVERS.accent(server.name)
    usual = {server.name: server.service.mean * 1e3 for server in state.servers}
    trouble = episodes(state.timeline, state.load.seconds, usual)
    return [
        _slower(seen, accents),
        _over_time(state, seen, accents, trouble),
        _shares(state, seen, accents, trouble),
        _p99(found, seen, accents, live),
    ]


def _slower(seen: Sequence[Figures], accents: dict[str, Accent]) -> tuple[str, str]:
    most = max(len(figures.latencies) for figures in seen)
    floor = 10.0 ** -max(1, min(4, math.floor(math.log10(max(most / _FLOOR, 10)))))
    grid = fig.latency_grid(seen, floor)
    curves = [(figures.label, fig.slower_than(figures, floor, grid)) for figures in seen]
    title = "How many calls are slower than …"
    return title, charts.slower_chart([_line(*each, accents) for each in curves], floor, title=title)


def _line(label: str, curve: fig.Curve, accents: dict[str, Accent]) -> Line:
    band = (curve.low.tolist(), curve.high.tolist()) if curve.banded else ((), ())
    return Line(label, accents[label], curve.x.tolist(), curve.y.tolist(), *band)


def _over_time(
    state: State, seen: Sequence[Figures], accents: dict[str, Accent], trouble: Sequence[Episode]
) -> tuple[str, str]:
    cuts = fig.edges(seen[0].runs[0], state.load.seconds)
    lines = [_line(figures.label, fig.p95_over_time(figures, cuts), accents) for figures in seen]
    spans = [Span(e.server, SERVERS.accent(e.server), e.begin, e.end, e.words) for e in trouble]
    title = "p95 over time, ms"
    return title, charts.time_chart(lines, spans, state.load.seconds, title=title)


def _shares(
    state: State, seen: Sequence[Figures], accents: dict[str, Accent], trouble: Sequence[Episode]
) -> tuple[str, str]:
    title, window = "Share of calls per server, %", (0.0, math.inf)
    if trouble:
        window = min(e.begin for e in trouble), max(e.end for e in trouble)
        title += " · during the trouble"
    rows = [Row(f.label, accents[f.label], f.shares_between(*window).tolist()) for f in seen]
    servers = [(server.name, SERVERS.accent(server.name)) for server in state.servers]
    return title, charts.share_chart(rows, servers, title=title)


def _p99(
    found: Found, seen: Sequence[Figures], accents: dict[str, Accent], live: Comparison | None
) -> tuple[str, str]:
    title = "p99, ms" + (" · a tick per repeat" if found.repeats > 1 else "")
    dots = [_dot(found, figures, accents[figures.label], live) for figures in seen]
    return title, charts.dot_chart(dots, title=title)


def _dot(found: Found, figures: Figures, accent: Accent, live: Comparison | None) -> Dot:
    each = figures.each(0.99) if len(figures.runs) > 1 else []
    interval = None
    if (c := found.comparison) is not None:
        row = c.summary.loc[figures.label]
        low, high = float(row["p99_ms_low"]), float(row["p99_ms_high"])  # pyright: ignore[reportArgumentType]
        interval = (low, high) if math.isfinite(low) else None
    share = figures.errors / max(figures.calls, 1)
    ring = (
        live.points[figures.label]["p99"]
        if live is not None and figures.label in live.strategies
        else math.nan
    )
    return Dot(
        figures.label,
        accent,
        figures.points["p99"],
        [value for value in each if math.isfinite(value)],
        interval,
        f"{percent(share)} failed" if share >= 0.01 else "",
        ring if math.isfinite(ring) else None,
    )


# -- the table


class _Figure(NamedTuple):
    label: str
    calls: int
    errors: int
    goodput: float
    p50: float
    p95: float
    p99: float
    fairness: float
    verdict: str = ""


_COLUMNS: Final = (
    Column("Strategy"),
    Column("Calls", numeric=True),
    Column("Failed", numeric=True),
    Column("Answers/s", numeric=True),
    Column("p50 ms", numeric=True),
    Column("p95 ms", numeric=True),
    Column("p99 ms", numeric=True),
    Column(
        "Fairness", numeric=True, title="Jain's index: 1 when all servers have the same share of the calls"
    ),
    Column("Verdict"),
)


def _of_comparison(c: Comparison) -> list[_Figure]:
    """Best first, as the comparison itself ranks them."""
    from mcpnb.experiment.report import ranking  # noqa: PLC0415 - loads pandas, which a comparison has done

    found: list[_Figure] = []
    for label in ranking(c):
        row = c.summary.loc[label]
        numbers = [float(row[name]) for name in ("goodput", "p50_ms", "p95_ms", "p99_ms", "fairness")]  # pyright: ignore[reportArgumentType]
        counts = int(row["requests"]), int(row["errors"])  # pyright: ignore[reportArgumentType]
        found.append(_Figure(label, *counts, *numbers, verdict=str(c.verdict[label])))
    return found


def _of_figures(seen: Sequence[Figures]) -> list[_Figure]:
    rows = [
        _Figure(
            f.label,
            f.calls,
            f.errors,
            f.goodput,
            f.points["p50"],
            f.points["p95"],
            f.points["p99"],
            f.fairness,
        )
        for f in seen
    ]
    return sorted(
        rows, key=lambda row: (row.errors / max(row.calls, 1) > 0.01, np.nan_to_num(row.p95, nan=np.inf))
    )


def rows_of(found: Found, seen: Sequence[Figures] | None = None) -> list[_Figure]:
    """The table's rows, best first."""
    if found.comparison is not None:
        return _of_comparison(found.comparison)
    return _of_figures(fig.of_runs(found.runs) if seen is None else seen)


def _table(found: Found, seen: Sequence[Figures]) -> str:
    return _drawn_table(rows_of(found, seen), _accents(found.state), "Simulated")


def _drawn_table(rows: Sequence[_Figure], accents: dict[str, Accent], caption: str) -> str:
    cells = [_cells(row, accents.get(row.label) or STRATEGIES.accent(row.label)) for row in rows]
    return html_table(_COLUMNS, cells, caption=caption, row_heads=True, kind="mcpnb-wide mcpnb-figures")


def _cells(row: _Figure, accent: Accent) -> list[str]:
    failed = row.errors / max(row.calls, 1)
    swatch = f'<span class="{accent.css}"><span class="mcpnb-swatch" aria-hidden="true"></span></span>'
    verdict = escape(row.verdict) if row.verdict else '<span class="mcpnb-dim">…</span>'
    return [
        f'{swatch}<span class="mcpnb-who">{escape(row.label)}</span>',
        count(row.calls),
        f'<span class="mcpnb-bad">{percent(failed)}</span>' if failed >= 0.01 else percent(failed),
        rate(row.goodput),
        *(number(value) for value in (row.p50, row.p95, row.p99)),
        f"{row.fairness:.2f}" if math.isfinite(row.fairness) else "—",
        verdict,
    ]


def _live(live: Comparison | None, earlier: bool) -> str:
    if live is None:
        return ""
    rows = _of_comparison(live)
    accents = {row.label: STRATEGIES.accent(row.label.partition("(")[0]) for row in rows}
    title = f"Live, on servers of this machine ({count(rows[0].calls if rows else 0)} calls each)"
    title += " · before the last change" if earlier else ""
    said = "".join(f"<li>{escape(note)}</li>" for note in live.remarks)
    return (
        f'<h4 class="mcpnb-sub mcpnb-gap">{escape(title)}</h4>{_drawn_table(rows, accents, title)}'
        f'<ul class="mcpnb-notes">{said}</ul>'
    )


# -- in words


def status_words(found: Found) -> str:
    """How far the simulation is, in a few words."""
    if found.error or not found.state.strategies:
        return ""
    if found.first is not None:
        return f"a first look: the first {count(found.first)} of {count(found.state.calls)} calls"
    if found.comparison is not None:
        return f"{found.state.repeats} repeats, done"
    return f"repeat {max(found.repeats, 1)} of {found.state.repeats}"


def headline(state: State) -> str:
    """What is asked, in one line."""
    load = state.load
    return (
        f"{len(state.servers)} server{'s' * (len(state.servers) != 1)} · {load.arrivals} {number(load.rate)} "
        f"calls/s for {load.seconds:g} s · seed {state.seed}"
    )


def _notes(found: Found, seen: Sequence[Figures]) -> str:
    said = [f"{f.label} has no steady state: {f.instability}." for f in seen if f.instability]
    if found.repeats >= fig.BANDED:
        bars = "; bars: 95 % intervals" if found.comparison is not None else ""
        said.insert(0, f"Bands: from the lowest to the highest of {found.repeats} repeats{bars}.")
    items = "".join(f"<li>{escape(each)}</li>" for each in said)
    return f'<ul class="mcpnb-notes">{items}</ul>' if items else ""


def picture_text(found: Found) -> str:
    """The table in plain text."""
    if found.error:
        return f"this cannot be simulated: {visible(found.error)}"
    lines = [f"Playground: {found.state.title} · {headline(found.state)}", status_words(found)]
    if found.runs:
        lines.append(
            f"{'strategy':<24}{'calls':>9}{'failed':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}  verdict"
        )
        lines += [
            f"{row.label:<24}{row.calls:>9}{row.errors:>8}{number(row.p50):>9}{number(row.p95):>9}"
            f"{number(row.p99):>9}  {row.verdict}".rstrip()
            for row in rows_of(found)
        ]
    return "\n".join(line for line in lines if line)
