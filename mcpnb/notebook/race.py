"""The race strip: calls as lanes over time, and what became of every sending of them. Pure.

It owns what an attempt is called (won, cancelled, wasted, queued, failed), with a symbol and a colour, and
how attempts of one call and calls under several strategies are laid out. It sends nothing; `svg` draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, Protocol

from mcpnb.model import AttemptRecord, Explanation
from mcpnb.notebook import servers as table
from mcpnb.notebook import svg
from mcpnb.notebook.cards import ANSWERED, introduce
from mcpnb.notebook.markup import count, duration, join, shorten, style
from mcpnb.notebook.palette import SERVERS

Ending = Literal["won", "lost", "wasted", "cancelled"]

_LANES: Final = 12
"""Attempts of one call that are drawn."""
_NOTE: Final = 96
"""Characters of a reason below its lane."""
_WORDS: Final[Mapping[str, str]] = {
    "won": "✓ won",
    "wasted": "≈ wasted: answered, not used",
    "cancelled": "⊘ cancelled",
}
"""Ending → symbol and word; what failed is called by its outcome."""


class Explained(Protocol):
    """A result, as far as a race needs it."""

    def explain(self) -> Explanation:
        """Why the call went where it went."""
        ...


Contender = Explanation | Explained


def strip(contenders: Mapping[str, Contender] | Sequence[Contender], *, title: str = "") -> str:
    """One query under several strategies side by side, a lane per server within each, as SVG.

    Args:
        contenders: Label → the explanation, or the result, of the call; a sequence is labelled by strategy.
        title: What was asked, for readers of the page without eyes on it.
    """
    explained = _explained(contenders)
    title = title or f"race of {join(dict.fromkeys(e.tool for e in explained.values()), ', ')}"
    return svg.race_strip([_contest(label, e) for label, e in explained.items()], title=title)


def strip_html(contenders: Mapping[str, Contender] | Sequence[Contender], *, title: str = "") -> str:
    """The same with the style that it needs, to stand on a page by itself."""
    return f'{style()}<div class="mcpnb">{strip(contenders, title=title)}</div>'


def strip_text(contenders: Mapping[str, Contender] | Sequence[Contender]) -> str:
    """The same in plain text, a line per server within each strategy."""
    lines: list[str] = []
    for label, e in _explained(contenders).items():
        told = [bar.text for bar in _contest(label, e).bars if bar.text and bar.ending != "queued"]
        lines += [f"{label if k == 0 else '':<22} {words}" for k, words in enumerate(told or [_silent(e)])]
    return "\n".join(lines)


def _explained(contenders: Mapping[str, Contender] | Sequence[Contender]) -> dict[str, Explanation]:
    if isinstance(contenders, Mapping):
        found = {label: _explanation(each) for label, each in contenders.items()}
    else:
        found = dict[str, Explanation]()
        for each in map(_explanation, contenders):
            found[_free(each.strategy or each.tool, found)] = each
    introduce(server for e in found.values() for server in e.candidates)
    return found


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number where it is taken."""
    return next(n for k in itertools.count(1) if (n := name if k == 1 else f"{name} {k}") not in taken)


def _explanation(of: Contender) -> Explanation:
    return of if isinstance(of, Explanation) else of.explain()


def _silent(e: Explanation) -> str:
    return "answered from the cache" if e.cached else "nothing was sent"


# -- endings


def winner(e: Explanation) -> AttemptRecord | None:
    """The attempt whose answer the call returned: the first that is ok, else the tool's last no."""
    good = next((record for record in e.attempts if record.outcome == "ok"), None)
    return good or next((record for record in reversed(e.attempts) if record.outcome in ANSWERED), None)


def ending(record: AttemptRecord, won: AttemptRecord | None) -> Ending:
    """What became of an attempt, given which one won."""
    if record is won:
        return "won"
    if record.outcome in ANSWERED:
        return "wasted"
    return "cancelled" if record.outcome == "cancelled" else "lost"


def words(record: AttemptRecord, won: AttemptRecord | None) -> str:
    """The ending with its symbol."""
    how = ending(record, won)
    refused = how == "won" and record.outcome != "ok"  # the tool's no is what the call came to
    return (not refused and _WORDS.get(how)) or str(table.look(table.OUTCOMES, record.outcome))


def in_order(e: Explanation) -> list[AttemptRecord]:
    """The attempts as they were sent; the explanation has them as they ended."""
    return sorted(e.attempts, key=lambda record: record.attempt.number)


# -- one call, a lane per attempt


def attempts_strip(e: Explanation) -> str:
    """A lane per attempt with its reason, from the call's arrival on; empty when nothing was sent."""
    attempts = in_order(e)
    if not attempts:
        return ""
    won = winner(e)
    lanes = [_lane(record, e, won) for record in attempts[:_LANES]]
    drawn = svg.race_strip(lanes, title=f"attempts of {e.tool}, from the call's arrival on")
    more = len(attempts) - _LANES
    left = f'<p class="mcpnb-dim">… {count(more)} more attempt{"s" * (more != 1)}</p>'
    return drawn + (left if more > 0 else "")


def _lane(record: AttemptRecord, e: Explanation, won: AttemptRecord | None) -> svg.Lane:
    a = record.attempt
    shown = f"{duration(record.latency)} · {table.look(table.OUTCOMES, record.outcome)}"
    how = ending(record, won)
    text = f"{shown} · {how}" if how in {"won", "wasted"} else shown
    return svg.Lane(f"{a.number} → {a.server}", _bars(record, e, won, text), _note(record, e))


def _bars(record: AttemptRecord, e: Explanation, won: AttemptRecord | None, text: str) -> list[svg.Bar]:
    """An attempt's bar, and its wait for a free server before it."""
    a, sent = record.attempt, _sent(record, e)
    accent = SERVERS.accent(a.server)
    title = f"{a.server}: {words(record, won)} after {duration(record.latency)}"
    bars = [svg.Bar(sent, sent + record.latency, accent, ending(record, won), text, title)]
    if a.queued > 0:
        waited = f"⋯ queued {duration(a.queued)} for a free server"
        bars.insert(0, svg.Bar(max(0.0, sent - a.queued), sent, accent, "queued", waited))
    return bars


def _sent(record: AttemptRecord, e: Explanation) -> float:
    """Seconds from the call's arrival."""
    return max(0.0, record.attempt.sent_at - e.arrived)


def _note(record: AttemptRecord, e: Explanation) -> str:
    """Why the attempt was sent, when, and what it waited for, where that does not go without saying."""
    a, sent = record.attempt, _sent(record, e)
    parts = [] if a.why == "first" else [a.why]
    if a.tool != e.tool:
        parts.append(f"calls {a.tool}")
    if a.queued > 0:
        parts.append(f"waited {duration(a.queued)} for a free server")
    if parts and sent > 0:
        parts.append(f"sent after {duration(sent)}")
    return shorten(" · ".join(parts), _NOTE)


# -- many calls, a lane per server within each strategy's


def _contest(label: str, e: Explanation) -> svg.Lane:
    """One strategy's call: a row per server that it was sent to, the earliest first."""
    won, rows = winner(e), dict[str, list[AttemptRecord]]()
    for record in in_order(e):
        rows.setdefault(record.attempt.server, []).append(record)
    bars = [bar for mine in rows.values() for bar in _server_row(mine, e, won)]
    return svg.Lane(label, bars, "" if bars else _silent(e))


def _server_row(
    mine: Sequence[AttemptRecord], e: Explanation, won: AttemptRecord | None
) -> Iterable[svg.Bar]:
    """What one server did about the call, in one row with its words at the end."""
    told = ", then ".join(words(record, won) for record in mine)
    waited = sum(record.attempt.queued for record in mine)
    took = duration(sum(record.latency for record in mine))
    said = join((mine[0].attempt.server, f"⋯ queued {duration(waited)}" if waited > 0 else "", told, took))
    for record in mine:
        yield from _bars(record, e, won, said if record is mine[-1] else "")
