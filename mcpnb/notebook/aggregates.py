"""What an aggregate looks like: the answer, its sources, and where they disagree.

It owns how an `Aggregate` of the core is shown. It works nothing out that the aggregate does not say, and
whatever came from a server is escaped on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mcpnb.notebook import servers as table
from mcpnb.notebook import svg
from mcpnb.notebook.cards import card, ending, head, introduce
from mcpnb.notebook.markup import (
    Column,
    bundle,
    compact,
    cut,
    duration,
    escape,
    name,
    percent,
    shorten,
    tree,
    visible,
)  # fmt: skip
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS

if TYPE_CHECKING:
    from mcpnb.aggregation import Disagreement, Option
    from mcpnb.result import Aggregate, Source

_TEXT_LIMIT: Final = 2_000
_CELL: Final = 120
_LANES: Final = 12
"""Sources that are drawn in time."""
_FIELDS: Final = 40
"""Disagreements that have a row."""
_OPTIONS: Final = 8


def aggregate_bundle(aggregate: Aggregate) -> dict[str, str]:
    """The MIME bundle of an aggregate."""
    return bundle(aggregate_html(aggregate), aggregate_text(aggregate))


def aggregate_html(aggregate: Aggregate) -> str:
    """The fused answer, who said what and how fast, and where they disagree: a section each."""
    a = aggregate
    introduce(source.server for source in a.sources)
    pills = (
        f"{len(a.results)} of {len(a.sources)} servers answered",
        f"fused by {escape(a.method)}",
        f"confidence {percent(a.confidence)}",
        _conflict_count(len(a.conflicts)),
    )
    return card(head(name(a.tool), pills), *_sections(a))


def _sections(a: Aggregate) -> Iterable[str]:
    yield f'{_title("Answer")}<div class="mcpnb-value">{_value(a.value)}</div>'
    yield _options(a.alternatives)
    yield f"{_title('Sources')}{_race(a)}"
    yield _sources(a.sources)
    yield _conflicts(a.conflicts)


def _title(text: str) -> str:
    return f'<h4 class="mcpnb-sub">{text}</h4>'


def _value(value: object) -> str:
    return cut(value, _TEXT_LIMIT, lines=40) if isinstance(value, str) and value else tree(value)


def _conflict_count(count: int) -> str:
    if not count:
        return "no disagreement"
    return f'<span class="mcpnb-warn">⇄ {count} disagreement{"" if count == 1 else "s"}</span>'


def _options(options: Sequence[Option]) -> str:
    """The other answers, folded away."""
    if not options:
        return ""
    rows = [
        [" ".join(map(table.swatch, o.servers)), percent(o.confidence), cut(compact(o.value), _TEXT_LIMIT)]
        for o in options[:_OPTIONS]
    ]
    columns = (Column("Source"), Column("Confidence", numeric=True), Column("Answer"))
    more = _more(len(options) - _OPTIONS, "answer")
    words = f"{len(options)} other answer{'' if len(options) == 1 else 's'}"
    return f"<details><summary>{words}</summary>{html_table(columns, rows, row_heads=True)}{more}</details>"


# -- sources


def _race(a: Aggregate) -> str:
    lanes = [_source_lane(source) for source in a.sources[:_LANES]]
    if not lanes:
        return ""
    strip = svg.race_strip(lanes, title=f"answers to {a.tool}, from the call's arrival on")
    return strip + _more(len(a.sources) - _LANES, "server")


def _source_lane(source: Source) -> svg.Lane:
    words = f"{duration(source.latency)} · {table.look(table.OUTCOMES, source.outcome)}"
    bar = svg.Bar(0.0, source.latency, SERVERS.accent(source.server), ending(source.outcome), words)
    return svg.Lane(source.server, [bar])


def _sources(sources: Sequence[Source]) -> str:
    heads = (
        Column("Server"),
        Column("Outcome"),
        Column("Latency", numeric=True),
        Column("Confidence", numeric=True, title="The product of what stands right of it"),
        Column("Reported", numeric=True, title="What the server says of its own answer"),
        Column("Reliability", numeric=True, title="The share of its calls that went well lately"),
        Column("Freshness", numeric=True, title="1 for the newest answer, less for older ones"),
        Column("Agreement", numeric=True, title="How many of the sources say the same, itself included"),
        Column("Remarks", title="What was left out or why there is no answer; how it was read"),
    )
    return html_table(heads, [_source_row(source) for source in sources], row_heads=True)


def _source_row(source: Source) -> list[str]:
    trust = source.trust
    parts = () if trust is None else (trust.reported, trust.reliability, trust.freshness, trust.agreement)
    remarks = [cut(source.error, 160)] if source.error else []
    if source.note:
        remarks.append(f'<span class="mcpnb-dim">{cut(source.note, 160)}</span>')
    return [
        table.swatch(source.server),
        table.look(table.OUTCOMES, source.outcome).html,
        duration(source.latency),
        percent(source.confidence),
        *(map(percent, parts) if parts else ("",) * 4),
        "<br>".join(remarks),
    ]


# -- disagreements


def _conflicts(conflicts: Sequence[Disagreement]) -> str:
    """A row per field on which the sources disagree, a column per source."""
    if not conflicts:
        return ""
    said = list(dict.fromkeys(server for conflict in conflicts for server in conflict.values))
    columns = [Column("Field"), Column("Chosen"), *(Column(server) for server in said)]
    columns.append(
        Column("Spread", numeric=True, title="Greatest difference relative to the greatest magnitude")
    )
    rows = [
        [
            cut(c.key, _CELL) if c.key else "the answer",
            cut(compact(c.chosen), _CELL),
            *(_said(c, server) for server in said),
            percent(c.spread),
        ]
        for c in conflicts[:_FIELDS]
    ]
    drawn = html_table(columns, rows, row_heads=True)
    return f"{_title('Where they disagree')}{drawn}{_more(len(conflicts) - _FIELDS, 'field')}"


def _said(conflict: Disagreement, server: str) -> str:
    if server not in conflict.values:
        return ""
    shown = cut(compact(conflict.values[server]), _CELL)
    return shown if server in conflict.agreeing else f'<span class="mcpnb-warn">≠ {shown}</span>'


def _more(count: int, word: str) -> str:
    return f'<p class="mcpnb-dim">… {count} more {word}{"" if count == 1 else "s"}</p>' if count > 0 else ""


# -- as text


def aggregate_text(aggregate: Aggregate) -> str:
    """The same for viewers without HTML."""
    a = aggregate
    answered = f"{len(a.results)} of {len(a.sources)} servers"
    top = f"{visible(a.tool)} from {answered}, fused by {a.method}, confidence {percent(a.confidence)}"
    shown = a.value if isinstance(a.value, str) else compact(a.value)
    rows = [
        (
            s.server,
            str(table.look(table.OUTCOMES, s.outcome)),
            duration(s.latency),
            percent(s.confidence),
            shorten(s.error or s.note, 80),
        )
        for s in a.sources
    ]
    heads = ("server", "outcome", "latency", "confidence", "error")
    sources = table.text_table(heads, rows, right=frozenset({2, 3}))
    split = [_split(conflict) for conflict in a.conflicts[:_FIELDS]]
    return "\n".join([top, visible(shorten(shown, _TEXT_LIMIT), lines=True), sources, *split])


def _split(conflict: Disagreement) -> str:
    said = shorten(compact(dict(conflict.values)), 200)
    chosen = shorten(compact(conflict.chosen), 60)
    return f"they disagree on {visible(conflict.key or 'the answer')}: {visible(said)} → {visible(chosen)}"
