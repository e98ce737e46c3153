"""What an aggregate looks like: the answer, its sources, and where they disagree.

It owns how an `Aggregate` of the core is shown. It works nothing out that the aggregate does not say, and
whatever came from a server is escaped on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mcpnb.notebook import servers as table
from mcpnb.notebook import svg
from mcpnb.notebook.attribution import answer_html, givers, media_html, media_text
from mcpnb.notebook.cards import card, head, introduce
from mcpnb.notebook.disagreements import FIELDS, disagreements_html, rounded
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
    visible,
)  # fmt: skip
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS
from mcpnb.notebook.value_text import value_text

if TYPE_CHECKING:
    from mcpnb.aggregation import Disagreement, Option
    from mcpnb.result import Aggregate, Source

_TEXT_LIMIT: Final = 2_000
_ROWS: Final = 12
"""Sources that are seen at once."""
_OPTIONS: Final = 8
_REMARK: Final = 400
_TIMES: Final = "\N{MULTIPLICATION SIGN}"


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
    media = media_html(a)
    answer = "" if media and a.value == "" else f'<div class="mcpnb-value">{answer_html(a)}</div>'
    yield f"{_title('Answer')}{answer}{media}"
    yield _options(a.alternatives, len(a.results))
    yield f"{_title('Sources')}{_sources(a.sources)}"
    yield _conflicts(a.conflicts)


def _title(text: str) -> str:
    return f'<h4 class="mcpnb-sub">{text}</h4>'


def _conflict_count(count: int) -> str:
    if not count:
        return "no disagreement"
    return f'<span class="mcpnb-warn">⇄ {count} disagreement{"" if count == 1 else "s"}</span>'


def _options(options: Sequence[Option], answered: int) -> str:
    """The other answers, folded away."""
    if not options:
        return ""
    rows = [
        [givers(o.servers, answered), percent(o.confidence), cut(compact(o.value), _TEXT_LIMIT)]
        for o in options[:_OPTIONS]
    ]
    columns = (Column("Source"), Column("Confidence", numeric=True), Column("Answer"))
    more = _more(len(options) - _OPTIONS, "answer")
    words = f"{len(options)} other answer{'' if len(options) == 1 else 's'}"
    return f"<details><summary>{words}</summary>{html_table(columns, rows, row_heads=True)}{more}</details>"


# -- sources


def _sources(sources: Sequence[Source]) -> str:
    """A row per source; of many the first, and the others folded away."""
    if not sources:
        return ""
    shown, hidden = _source_table(sources[:_ROWS]), sources[_ROWS:]
    if not hidden:
        return shown
    words = f"{len(hidden)} more server{'' if len(hidden) == 1 else 's'}"
    return f"{shown}<details><summary>{words}</summary>{_source_table(hidden)}</details>"


def _source_table(sources: Sequence[Source]) -> str:
    remarks = "".join(
        f"<dt>{table.swatch(s.server)}</dt><dd>{said}</dd>" for s in sources if (said := _remarks(s))
    )
    below = f'<dl class="mcpnb-tree mcpnb-remarks">{remarks}</dl>' if remarks else ""
    return html_table(_SOURCE_COLUMNS, map(_source_row, sources), row_heads=True) + below


def _remarks(source: Source) -> str:
    """What was left out, or why there is no answer; how it was read."""
    parts = [cut(source.error, _REMARK)] if source.error else []
    if source.note:
        parts.append(f'<span class="mcpnb-dim">{cut(source.note, _REMARK)}</span>')
    return "<br>".join(parts)


_SOURCE_COLUMNS: Final = (
    Column("Server"),
    Column("Outcome"),
    Column("Latency", numeric=True, title="From the call's arrival to the end of this source"),
    Column("Confidence", title="The product of the four right of it"),
    Column("= reported", numeric=True, title="What the server says of its own answer"),
    Column(f"{_TIMES} reliability", numeric=True, title="The share of its calls that went well lately"),
    Column(f"{_TIMES} freshness", numeric=True, title="1 for the newest answer, less for older ones"),
    Column(f"{_TIMES} agreement", numeric=True, title="How many sources say the same, itself included"),
)


def _source_row(source: Source) -> list[str]:
    trust = source.trust
    parts = () if trust is None else (trust.reported, trust.reliability, trust.freshness, trust.agreement)
    return [
        table.swatch(source.server),
        table.look(table.OUTCOMES, source.outcome).html,
        duration(source.latency),
        _confidence(source) if parts else "",
        *(map(percent, parts) if parts else ("",) * 4),
    ]


def _confidence(source: Source) -> str:
    """A figure beside its bar, in the server's accent."""
    words = percent(source.confidence)
    bar = svg.meter(source.confidence, SERVERS.accent(source.server), title=words)
    return f'<span class="mcpnb-meterbox mcpnb-state">{bar}{words}</span>'


# -- disagreements


def _conflicts(conflicts: Sequence[Disagreement]) -> str:
    if not conflicts:
        return ""
    drawn = disagreements_html(conflicts)
    return f"{_title('Where they disagree')}{drawn}{_more(len(conflicts) - FIELDS, 'field')}"


def _more(count: int, word: str) -> str:
    return f'<p class="mcpnb-dim">… {count} more {word}{"" if count == 1 else "s"}</p>' if count > 0 else ""


# -- as text


def aggregate_text(aggregate: Aggregate) -> str:
    """The same for viewers without HTML."""
    a = aggregate
    answered = f"{len(a.results)} of {len(a.sources)} servers"
    top = f"{visible(a.tool)} from {answered}, fused by {a.method}, confidence {percent(a.confidence)}"
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
    split = [_split(conflict) for conflict in a.conflicts[:FIELDS]]
    said = [text for text in (value_text(a.value),) if text]
    media = [visible(shorten(text, _REMARK)) for text in media_text(a)]
    return "\n".join([top, *said, *media, sources, *split])


def _split(conflict: Disagreement) -> str:
    said = shorten(compact(dict(conflict.values)), 200)
    chosen = shorten(compact(rounded(conflict.chosen)), 60)
    return f"they disagree on {visible(conflict.key or 'the answer')}: {visible(said)} → {visible(chosen)}"
