"""What fleets, results, explanations and aggregates look like: plain functions from values to HTML and text.

It owns the pictures of values that do not live; the dashboard owns the one that does. It calls no server and
changes nothing. Everything that a server sent goes through `markup`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mcpnb.model import AttemptRecord, Explanation, ServerStatus
from mcpnb.notebook import servers as table
from mcpnb.notebook import svg
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
    trimmed,
    visible,
)  # fmt: skip
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS

if TYPE_CHECKING:
    from mcpnb.aggregation import Disagreement
    from mcpnb.result import Aggregate, Result, Source

_ANSWERED: Final = frozenset({"ok", "tool_error"})
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Kinds of images that cannot carry script."""
_SOUNDS: Final = frozenset({"audio/wav", "audio/mpeg", "audio/mp3", "audio/ogg", "audio/webm", "audio/flac"})
_MEDIA_LIMIT: Final = 8_000_000
"""Characters of base64 that one image or sound may put into a notebook file."""
_TEXT_LIMIT: Final = 2_000


def _card(head: str, *parts: str) -> str:
    return f'<section class="mcpnb-card">{head}{"".join(parts)}</section>'


def _head(title: str, pills: Iterable[str]) -> str:
    shown = "".join(f'<span class="mcpnb-pill">{pill}</span>' for pill in pills if pill)
    return f'<div class="mcpnb-head"><span class="mcpnb-title">{title}</span>{shown}</div>'


def _introduce(candidates: Iterable[str]) -> None:
    """Give servers their accents in the catalog's order, not in the order of a call's attempts."""
    for server in candidates:
        SERVERS.accent(server)


# -- fleet


def fleet_html(statuses: Sequence[ServerStatus], *, title: str = "fleet", strategy: str = "") -> str:
    """The servers' table with what is wrong with those that are down."""
    rows = [table.static_row(status, SERVERS) for status in statuses]
    shown = html_table(table.STATIC_COLUMNS, rows, caption="Servers", row_heads=True, kind="mcpnb-servers")
    pills = (escape(table.summary(statuses)), f"strategy {escape(strategy)}" if strategy else "")
    return _card(_head(name(title), pills), shown, table.troubles(statuses))


def fleet_text(statuses: Sequence[ServerStatus], *, title: str = "fleet", strategy: str = "") -> str:
    """The same for viewers without HTML."""
    how = f", strategy {strategy}" if strategy else ""
    return f"{visible(title)}: {table.summary(statuses)}{how}\n{table.servers_text(statuses)}"


def fleet_bundle(title: str, strategy: str, statuses: Sequence[ServerStatus]) -> dict[str, str]:
    """The MIME bundle of a fleet."""
    return bundle(
        fleet_html(statuses, title=title, strategy=strategy),
        fleet_text(statuses, title=title, strategy=strategy),
    )


# -- result


def result_html(result: Result) -> str:
    """The answer with its server and latency; the reasons for that server fold out."""
    why = result.explain()
    _introduce(why.candidates)
    state = table.OUTCOMES["ok" if result.ok else "tool_error"].html
    pills = (
        table.swatch(result.server),
        duration(result.latency),
        _attempts(result.attempts),
        "from the cache" if result.cached else "",
    )
    reasons = f"<details><summary>Why {name(result.server)}?</summary>{_reasons(why)}</details>"
    return _card(_head(f"{name(result.tool)} {state}", pills), *_answer(result), reasons)


def _attempts(count: int) -> str:
    return f"{count} attempts" if count > 1 else ""


def _answer(result: Result) -> Iterable[str]:
    value = result.value
    media = [shown for block in result.content if (shown := _media(block))]
    if value != "" or not media:
        yield f'<div class="mcpnb-value">{_value(value)}</div>'
    yield from media


def _value(value: object) -> str:
    return cut(value, _TEXT_LIMIT, lines=40) if isinstance(value, str) and value else tree(value)


def _media(block: Any) -> str:
    """A content block that is no text; empty for text."""
    match block.type:
        case "image":
            return _picture(block.data, block.mime_type)
        case "audio":
            return _sound(block.data, block.mime_type)
        case "resource_link":
            return f"<p>↗ {_link(str(block.uri), block.name)}</p>"
        case "resource":
            return _resource(block.resource)
        case _:
            return ""


def _picture(data: str, kind: str) -> str:
    if (bad := _not_shown(data, kind, _PICTURES)) is not None:
        return bad
    return f'<img class="mcpnb-image" alt="image from the server" src="data:{kind};base64,{data}">'


def _sound(data: str, kind: str) -> str:
    if (bad := _not_shown(data, kind, _SOUNDS)) is not None:
        return bad
    return f'<audio controls src="data:{kind};base64,{data}"></audio>'


def _not_shown(data: str, kind: str, shown: frozenset[str]) -> str | None:
    """Why data does not go onto the page, None when it does."""
    why = None
    if kind not in shown:
        why = "not a kind that is shown here"
    elif len(data) > _MEDIA_LIMIT:
        why = "too large to keep in a notebook"
    else:
        try:
            base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            why = "not valid base64"
    if why is None:
        return None
    return f'<p class="mcpnb-dim">{escape(kind)}, {len(data):,} characters of base64: {why}; see .content</p>'


def _link(uri: str, label: str) -> str:
    if uri.startswith(("https://", "http://")):
        return f'<a href="{escape(uri)}" rel="noopener noreferrer" target="_blank">{escape(label)}</a>'
    return f"{escape(label)} <code>{escape(shorten(uri, 200))}</code>"


def _resource(resource: Any) -> str:
    text = getattr(resource, "text", None)
    blob = getattr(resource, "blob", "")
    kind = resource.mime_type or "unknown type"
    body = (
        cut(text) if text is not None else f"{escape(kind)}, {len(blob):,} characters of base64; see .content"
    )
    return f"<div><code>{escape(shorten(str(resource.uri), 200))}</code> {body}</div>"


def result_text(result: Result) -> str:
    """The same for viewers without HTML."""
    state = "ok" if result.ok else "tool error"
    attempts = f", {result.attempts} attempts" if result.attempts > 1 else ""
    value = result.value
    shown = value if isinstance(value, str) else compact(value)
    head = f"{result.tool} from {result.server}: {state}, {duration(result.latency)}{attempts}"
    return f"{visible(head)}\n{visible(shorten(shown, _TEXT_LIMIT), lines=True)}"


def result_bundle(result: Result) -> dict[str, str]:
    """The MIME bundle of a result."""
    return bundle(result_html(result), result_text(result))


# -- explanation


def explanation_html(explanation: Explanation) -> str:
    """Why a call went where it went: the race of its attempts, then every candidate."""
    e = explanation
    _introduce(e.candidates)
    winner = next((r.attempt.server for r in reversed(e.attempts) if r.outcome in _ANSWERED), None)
    if winner:
        title = f"Why {name(e.tool)} was answered by {table.swatch(winner)}"
    else:
        title = f"Why {name(e.tool)} {'was answered from the cache' if e.cached else 'got no answer'}"
    pills = (
        f"strategy {escape(e.strategy)}" if e.strategy else "",
        f"{duration(e.total)} in all",
        f"waited {duration(e.queued)} for admission" if e.queued > 0 else "",
    )
    return _card(_head(title, pills), _reasons(e))


def _reasons(e: Explanation) -> str:
    chosen = f"<p>Chosen among tools of this name: {escape(e.resolution)}</p>" if e.resolution else ""
    cached = "<p>Answered from the cache; nothing was sent.</p>" if e.cached else ""
    return f"{chosen}{cached}{race_html(e)}{_candidates(e)}"


def race_html(explanation: Explanation) -> str:
    """The race strip of a call's attempts; empty when nothing was sent."""
    if not explanation.attempts:
        return ""
    lanes = [_lane(record) for record in explanation.attempts]
    return svg.race_strip(lanes, title=f"attempts of {explanation.tool}, from the call's arrival on")


def _lane(record: AttemptRecord) -> svg.Lane:
    a = record.attempt
    accent = SERVERS.accent(a.server)
    shown = table.look(table.OUTCOMES, record.outcome)
    words = f"{duration(record.latency)} · {shown}"
    if record.outcome in _ANSWERED:
        words += " · won"
    bars = [svg.Bar(a.queued, a.queued + record.latency, accent, _ending(record.outcome), words)]
    if a.queued > 0:
        bars.insert(0, svg.Bar(0.0, a.queued, accent, "queued", f"sent after {duration(a.queued)}"))
    return svg.Lane(f"{a.number} → {a.server}{' (hedge)' if a.hedge else ''}", bars)


def _ending(outcome: str) -> Any:
    return "won" if outcome in _ANSWERED else "cancelled" if outcome == "cancelled" else "lost"


def _candidates(e: Explanation) -> str:
    looked = e.looked_at or "number"
    sent = e.attempts[:4]
    columns = [Column("Candidate"), Column("What became of it")]
    columns += [
        Column(f"{looked}, attempt {r.attempt.number}" if len(sent) > 1 else looked, numeric=True)
        for r in sent
        if r.attempt.saw
    ]
    saw = [dict(r.attempt.saw) for r in sent if r.attempt.saw]
    known = dict.fromkeys((*e.candidates, *e.excluded, *(r.attempt.server for r in e.attempts)))
    rows = [
        [table.swatch(server), _fate(server, e), *(_seen(numbers, server) for numbers in saw)]
        for server in known
    ]
    return html_table(columns, rows, caption="Candidates", row_heads=True) if rows else ""


def _seen(numbers: Mapping[str, float], server: str) -> str:
    return trimmed(numbers[server]) if server in numbers else '<span class="mcpnb-dim">not compared</span>'


def _fate(server: str, e: Explanation) -> str:
    mine = [record for record in e.attempts if record.attempt.server == server]
    if mine:
        return "<br>".join(_ended(record) for record in mine)
    if server in e.excluded:
        return f'<span class="mcpnb-warn">⊘ filtered out</span> {cut(e.excluded[server], 120)}'
    return '<span class="mcpnb-dim">not picked</span>'


def _ended(record: AttemptRecord) -> str:
    a = record.attempt
    why = "" if a.why == "first" else f' <span class="mcpnb-dim">{escape(a.why)}</span>'
    error = f" {cut(record.error, 120)}" if record.error else ""
    return f"{table.look(table.OUTCOMES, record.outcome).html} after {duration(record.latency)}{why}{error}"


def explanation_bundle(explanation: Explanation) -> dict[str, str]:
    """The MIME bundle of an explanation."""
    return bundle(explanation_html(explanation), str(explanation))


# -- aggregate


def aggregate_html(aggregate: Aggregate) -> str:
    """The fused answer, who said what and how fast, and where they disagree."""
    a = aggregate
    pills = (
        f"{len(a.results)} of {len(a.sources)} servers answered",
        f"fused by {escape(a.method)}",
        f"confidence {percent(a.confidence)}",
        _conflict_count(len(a.conflicts)),
    )
    lanes = [_source_lane(source) for source in a.sources]
    race = svg.race_strip(lanes, title=f"answers to {a.tool}, from the call's arrival on") if lanes else ""
    body = f'<div class="mcpnb-value">{_value(a.value)}</div><h4 class="mcpnb-sub">Sources</h4>{race}'
    return _card(_head(name(a.tool), pills), body, _sources(a.sources), _conflicts(a.conflicts))


def _conflict_count(count: int) -> str:
    if not count:
        return "no disagreement"
    return f'<span class="mcpnb-warn">⇄ {count} disagreement{"" if count == 1 else "s"}</span>'


def _source_lane(source: Source) -> svg.Lane:
    words = f"{duration(source.latency)} · {table.look(table.OUTCOMES, source.outcome)}"
    bar = svg.Bar(0.0, source.latency, SERVERS.accent(source.server), _ending(source.outcome), words)
    return svg.Lane(source.server, [bar])


def _sources(sources: Sequence[Source]) -> str:
    heads = (
        Column("Server"),
        Column("Outcome"),
        Column("Latency", numeric=True),
        Column("Confidence", numeric=True),
        Column("Error"),
    )
    rows = [
        [
            table.swatch(s.server),
            table.look(table.OUTCOMES, s.outcome).html,
            duration(s.latency),
            percent(s.confidence),
            cut(s.error, 160) if s.error else "",
        ]
        for s in sources
    ]
    return html_table(heads, rows, row_heads=True)


def _conflicts(conflicts: Sequence[Disagreement]) -> str:
    """A row per field on which the sources disagree, a column per source."""
    if not conflicts:
        return ""
    said = list(dict.fromkeys(server for conflict in conflicts for server in conflict.values))
    columns = [Column("Field"), *(Column(server) for server in said)]
    columns.append(
        Column("Spread", numeric=True, title="Greatest difference relative to the greatest magnitude")
    )
    rows = [
        [
            cut(c.key, 120),
            *(cut(compact(c.values[s]), 120) if s in c.values else "" for s in said),
            percent(c.spread),
        ]
        for c in conflicts
    ]
    return f'<h4 class="mcpnb-sub">Where they disagree</h4>{html_table(columns, rows, row_heads=True)}'


def aggregate_text(aggregate: Aggregate) -> str:
    """The same for viewers without HTML."""
    a = aggregate
    answered = f"{len(a.results)} of {len(a.sources)} servers"
    head = f"{visible(a.tool)} from {answered}, fused by {a.method}, confidence {percent(a.confidence)}"
    shown = a.value if isinstance(a.value, str) else compact(a.value)
    rows = [
        (s.server, str(table.look(table.OUTCOMES, s.outcome)), duration(s.latency), shorten(s.error, 80))
        for s in a.sources
    ]
    sources = table.text_table(("server", "outcome", "latency", "error"), rows, right=frozenset({2}))
    split = [
        f"they disagree on {visible(c.key)}: {visible(shorten(compact(dict(c.values)), 200))}"
        for c in a.conflicts
    ]
    return "\n".join([head, visible(shorten(shown, _TEXT_LIMIT), lines=True), sources, *split])


def aggregate_bundle(aggregate: Aggregate) -> dict[str, str]:
    """The MIME bundle of an aggregate."""
    return bundle(aggregate_html(aggregate), aggregate_text(aggregate))


def mimebundle(value: object) -> dict[str, str]:
    """The MIME bundle of anything of ours.

    Raises:
        TypeError: For a value that has no picture here.
    """
    from mcpnb.result import Aggregate, Result  # noqa: PLC0415 - only when somebody asks for the picture of one

    match value:
        case Explanation():
            return explanation_bundle(value)
        case Result():
            return result_bundle(value)
        case Aggregate():
            return aggregate_bundle(value)
        case [ServerStatus(), *_]:
            return fleet_bundle("fleet", "", list(value))
        case _:
            raise TypeError(f"no picture for a {type(value).__name__}")
