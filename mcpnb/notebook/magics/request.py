"""What a person writes after `%mcp call` and `%%mcp`: a tool, options, arguments, and where the answer goes.

It owns that little language, in which `--` begins an option and everything else is the tool's. It knows no
IPython, no fleet and no tool's schema.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mcpnb.errors import suggest
from mcpnb.notebook import arguments as written

__all__ = ["KINDS", "OPTIONS", "Request", "assigned", "read_request"]

OPTIONS: Final = {
    "--all": "every server that has the tool, at once",
    "--server": "only this server",
    "--as": "df: the answer as a DataFrame; value: as a plain value",
}
KINDS: Final = ("df", "value")
"""What `--as` may say."""

_ASSIGNED: Final = re.compile(r"\s*([^\s<]+)\s*<<\s*(.*)", re.DOTALL)
_OPTION: Final = re.compile(r"--(?![^\s=]*=$)[^\s=]*")
_WORD: Final = re.compile(r"\S+")


class Request(NamedTuple):
    """One call as it was written."""

    tool: str
    arguments: dict[str, Any]
    every: bool = False
    """Ask all servers that have the tool."""
    server: str | None = None
    kind: str = ""
    """One of `KINDS`; empty for the result as it is."""
    bare: bool = True
    """Whether no argument was written at all."""
    words: Mapping[str, str] = {}
    """What was typed for arguments that were read as other than text."""


def assigned(line: str) -> tuple[str | None, str]:
    """The variable that `name << ...` names, and the rest of the line.

    Raises:
        ValueError: Something else than a name stands before `<<`.
    """
    match = _ASSIGNED.match(line)
    if match is None or "=" in match[1] or match[1][0] in "{[\"'":
        return None, line
    if not match[1].isidentifier() or keyword.iskeyword(match[1]):
        raise ValueError(f"{match[1]!r} before << is not a variable's name")
    return match[1], match[2]


def read_request(text: str, variables: Mapping[str, Any]) -> Request:
    """The call that a text names: `TOOL [--all] [--server NAME] [--as df] [key=value ... | {JSON}]`.

    Options may stand anywhere between the others.

    Raises:
        ValueError: It is none; the message says where and what to write.
    """
    given: dict[str, Any] = {}
    words: dict[str, str] = {}
    options: dict[str, str] = {}
    tool, at, whole = "", 0, False
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text.startswith("--", at):
            at = _option(text, at, options)
        elif not tool:
            word = _WORD.match(text, at)
            assert word is not None  # noqa: S101 - there is something that is no space
            tool, at = word[0], word.end()
        elif text[at] == "{" and not given and not whole:
            given, at = written.json_object(text, at)
            whole = True
        elif whole:
            raise ValueError(f"nothing may follow the JSON object, but {text[at:].strip()!r} does")
        else:
            at = written.pair(text, at, variables, given, words)
    return _request(tool, given, options, bare=not given and not whole)._replace(words=words)


def _option(text: str, at: int, options: dict[str, str]) -> int:
    match = _OPTION.match(text, at)
    name = match[0] if match else "--"
    if name not in OPTIONS:
        near = ", ".join(suggest(name, OPTIONS)) or ", ".join(OPTIONS)
        raise ValueError(f"{name} is no option. Did you mean {near}?")
    if name in options:
        raise ValueError(f"{name} is given twice")
    at += len(name)
    if name == "--all":
        options[name] = "yes"
        return at
    at += len(text[at:]) - len(text[at:].lstrip(" \t="))
    value, end = written.word(text, at)
    if not value:
        raise ValueError(f"{name} wants a value: {OPTIONS[name]}")
    options[name] = value
    return end


def _request(tool: str, given: dict[str, Any], options: Mapping[str, str], *, bare: bool) -> Request:
    kind = options.get("--as", "")
    if kind and kind not in KINDS:
        raise ValueError(f"--as {kind} is not known: {' or '.join(KINDS)}")
    if "--all" in options and "--server" in options:
        raise ValueError("--all asks every server, --server one of them: take one of the two")
    return Request(tool, given, "--all" in options, options.get("--server"), kind, bare)
