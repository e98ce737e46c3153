"""Text of a stranger as HTML: Markdown where it is Markdown, as it stands where it is not.

It owns what is taken for Markdown and what of it is shown: no HTML of the text's own, no pictures from
elsewhere (fetching one would tell its server who reads), and links to the web and to mail only.
markdown-it-py parses and escapes; unseen characters become marks here, those written as entities, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mcpnb.notebook.markup import cut, escape, visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["LONGEST", "NEW_PAGE", "is_markdown", "markdown", "prose"]

LONGEST: Final = 12_000
"""Characters of a text that are read as Markdown; a longer one is shown as it stands."""
_LINES: Final = 400
"""Lines that are looked at to tell Markdown from other text."""
_SAFE: Final = re.compile(r"(https?://|mailto:)", re.IGNORECASE)

_MARKS: Final = (
    (2, re.compile(r"^ {0,3}(`{3,}|~{3,})")),
    (2, re.compile(r"^ {0,3}\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)+\|?\s*$")),
    (2, re.compile(r"\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)")),
    (1, re.compile(r"^ {0,3}#{1,6} \S")),
    (1, re.compile(r"(\*\*|__)\S[^*\n]{0,200}\S?\1")),
    (1, re.compile(r"^ {0,3}([-*+]|\d{1,3}[.)]) \S")),
    (1, re.compile(r"^ {0,3}> \S")),
    (1, re.compile(r"`[^`\n]{1,200}`")),
)
"""What Markdown is recognised by, and how sure that makes; two is enough. Each counts once."""
_CODE: Final = re.compile(
    r"^(#!|(import|from|package|using|#include)\b.*|(async )?def .*:|class .*[:{]|function .*\{|.*[;{}])\s*$"
)
"""Lines of programs and configurations, whose comments look like headings."""


def prose(text: str, *, limit: int, lines: int = 40) -> str:
    """A text as HTML: rendered where it is Markdown, with its source folded away; else as it stands."""
    if len(text) <= LONGEST and is_markdown(text):
        source = f'<pre class="mcpnb-whole">{escape(text, lines=True)}</pre>'
        folded = f'<details class="mcpnb-source"><summary>Source</summary>{source}</details>'
        return f"{markdown(text)}{folded}"
    return cut(text, limit, lines=lines)


def is_markdown(text: str) -> bool:
    """Whether somebody wrote this as Markdown, by its marks."""
    rows = text.split("\n", _LINES)[:_LINES]
    fenced = any(row.lstrip().startswith(("```", "~~~")) for row in rows)
    if not fenced and sum(1 for row in rows if _CODE.match(row)) * 5 > len(rows):
        return False
    sure = 0
    for weight, mark in _MARKS:
        if any(mark.search(row[:1_000]) for row in rows):
            sure += weight
    return sure >= 2


def markdown(text: str) -> str:
    """Markdown as HTML that runs nothing and fetches nothing."""
    return f'<div class="mcpnb-md">{visible(_parser().render(text), lines=True)}</div>'


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - loaded for the first text that is Markdown

    made = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    made.validateLink = _is_safe  # pyright: ignore[reportAttributeAccessIssue] - how it is configured
    rules: dict[str, Any] = made.renderer.rules  # pyright: ignore[reportAttributeAccessIssue] - RendererHTML's
    rules["image"] = _image
    rules["link_open"] = _link
    rules["heading_open"] = rules["heading_close"] = _heading
    return made


def _is_safe(url: str) -> bool:
    """Whether a link may be followed: to the web or to mail, and to nothing of the notebook's own server."""
    return _SAFE.match(url.strip()) is not None


def _image(tokens: Sequence[Token], place: int, _options: Any, _env: Any) -> str:
    """A picture that is elsewhere: what it shows, in words, and where it is."""
    token = tokens[place]
    where, what = str(token.attrs.get("src", "")), token.content or "picture"
    link = f'<a href="{escape(where)}" {NEW_PAGE}>{escape(what)}</a>' if _is_safe(where) else escape(what)
    return f'<span class="mcpnb-dim">▨ picture, not loaded: {link}</span>'


NEW_PAGE: Final = 'rel="noopener noreferrer" target="_blank"'


def _link(tokens: Sequence[Token], place: int, _options: Any, _env: Any) -> str:
    where = escape(str(tokens[place].attrs.get("href", "")))
    return f'<a href="{where}" title="{where}" {NEW_PAGE}>'


def _heading(tokens: Sequence[Token], place: int, _options: Any, _env: Any) -> str:
    """Headings below those of the page: a stranger's text opens no chapter of the notebook."""
    token = tokens[place]
    level = min(int(token.tag[1:]) + 3, 6)
    return f"<h{level}>" if token.nesting == 1 else f"</h{level}>\n"
