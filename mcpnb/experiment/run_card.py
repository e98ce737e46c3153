"""A simulated run to look at: its figures and a row per server, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcpnb.experiment import report
from mcpnb.experiment.palette import number, percent, whole

if TYPE_CHECKING:
    from mcpnb.experiment.simulate import Run

__all__ = ["html", "text"]

ROWS = 12
"""Servers that are shown; a simulation may have thousands."""
BAR = 80
"""Pixels of the server that has most of the calls."""
HEAD = ("server", "calls", "errors", "p50 ms", "p95 ms", "share")


class _Row(NamedTuple):
    """What became of the calls that one server ended."""

    server: str
    calls: int
    errors: int
    share: float
    p50: float
    p95: float

    @property
    def cells(self) -> tuple[str, ...]:
        latencies = number(self.p50), number(self.p95)
        return (self.server, whole(self.calls), whole(self.errors), *latencies, percent(self.share))


def _rows(run: Run) -> Iterator[_Row]:
    shares = run.shares.tolist()
    for place, server in enumerate(run.names[:ROWS]):
        here = run.servers == place
        good = run.latencies[here & run.ok] * 1e3
        p50, p95 = np.quantile(good, (0.5, 0.95)).tolist() if len(good) else (np.nan, np.nan)
        calls = int(here.sum())
        yield _Row(server, calls, calls - len(good), shares[place], p50, p95)


def _title(run: Run) -> str:
    calls, failed = len(run.latencies), len(run.latencies) - int(run.ok.sum())
    rate = f"{percent(failed / calls)} failed" if failed else "none failed"
    count = len(run.names)
    return f"{run.strategy} over {count} server{'' if count == 1 else 's'}: {whole(calls)} calls, {rate}"


def _notes(run: Run) -> Iterator[str]:
    at = {name: value for name, value in run.figures().items() if isinstance(value, float | int)}
    if len(run.names) > ROWS:
        yield f"and {whole(len(run.names) - ROWS)} more servers"
    quantiles = ", ".join(f"{name} {number(at[f'{name}_ms'])} ms" for name in ("p50", "p95", "p99"))
    yield f"{quantiles}; {number(at['goodput'])} answers/s; fairness {number(at['fairness'])}"
    if at["retries"] or at["hedges"]:
        extra = f"{whole(int(at['retries']))} retries and {whole(int(at['hedges']))} hedges"
        yield f"{extra}: {percent(at['extra_load'])} more attempts than calls"
    if at["queued"]:
        waits = f"{whole(int(at['queued']))} calls waited for a free server"
        yield f"{waits}: {number(at['queued_ms'])} ms for each call on average"
    if at["breaker_trips"] or at["ejections"]:
        yield f"openings of breakers: {int(at['breaker_trips'])}; ejections: {int(at['ejections'])}"
    yield from (f"No steady state: {why}." for why in run.instability)


def text(run: Run) -> str:
    """For a terminal."""
    rows = [HEAD, *(row.cells for row in _rows(run))]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "─" * len(lines[0])
    return "\n".join(
        [_title(run), "", lines[0], rule, *lines[1:], "", *(f"  {note}" for note in _notes(run))]
    )


def html(run: Run) -> str:
    """For a notebook, in both themes."""
    head = "".join(f'<th scope="col" class="{_align(name)}">{escape(name)}</th>' for name in HEAD)
    most = max(run.shares.max(), 1e-9)
    body = "".join(f"<tr>{_cells(row, row.share / most)}</tr>" for row in _rows(run))
    notes = "".join(f"<li>{escape(note)}</li>" for note in _notes(run))
    return (
        f'<div class="mcpnb-comparison"><style>{report.STYLE}</style><table>'
        f"<caption>{escape(_title(run))}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<ul>{notes}</ul></div>"
    )


def _cells(row: _Row, filled: float) -> str:
    first, *rest = row.cells
    found = [f'<th scope="row" class="l">{escape(first)}</th>']
    for name, cell in zip(HEAD[1:], rest, strict=True):
        drawn = _bar(filled) if name == "share" else ""
        found.append(f'<td class="{_align(name)}">{drawn}{escape(cell)}</td>')
    return "".join(found)


def _bar(filled: float) -> str:
    """A share as a length; the figure beside it says it to those who do not see it."""
    return (
        f'<svg width="{BAR}" height="10" aria-hidden="true">'
        f'<rect width="{filled * BAR:.1f}" height="10" rx="3" fill="currentColor" opacity=".55"/></svg>'
    )


def _align(name: str) -> str:
    return "l" if name in {"server", "share"} else "r"
