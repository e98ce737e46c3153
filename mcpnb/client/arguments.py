"""Arguments as JSON carries them: looked through before anything is sent.

It owns which Python values go into a call as they are, which as something else (NumPy's scalars, as the
numbers that they are), and the words for those that do not. Servers of every kind get the same, a server
object in this process included. Whether arguments fit a tool it does not know.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

from mcpnb.errors import ArgumentError

__all__ = ["carried", "given"]

_SAME = frozenset({int, bool, type(None)})
_NUMBERS = "biuf"
"""Kinds of NumPy's types: truth values, whole numbers, real numbers."""

_DEEPEST = 200
"""Levels of lists and dicts, as deep as most parsers of JSON go."""

_HINTS = {
    "datetime": "write value.isoformat()",
    "date": "write value.isoformat()",
    "time": "write value.isoformat()",
    "Timestamp": "write value.isoformat()",
    "timedelta": "write value.total_seconds()",
    "set": "write list(value)",
    "frozenset": "write list(value)",
    "ndarray": "write value.tolist()",
    "Series": "write value.tolist()",
    "DataFrame": 'write value.to_dict("records")',
    "bytes": "write base64.b64encode(value).decode()",
    "Decimal": "write float(value) or str(value)",
    "PurePath": "write str(value)",
    "UUID": "write str(value)",
    "Enum": "write value.value",
    "NAType": "write None",
    "NaTType": "write None",
}
"""What to write instead, by the name of a type or of one that it comes from."""


def given(tool: object, arguments: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, given as a dict, by name, or both; a name goes before the dict.

    Raises:
        ArgumentError: The dict is none.
    """
    if arguments is None:
        return dict(named)
    if not isinstance(arguments, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - people pass lists
        kind = type(arguments).__name__
        hint = ": write dict(value)" if hasattr(arguments, "keys") else ""
        raise ArgumentError(str(tool), "", f"arguments are a dict of names to values, not {kind}{hint}")
    return {**arguments, **named}


class _NoForm(Exception):
    """What stands there has no form in JSON."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem


def carried(tool: object, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are sent. The given ones are not changed.

    Raises:
        ArgumentError: One has no form in JSON; it is named, with what to write instead.
    """
    try:
        return {name: _carried(value, name) for name, value in _named(arguments, "the call")}
    except _NoForm as odd:
        raise ArgumentError(str(tool), odd.where, odd.problem) from None


def _carried(value: Any, where: str, depth: int = 0) -> Any:
    if type(value) in _SAME:
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, float):
        return _finite(value, where)
    if isinstance(value, int):  # an enumeration's
        return value
    if isinstance(value, list | tuple | Mapping):
        return _parts(cast("list[Any] | tuple[Any, ...] | Mapping[Any, Any]", value), where, depth)
    numpy = sys.modules.get("numpy")  # without it nothing can be of its types
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _NUMBERS:
        plain = value.item()
        if isinstance(plain, int | float):  # else it is one that Python has no number for
            return _carried(plain, where)
    raise _NoForm(where, _words(value))


def _parts(
    value: list[Any] | tuple[Any, ...] | Mapping[Any, Any], where: str, depth: int
) -> list[Any] | dict[str, Any]:
    if depth == _DEEPEST:
        raise _NoForm(re.split(r"[.\[]", where, maxsplit=1)[0], "is nested too deeply, or contains itself")
    if isinstance(value, Mapping):
        return {name: _carried(part, f"{where}.{name}", depth + 1) for name, part in _named(value, where)}
    return [_carried(part, f"{where}[{n}]", depth + 1) for n, part in enumerate(value)]


def _named(value: Mapping[Any, Any], where: str) -> Iterable[tuple[str, Any]]:
    for name in value:
        if not isinstance(name, str):
            raise _NoForm("", f"{where} has the name {name!r:.40}, and names are texts in JSON")
    return value.items()


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        problem = f"{float(value)} is no number in JSON: write None, or a text that names it"
        raise _NoForm(where, problem)
    return float(value)


def _text(value: str, where: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            odd = f"\\u{ord(value[error.start]):04x}"
            raise _NoForm(where, f"has half a character, {odd}, which is no text") from None
    return value


def _words(value: object) -> str:
    kinds = [kind.__name__ for kind in type(value).__mro__]
    hint = next((_HINTS[kind] for kind in kinds if kind in _HINTS), "")
    return f"{kinds[0]} has no form in JSON{f': {hint}' if hint else ''}"
