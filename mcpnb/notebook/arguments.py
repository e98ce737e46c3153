"""What a person writes after `%mcp call TOOL`: `key=value ...` or a JSON object, as a tool's arguments.

It owns that little language, and what a word means to a tool that takes texts. It knows no IPython and no
fleet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from mcpnb.notebook.fields import Field

_KEY: Final = re.compile(r"([^\s=]+)=")
_QUOTED: Final = re.compile(r"'([^']*)'(?=\s|$)")
_WORD: Final = re.compile(r"\S*")
_VARIABLE: Final = re.compile(r"\$([A-Za-z_]\w*)")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(parse_constant=_no_constant)


def parse(text: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arguments that `text` names.

    A value is JSON where it can be (`3`, `true`, `"New York"`, `["a", "b"]`), a text in single quotes, the
    value of a variable (`$city`), or else the text up to the next space.

    Raises:
        ValueError: It is neither key=value nor a JSON object; the message says where and what to write.
    """
    text = text.strip()
    if text.startswith("{"):
        found, at = json_object(text, 0)
        if at < len(text):
            raise ValueError(f"the arguments are not JSON: {text[at:].strip()!r} follows the object")
        return found
    arguments: dict[str, Any] = {}
    at = 0
    while at < len(text):
        at = pair(text, at, variables or {}, arguments)
        at += len(text[at:]) - len(text[at:].lstrip())
    return arguments


def pair(
    text: str,
    at: int,
    variables: Mapping[str, Any],
    arguments: dict[str, Any],
    words: dict[str, str] | None = None,
) -> int:
    """Read one `key=value` into `arguments`; where it ends. `words` gets what was typed for other than text.

    Raises:
        ValueError: It is none, or the key was there before.
    """
    key, at = _key(text, at)
    if key in arguments:
        raise ValueError(f"{key} is given twice")
    arguments[key], end = _value(text, at, variables)
    if words is not None and not isinstance(arguments[key], str) and text[at] != "$":
        words[key] = text[at:end]
    return end


def as_taken(
    arguments: Mapping[str, Any], words: Mapping[str, str], fields: Mapping[str, Field]
) -> dict[str, Any]:
    """The arguments, with the word itself where that is what the tool takes: `42` for a text is "42".

    Args:
        arguments: As they were read.
        words: What was typed for those of them that were read as other than text.
        fields: What the tool takes, by name.
    """
    return {
        name: words[name] if name in words and name in fields and _is_text(value, words[name], fields[name])
        else value
        for name, value in arguments.items()
    }  # fmt: skip


def _is_text(value: object, typed: str, field: Field) -> bool:
    """Whether a field takes the word that was typed, and not the value that it was read as."""
    if value is None and field.nullable:
        return False
    if field.kind == "choice":
        return field.place(value) is None and field.place(typed) is not None
    return field.kind == "text"


def json_object(text: str, at: int) -> tuple[dict[str, Any], int]:
    """The JSON object that begins at a place, and where it ends.

    Raises:
        ValueError: It is none.
    """
    try:
        return _JSON.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the arguments are not JSON: {error}") from error


def word(text: str, at: int) -> tuple[str, int]:
    """A text up to the next space, or between quotes, and where it ends."""
    value, end = _value(text, at, {}) if text[at : at + 1] in {'"', "'"} else _plain(text, at, {}, raw=True)
    return str(value), end


def _key(text: str, at: int) -> tuple[str, int]:
    match = _KEY.match(text, at)
    if match is None:
        word = _WORD.match(text, at)
        raise ValueError(
            f"{word[0] if word else text!r} is not key=value; quote a value with spaces: "
            'location="New York", or write the arguments as one JSON object'
        )
    return match[1], match.end()


def _value(text: str, at: int, variables: Mapping[str, Any]) -> tuple[Any, int]:
    try:
        value, end = _JSON.raw_decode(text, at)
    except ValueError:
        return _plain(text, at, variables)
    if end < len(text) and not text[end].isspace():  # 3rd, 10.0.0.1: it only begins like JSON
        return _plain(text, at, variables)
    return value, end


def _plain(text: str, at: int, variables: Mapping[str, Any], *, raw: bool = False) -> tuple[Any, int]:
    if quoted := _QUOTED.match(text, at):
        return quoted[1], quoted.end()
    word = _WORD.match(text, at)
    assert word is not None  # noqa: S101 - the pattern matches nothing, too
    if not raw and (variable := _VARIABLE.fullmatch(word[0])):
        if variable[1] not in variables:
            raise ValueError(
                f"there is no variable {variable[1]!r}; '{word[0]}' in quotes is the text itself"
            )
        return variables[variable[1]], word.end()
    return word[0], word.end()
