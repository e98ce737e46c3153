"""What stands in an answer beside values: pictures, sounds, links to resources and resources themselves.

It owns which of them go onto the page: kinds that cannot carry script, that are what they say, and that a
notebook file can hold. It fetches nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from mcpnb.notebook.markup import cut, escape, shorten, tree
from mcpnb.notebook.prose import LONGEST, NEW_PAGE, markdown, prose

__all__ = ["block_html", "block_text", "text_html"]

_PICTURES: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
"""Kinds of images that cannot carry script, and what they begin with."""
_SOUNDS: Final = {
    "audio/wav": (b"RIFF",),
    "audio/x-wav": (b"RIFF",),
    "audio/mpeg": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa"),
    "audio/mp3": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa"),
    "audio/ogg": (b"OggS",),
    "audio/webm": (b"\x1aE\xdf\xa3",),
    "audio/flac": (b"fLaC",),
}
_MEDIA_LIMIT: Final = 8_000_000
"""Characters of base64 that one image or sound may put into a notebook file."""
_TEXT_LIMIT: Final = 2_000


def block_html(block: Any) -> str:
    """A content block that is no text; empty for text."""
    match block.type:
        case "image":
            return _picture(block.data, block.mime_type)
        case "audio":
            return _sound(block.data, block.mime_type)
        case "resource_link":
            return _link(block)
        case "resource":
            return _resource(block.resource)
        case _:
            return ""


def block_text(block: Any) -> str:
    """The same in words, for viewers without HTML."""
    match block.type:
        case "image" | "audio":
            return f"[{block.mime_type}, {_size(_bytes(block.data))}]"
        case "resource_link":
            return f"[resource {block.uri}: {block.name}]"
        case "resource":
            return f"[resource {block.resource.uri}]"
        case _:
            return ""


def text_html(text: str, mime: str | None = None) -> str:
    """A text by what it says it is, else by what it looks like."""
    kind = (mime or "").partition(";")[0].strip().lower()
    if kind == "text/markdown":
        return markdown(text) if len(text) <= LONGEST else cut(text, _TEXT_LIMIT, lines=40)
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return tree(json.loads(text))
        except (ValueError, RecursionError):  # it says so, and is not
            return cut(text, _TEXT_LIMIT, lines=40)
    if kind in {"", "text/plain"}:
        return prose(text, limit=_TEXT_LIMIT)
    return cut(text, _TEXT_LIMIT, lines=40)  # a program's text, a page's source: as it stands


def _picture(data: str, kind: str) -> str:
    kind = _plain(kind)
    if (bad := _not_shown(data, kind, _PICTURES)) is not None:
        return bad
    return f'<img class="mcpnb-image" alt="image from the server" src="data:{kind};base64,{data}">'


def _sound(data: str, kind: str) -> str:
    kind = _plain(kind)
    if (bad := _not_shown(data, kind, _SOUNDS)) is not None:
        return bad
    return f'<audio controls aria-label="sound from the server" src="data:{kind};base64,{data}"></audio>'


def _plain(kind: str) -> str:
    """A media type without its parameters."""
    return kind.partition(";")[0].strip().lower()


def _not_shown(data: str, kind: str, shown: dict[str, tuple[bytes, ...]]) -> str | None:
    """Why data does not go onto the page, None when it does."""
    why = None
    if kind not in shown:
        why = "not a kind that is shown here"
    elif len(data) > _MEDIA_LIMIT:
        why = "too large to keep in a notebook"
    else:
        try:
            start = base64.b64decode(data, validate=True)[:16]
        except (binascii.Error, ValueError):
            why = "not valid base64"
        else:
            why = None if start.startswith(shown[kind]) else "not what it says it is"
    if why is None:
        return None
    return f'<p class="mcpnb-dim">{escape(kind)}, {len(data):,} characters of base64: {why}; see .content</p>'


def _link(block: Any) -> str:
    uri, label = str(block.uri), getattr(block, "title", None) or block.name
    shown = escape(shorten(label, 120))
    if uri.lower().startswith(("https://", "http://")):
        where = escape(uri)
        top = f'<a href="{where}" title="{where}" {NEW_PAGE}>{shown}</a>'
    else:
        top = f"{shown} <code>{escape(shorten(uri, 200))}</code>"
    size = getattr(block, "size", None)
    about = [escape(shorten(block.mime_type, 80))] if getattr(block, "mime_type", None) else []
    about += [_size(size)] if isinstance(size, int) else []
    dim = f' <span class="mcpnb-dim">{" · ".join(about)}</span>' if about else ""
    told = getattr(block, "description", None)
    return f"<div>↗ {top}{dim}{f'<div>{cut(told)}</div>' if told else ''}</div>"


def _bytes(encoded: str) -> int:
    """How many bytes a text of base64 stands for."""
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _size(count: int) -> str:
    if count < 1_000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def _is_text(kind: str) -> bool:
    kind = _plain(kind)
    return kind.startswith("text/") or kind == "application/json" or kind.endswith("+json")


def _decoded(blob: str) -> str | None:
    """The text that was sent as bytes; None when it is none, or too long for a page."""
    try:
        return base64.b64decode(blob, validate=True).decode("utf-8") if len(blob) <= _MEDIA_LIMIT else None
    except ValueError:  # of base64 and of UTF-8
        return None


def _resource(resource: Any) -> str:
    kind: str = resource.mime_type or ""
    text: str | None = getattr(resource, "text", None)
    if text is None and _is_text(kind):
        text = _decoded(getattr(resource, "blob", ""))
    if text is not None:
        body = text_html(text, kind)
    else:
        blob: str = getattr(resource, "blob", "")
        if kind.startswith("image/"):
            body = _picture(blob, kind)
        elif kind.startswith("audio/"):
            body = _sound(blob, kind)
        else:
            named = escape(shorten(kind, 80)) or "unknown type"
            body = f'<span class="mcpnb-dim">{named}, {_size(_bytes(blob))}; see .content</span>'
    where = escape(shorten(str(resource.uri), 200))
    return f'<div class="mcpnb-part"><code>{where}</code><div>{body}</div></div>'
