"""The line of Python that does what a form does.

It owns how arguments are written. It calls nothing.
"""

from __future__ import annotations

import keyword
import pprint
import sys
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["call_text", "name_of", "one_line", "options_text"]

_WIDTH: Final = 88


def call_text(verbs: str, verb: str, name: str, arguments: Mapping[str, Any]) -> str:
    """`fleet.call("weather.forecast", location="London")`, in lines where it would be too long for one."""
    named = all(_is_name(key) for key in arguments)
    if not arguments:
        return f"{verbs}.{verb}({_text(name)})"
    if named:
        parts = [f"{key}={_value(value, len(key) + 5)}" for key, value in arguments.items()]
    else:
        parts = [_value(dict(arguments), 4)]
    line = f"{verbs}.{verb}({', '.join([_text(name), *parts])})"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    lines = "".join(f"    {_indented(part)},\n" for part in [_text(name), *parts])
    return f"{verbs}.{verb}(\n{lines})"


def one_line(code: str) -> str:
    """The same for a caption, on one line."""
    first, *parts = [line.strip() for line in code.split("\n")]
    return first + " ".join(parts).removesuffix(", )") + (")" if parts else "")


def _is_name(key: str) -> bool:
    return key.isidentifier() and key.isascii() and not keyword.iskeyword(key)


def _text(value: str) -> str:
    """A text in double quotes where that needs no escapes, as people write it."""
    written = repr(value)
    return f'"{value}"' if written == f"'{value}'" and '"' not in value else written


def _value(value: Any, indent: int) -> str:
    if isinstance(value, str):
        return _text(value) if len(value) <= _WIDTH else repr(value)
    return pprint.pformat(value, width=_WIDTH - indent, sort_dicts=False)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def options_text(options: object, usual: object) -> str:
    """`.options(timeout=5.0)` for the options that differ from the usual ones; empty for none."""
    names = getattr(type(options), "__dataclass_fields__", {})
    changed = {
        name: getattr(options, name) for name in names if getattr(options, name) != getattr(usual, name, None)
    }
    written = [
        f"{name}={_value(value, 0)}"
        for name, value in changed.items()
        if isinstance(value, str | int | float | frozenset)
    ]
    return f".options({', '.join(written)})" if written else ""


def name_of(value: object, usual: str = "fleet") -> str:
    """What the notebook calls a value: the first public name that it has there."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    names: Mapping[str, object] = getattr(shell, "user_ns", {})
    found = (key for key, each in list(names.items()) if each is value and not key.startswith("_"))
    return next(found, usual)
