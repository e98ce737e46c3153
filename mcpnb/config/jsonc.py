"""JSON with comments and trailing commas, as editors write it. Owns positions; knows no servers.

Comments and trailing commas become spaces, so that every line and column in an error is the file's own;
strings are left as they are.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

from mcpnb.errors import ConfigError

__all__ = ["JsonObject", "parse"]

# An unclosed string counts as one up to the line's end: else its `//` would be taken for a comment.
_STRING = r'"(?:\\.|[^"\\\n])*"?'
_COMMENT = re.compile(rf"{_STRING}|(?P<gone>//[^\n]*|/\*.*?(?:\*/|\Z))", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|(?P<gone>,(?=\s*[}}\]]))", re.DOTALL)


class JsonObject(dict[str, object]):
    """An object as it was read, with the keys that stood in it more than once (the last one counts)."""

    __slots__ = ("repeated",)

    repeated: tuple[str, ...]

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = (
            tuple(dict.fromkeys(n for n in names if names.count(n) > 1)) if len(names) > len(self) else ()
        )


def parse(text: str) -> object:
    """The value of a JSON text; comments and trailing commas allowed, NaN and Infinity not.

    Raises `ConfigError` with line and column; the text itself is not quoted, since it may hold secrets.
    """
    if not text.strip():
        fix = 'Write for example {"mcpServers": {"weather": {"command": "..."}}}.'
        raise ConfigError("is not JSON: it is empty (line 1, column 1).", fix=fix)
    try:
        return json.loads(_plain(text), object_pairs_hook=JsonObject, parse_constant=_reject)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        fix = "Correct it there: a quote, comma or bracket is missing or too many."
        if "escape" in error.msg:  # a path of Windows, copied
            fix = r'A backslash is written twice: "C:\\Users".'
        raise ConfigError(f"is not JSON: {error.msg} ({where}).", fix=fix) from None
    except (RecursionError, ValueError) as error:
        why = (
            "nested too deeply"
            if isinstance(error, RecursionError)
            else "holds a number with too many digits"
        )
        raise ConfigError(f"is not a usable JSON file: {why}.") from None


def _plain(text: str) -> str:
    for pattern in (_COMMENT, _COMMA):
        text = pattern.sub(_blank, text)
    return text


def _blank(match: re.Match[str]) -> str:
    gone: str | None = match["gone"]
    return match[0] if gone is None else re.sub(r"[^\n]", " ", gone)


def _reject(name: str) -> NoReturn:
    raise ConfigError(f"holds {name}, which is not JSON.", fix="Write a finite number.")
