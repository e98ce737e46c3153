"""What fleets, results, explanations and aggregates look like: plain functions from values to HTML and text.

It owns the pictures of values that do not live; the dashboard owns the one that does. It calls no server and
changes nothing. Everything that a server sent goes through `markup`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mcpnb.model import Explanation, ServerStatus
from mcpnb.notebook import servers as table
from mcpnb.notebook.aggregates import aggregate_bundle
from mcpnb.notebook.cards import card, head, introduce
from mcpnb.notebook.explain import explanation_bundle, reasons_html
from mcpnb.notebook.markup import (
    bundle,
    compact,
    cut,
    duration,
    escape,
    name,
    shorten,
    tree,
    visible,
)  # fmt: skip
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.palette import SERVERS

if TYPE_CHECKING:
    from mcpnb.result import Result

_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Kinds of images that cannot carry script."""
_SOUNDS: Final = frozenset({"audio/wav", "audio/mpeg", "audio/mp3", "audio/ogg", "audio/webm", "audio/flac"})
_MEDIA_LIMIT: Final = 8_000_000
"""Characters of base64 that one image or sound may put into a notebook file."""
_TEXT_LIMIT: Final = 2_000


# -- fleet


def fleet_html(statuses: Sequence[ServerStatus], *, title: str = "fleet", strategy: str = "") -> str:
    """The servers' table with what is wrong with those that are down."""
    rows = [table.static_row(status, SERVERS) for status in statuses]
    shown = html_table(table.STATIC_COLUMNS, rows, caption="Servers", row_heads=True, kind="mcpnb-servers")
    pills = (escape(table.summary(statuses)), f"strategy {escape(strategy)}" if strategy else "")
    return card(head(name(title), pills), shown, table.troubles(statuses))


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
    introduce(why.candidates)
    state = table.OUTCOMES["ok" if result.ok else "tool_error"].html
    pills = (
        table.swatch(result.server),
        duration(result.latency),
        _attempts(result.attempts),
        "from the cache" if result.cached else "",
    )
    reasons = f"<details><summary>Why {name(result.server)}?</summary>{reasons_html(why)}</details>"
    return card(head(f"{name(result.tool)} {state}", pills), *_answer(result), reasons)


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
