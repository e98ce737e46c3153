"""Why a call went where it went, as HTML: its attempts in time, then every candidate and what became of it.

It owns how an `Explanation` looks. It works nothing out that the explanation does not say, and whatever came
from a server (its name, a tool's name, an error) is escaped on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mcpnb.model import AttemptRecord, Explanation
from mcpnb.notebook import race
from mcpnb.notebook import servers as table
from mcpnb.notebook.cards import card, head, introduce
from mcpnb.notebook.markup import Column, bundle, count, cut, duration, escape, name, trimmed
from mcpnb.notebook.markup import table as html_table

_ROWS: Final = 24
"""Candidates with a row of their own; a fleet may have thousands, most of them with nothing to tell."""
_NUMBERED: Final = 4
"""Attempts whose numbers get a column."""


def explanation_bundle(explanation: Explanation) -> dict[str, str]:
    """The MIME bundle of an explanation."""
    return bundle(explanation_html(explanation), str(explanation))


def explanation_html(explanation: Explanation) -> str:
    """The whole story in a card of its own."""
    e = explanation
    introduce(e.candidates[:_ROWS])
    return card(head(_title(e), _pills(e)), reasons_html(e))


def _title(e: Explanation) -> str:
    if e.cached:
        return f"Why {name(e.tool)} was answered from the cache"
    won = race.winner(e)
    if won is None:
        return f"Why {name(e.tool)} got no answer"
    instead = "" if won.attempt.tool == e.tool else f" with {name(won.attempt.tool)}"
    return f"Why {name(e.tool)} was answered by {table.swatch(won.attempt.server)}{instead}"


def _pills(e: Explanation) -> Iterable[str]:
    hedges = sum(record.attempt.hedge for record in e.attempts)
    strategies = dict.fromkeys(record.attempt.strategy for record in e.attempts) or {e.strategy: None}
    yield f"strategy {escape(', '.join(strategies))}" if e.strategy else ""
    yield _counted(len(e.attempts), "attempt") if len(e.attempts) > 1 else ""
    yield _counted(hedges, "hedge") if hedges else ""
    yield f"waited {duration(e.queued)} for a free server" if e.queued > 0 else ""
    yield f"{duration(e.total)} in all"


def _counted(number: int, word: str) -> str:
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def reasons_html(explanation: Explanation) -> str:
    """The story without its frame, as it folds out below a result."""
    e = explanation
    chosen = f"<p>Chosen among tools of this name: {escape(e.resolution)}</p>" if e.resolution else ""
    origin = f": {escape(e.origin)}" if e.origin else ""
    cached = f"<p>Answered from the cache; nothing was sent{origin}.</p>" if e.cached else ""
    return f"{chosen}{cached}" if e.cached else f"{chosen}{race_html(e)}{_candidates(e)}"


# -- in time


def race_html(explanation: Explanation) -> str:
    """A lane per attempt, from the call's arrival on; empty when nothing was sent."""
    return race.attempts_strip(explanation)


# -- by candidate


def _candidates(e: Explanation) -> str:
    numbers = [record.attempt for record in race.in_order(e) if record.attempt.saw][:_NUMBERED]
    columns = [Column("Candidate"), Column("What became of it")]
    columns += [Column(_saw_head(e, a.number, several=len(numbers) > 1), numeric=True) for a in numbers]
    saw = [dict(a.saw) for a in numbers]
    shown = _known(e)[:_ROWS]
    rows = [[table.swatch(server), _fate(server, e), *(_seen(n, server) for n in saw)] for server in shown]
    drawn = html_table(columns, rows, caption="Candidates", row_heads=True) if rows else ""
    return drawn + _rest(e, shown)


def _saw_head(e: Explanation, number: int, *, several: bool) -> str:
    looked = e.looked_at or "number"
    return f"{looked}, attempt {number}" if several else looked


def _known(e: Explanation) -> Sequence[str]:
    """Every server in the catalog's order; of very many only those that something happened to."""
    sent = [record.attempt.server for record in race.in_order(e)]
    compared = [server for record in e.attempts for server, _ in record.attempt.saw]
    everyone = dict.fromkeys((*e.candidates, *sent, *compared, *e.excluded))
    if len(everyone) <= _ROWS:
        return list(everyone)
    return list(dict.fromkeys((*sent, *compared, *e.excluded)))


def _rest(e: Explanation, shown: Sequence[str]) -> str:
    """What became of the candidates without a row."""
    hidden = len(set(e.candidates).difference(shown))
    if not hidden:
        return ""
    out = max(0, e.out_of - len(set(shown).intersection(e.excluded)))
    fate = f"{count(out)} of them filtered out" if out else "not picked"
    return f'<p class="mcpnb-dim">… {_counted(hidden, "more candidate")}, {fate}</p>'


def _seen(numbers: Mapping[str, float], server: str) -> str:
    return trimmed(numbers[server]) if server in numbers else '<span class="mcpnb-dim">not compared</span>'


def _fate(server: str, e: Explanation) -> str:
    """What happened to a server in this call."""
    told = [_ended(record) for record in race.in_order(e) if record.attempt.server == server]
    if server in e.excluded:
        told.insert(0, f'<span class="mcpnb-warn">⊘ filtered out</span> {cut(e.excluded[server], 120)}')
    return "<br>".join(told) or '<span class="mcpnb-dim">not picked</span>'


def _ended(record: AttemptRecord) -> str:
    a = record.attempt
    hedge = ' <span class="mcpnb-dim">hedge</span>' if a.hedge else ""
    error = f" {cut(record.error, 120)}" if record.error else ""
    return f"{table.look(table.OUTCOMES, record.outcome).html} after {duration(record.latency)}{hedge}{error}"
