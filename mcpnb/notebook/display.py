"""What fleets, results, explanations and aggregates look like: plain functions from values to HTML and text.

It owns the pictures of values that do not live; the dashboard owns the one that does. It calls no server and
changes nothing. Everything that a server sent goes through `markup`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mcpnb.model import Explanation, ServerStatus
from mcpnb.notebook import servers as table
from mcpnb.notebook.aggregates import aggregate_bundle
from mcpnb.notebook.cards import card, head, introduce
from mcpnb.notebook.directories import backends_html, backends_text
from mcpnb.notebook.explain import explanation_bundle, reasons_html
from mcpnb.notebook.login.row import logins_of, needing
from mcpnb.notebook.login.words import logins_text
from mcpnb.notebook.markup import (
    bundle,
    compact,
    duration,
    escape,
    name,
    shorten,
    tree,
    visible,
)  # fmt: skip
from mcpnb.notebook.markup import table as html_table
from mcpnb.notebook.media import block_html, block_text, text_html
from mcpnb.notebook.palette import SERVERS
from mcpnb.notebook.value_text import value_text

if TYPE_CHECKING:
    from mcpnb.auth import LoginRow
    from mcpnb.discovery import BackendStatus
    from mcpnb.result import Result

_TEXT_LIMIT: Final = 2_000


# -- fleet


def fleet_html(
    statuses: Sequence[ServerStatus], *, title: str = "fleet", strategy: str = "",
    directories: Sequence[BackendStatus] = (), logins: Sequence[LoginRow] = (), now: float = 0.0,
) -> str:  # fmt: skip
    """The servers' table with what is wrong with those that are down, and where they are discovered."""
    known = logins_of(statuses, logins, now)
    rows = [table.static_row(s, SERVERS, known.get(s.server, table.NO_LOGIN)) for s in statuses]
    shown = html_table(table.STATIC_COLUMNS, rows, caption="Servers", row_heads=True, kind="mcpnb-servers")
    pills = (escape(table.summary(statuses)), f"strategy {escape(strategy)}" if strategy else "")
    return card(head(name(title), pills), shown, table.troubles(statuses), backends_html(directories))


def fleet_text(
    statuses: Sequence[ServerStatus], *, title: str = "fleet", strategy: str = "",
    directories: Sequence[BackendStatus] = (), logins: Sequence[LoginRow] = (), now: float = 0.0,
) -> str:  # fmt: skip
    """The same for viewers without HTML."""
    how = f", strategy {strategy}" if strategy else ""
    top = f"{visible(title)}: {table.summary(statuses)}{how}"
    shown = table.servers_text(statuses, needing(statuses, logins))
    below = (shown, logins_text(logins, now), backends_text(directories))
    return "\n".join(filter(None, (top, *below)))


def fleet_bundle(
    title: str, strategy: str, statuses: Sequence[ServerStatus], directories: Sequence[BackendStatus] = (),
    logins: Sequence[LoginRow] = (), now: float = 0.0,
) -> dict[str, str]:  # fmt: skip
    """The MIME bundle of a fleet; `now` (Unix seconds) is what logins last from."""
    shown: Any = {
        "title": title, "strategy": strategy, "directories": directories, "logins": logins, "now": now,
    }  # fmt: skip
    return bundle(fleet_html(statuses, **shown), fleet_text(statuses, **shown))


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
    """The answer's parts: messages, or the value and what stands beside it, in their order."""
    messages = getattr(getattr(result, "raw", None), "messages", None)
    if messages:
        yield "".join(map(_message, messages))
        return
    value, blocks = result.value, result.content
    if not isinstance(value, str) or all(block.type == "text" for block in blocks):
        yield _value(value, _mime(result))
        blocks = _beside(result)
    for block in blocks:
        yield _wrapped(text_html(block.text) if block.type == "text" else block_html(block))


def _beside(result: Result) -> list[Any]:
    """What stands beside a value: no text that is the value once more, as JSON or part by part."""
    value, blocks = result.value, result.content
    structured = getattr(getattr(result, "raw", None), "structured_content", None)
    known: set[str] = set()
    if structured is not None and any(block.type == "text" for block in blocks):
        parts: Any = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        )
        known = {part.strip() if isinstance(part, str) else compact(part) for part in parts}

    def is_new(text: str) -> bool:
        told = text.strip()
        return structured is not None and bool(told) and told[0] not in "{[" and told not in known

    return [block for block in blocks if block.type != "text" or is_new(block.text)]


def _value(value: object, mime: str | None) -> str:
    return _wrapped(text_html(value, mime) if isinstance(value, str) and value else tree(value))


def _wrapped(html: str) -> str:
    return f'<div class="mcpnb-value">{html}</div>' if html else ""


def _message(message: Any) -> str:
    """A prompt's message under the role that speaks it."""
    block = message.content
    shown = text_html(block.text) if block.type == "text" else block_html(block)
    role = f'<h4 class="mcpnb-sub">{escape(message.role)}</h4>'
    return f'<div class="mcpnb-message">{role}{_wrapped(shown)}</div>'


def _mime(result: Result) -> str | None:
    """What the one part of a resource says it is."""
    parts = getattr(getattr(result, "raw", None), "contents", None) or ()
    return parts[0].mime_type if len(parts) == 1 else None


def result_text(result: Result) -> str:
    """The same for viewers without HTML."""
    state = "ok" if result.ok else "tool error"
    attempts = f", {result.attempts} attempts" if result.attempts > 1 else ""
    blocks = result.content if isinstance(result.value, str) else _beside(result)
    beside = " ".join(filter(None, map(block_text, blocks)))
    said = [] if isinstance(result.value, str) else [block.text for block in blocks if block.type == "text"]
    head = f"{result.tool} from {result.server}: {state}, {duration(result.latency)}{attempts}"
    lines = [
        visible(head),
        value_text(result.value),
        *(visible(shorten(text, _TEXT_LIMIT), lines=True) for text in said),
        visible(shorten(beside, _TEXT_LIMIT)),
    ]
    return "\n".join(line for line in lines if line)


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
